-- images.h: a page of images reads neighbours, not one place of the file for each row.

CREATE TABLE new_image (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  architecture TEXT NOT NULL,
  state TEXT NOT NULL,
  state_reason_code TEXT NOT NULL,
  state_reason_message TEXT NOT NULL,
  root_device_name TEXT NOT NULL,
  virtualization_type TEXT NOT NULL,
  boot_mode TEXT NOT NULL,
  imds_support TEXT NOT NULL,
  tpm_support TEXT NOT NULL,
  sriov_net_support TEXT NOT NULL,
  ena_support BIGINT NOT NULL,
  platform TEXT NOT NULL,
  location TEXT NOT NULL,
  source_image_id TEXT NOT NULL,
  source_image_region TEXT NOT NULL,
  source_instance_id TEXT NOT NULL,
  deregistered BIGINT,
  last_launched BIGINT,
  created BIGINT NOT NULL,
  uefi_data TEXT NOT NULL DEFAULT '',
  deprecation BIGINT,
  deregistration_protection TEXT NOT NULL DEFAULT '',
  protected_until BIGINT,
  PRIMARY KEY (region, id)
) /* in key order */;
INSERT INTO new_image
  SELECT region, id, account, name, description, architecture, state, state_reason_code, state_reason_message,
         root_device_name, virtualization_type, boot_mode, imds_support, tpm_support, sriov_net_support, ena_support,
         platform, location, source_image_id, source_image_region, source_instance_id, deregistered, last_launched,
         created, uefi_data, deprecation, deregistration_protection, protected_until
  FROM image ORDER BY region, id;

CREATE TABLE new_image_device (
  region TEXT NOT NULL,
  image_id TEXT NOT NULL,
  position BIGINT NOT NULL,
  device_name TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  size_gib BIGINT NOT NULL,
  volume_type TEXT NOT NULL,
  delete_on_termination BIGINT NOT NULL,
  encrypted BIGINT NOT NULL,
  iops BIGINT,
  throughput BIGINT,
  virtual_name TEXT NOT NULL,
  PRIMARY KEY (region, image_id, position),
  FOREIGN KEY (region, image_id) REFERENCES new_image (region, id) ON DELETE CASCADE
) /* in key order */;
INSERT INTO new_image_device
  SELECT region, image_id, position, device_name, snapshot_id, size_gib, volume_type, delete_on_termination, encrypted,
         iops, throughput, virtual_name
  FROM image_device ORDER BY region, image_id, position;

CREATE TABLE new_launch_permission (
  region TEXT NOT NULL,
  image_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, image_id, kind, value),
  FOREIGN KEY (region, image_id) REFERENCES new_image (region, id) ON DELETE CASCADE
) /* in key order */;
INSERT INTO new_launch_permission
  SELECT region, image_id, kind, value FROM launch_permission ORDER BY region, image_id, kind, value;

-- What refers to a table goes before it, or its rows would go with those that they refer to.
DROP TABLE launch_permission;
DROP TABLE image_device;
DROP TABLE image;
ALTER TABLE new_image RENAME TO image;
ALTER TABLE new_image_device RENAME TO image_device;
ALTER TABLE new_launch_permission RENAME TO launch_permission;

CREATE INDEX image_account ON image (region, account, id);
CREATE INDEX image_source_image_id ON image (source_image_id);
CREATE UNIQUE INDEX image_name ON image (region, account, name) WHERE state NOT IN ('deregistered', 'failed');
CREATE INDEX image_device_snapshot_id ON image_device (region, snapshot_id);
CREATE INDEX launch_permission_value ON launch_permission (region, kind, value, image_id);
