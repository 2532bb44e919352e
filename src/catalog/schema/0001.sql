-- The catalog's first schema. Tables and columns are those of the KILN_ROW lines in src/catalog/*.h, in that order; a
-- test compares them. SQL of SQLite and PostgreSQL alike; the SQLite driver makes every table STRICT.
-- Text that is not known is '', so that only what KILN_ROW declares std::optional may be NULL. A boolean is 0 or 1.
-- Indexes are named table_columns. Accounts, and what belongs to them alone, are not regional.

-- accounts.h

CREATE TABLE account (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE access_key (
  id TEXT NOT NULL,
  secret TEXT NOT NULL,
  account TEXT NOT NULL,
  principal TEXT NOT NULL,
  active BIGINT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX access_key_account ON access_key (account);

-- blocks.h

CREATE TABLE root (
  region TEXT NOT NULL,
  kind TEXT NOT NULL,
  owner TEXT NOT NULL,
  digest TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  PRIMARY KEY (region, kind, owner, digest)
);
CREATE INDEX root_owner ON root (region, owner);

CREATE TABLE pack (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  session TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  live_bytes BIGINT NOT NULL,
  last_ref_epoch BIGINT NOT NULL,
  condemned_epoch BIGINT NOT NULL,
  condemned BIGINT,
  PRIMARY KEY (region, id)
);
CREATE INDEX pack_state ON pack (region, state);
CREATE INDEX pack_session ON pack (region, session);

CREATE TABLE session (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  fence BIGINT NOT NULL,
  job TEXT NOT NULL,
  heartbeat BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);

CREATE TABLE epoch (
  region TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (region)
);

-- client_tokens.h

CREATE TABLE client_token (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  operation TEXT NOT NULL,
  token TEXT NOT NULL,
  parameters TEXT NOT NULL,
  result TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, account, operation, token)
);
CREATE INDEX client_token_created ON client_token (created);

-- images.h

CREATE TABLE image (
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
  PRIMARY KEY (region, id)
);
CREATE INDEX image_account ON image (region, account);
CREATE INDEX image_source_image_id ON image (source_image_id);
-- A name is free again once its image is deregistered or failed.
CREATE UNIQUE INDEX image_name ON image (region, account, name) WHERE state NOT IN ('deregistered', 'failed');

CREATE TABLE image_device (
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
  FOREIGN KEY (region, image_id) REFERENCES image (region, id) ON DELETE CASCADE
);
CREATE INDEX image_device_snapshot_id ON image_device (region, snapshot_id);

CREATE TABLE launch_permission (
  region TEXT NOT NULL,
  image_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, image_id, kind, value),
  FOREIGN KEY (region, image_id) REFERENCES image (region, id) ON DELETE CASCADE
);
CREATE INDEX launch_permission_value ON launch_permission (region, kind, value);

-- snapshots.h

CREATE TABLE snapshot (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  volume_id TEXT NOT NULL,
  state TEXT NOT NULL,
  state_message TEXT NOT NULL,
  description TEXT NOT NULL,
  progress TEXT NOT NULL,
  size_gib BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  full_bytes BIGINT NOT NULL,
  encrypted BIGINT NOT NULL,
  parent_snapshot_id TEXT NOT NULL,
  generation BIGINT,
  image_id TEXT NOT NULL,
  started BIGINT NOT NULL,
  completed BIGINT,
  PRIMARY KEY (region, id)
);
CREATE INDEX snapshot_account ON snapshot (region, account);
CREATE INDEX snapshot_volume_id ON snapshot (region, volume_id);
CREATE INDEX snapshot_image_id ON snapshot (region, image_id);
CREATE INDEX snapshot_parent_snapshot_id ON snapshot (region, parent_snapshot_id);

-- volumes.h

CREATE TABLE volume (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  zone TEXT NOT NULL,
  host TEXT NOT NULL,
  state TEXT NOT NULL,
  size_gib BIGINT NOT NULL,
  volume_type TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  encrypted BIGINT NOT NULL,
  iops BIGINT,
  throughput BIGINT,
  epoch BIGINT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX volume_account ON volume (region, account);
CREATE INDEX volume_snapshot_id ON volume (region, snapshot_id);
CREATE INDEX volume_host ON volume (region, host);

-- A volume is attached to one instance at most.
CREATE TABLE attachment (
  region TEXT NOT NULL,
  volume_id TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  device_name TEXT NOT NULL,
  position BIGINT NOT NULL,
  state TEXT NOT NULL,
  delete_on_termination BIGINT NOT NULL,
  attached BIGINT NOT NULL,
  PRIMARY KEY (region, volume_id)
);
CREATE UNIQUE INDEX attachment_device_name ON attachment (region, instance_id, device_name);
CREATE UNIQUE INDEX attachment_position ON attachment (region, instance_id, position);

-- network.h

CREATE TABLE vpc (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  cidr TEXT NOT NULL,
  is_default BIGINT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX vpc_account ON vpc (region, account);
CREATE UNIQUE INDEX vpc_default ON vpc (region, account) WHERE is_default = 1;

CREATE TABLE subnet (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  vpc_id TEXT NOT NULL,
  zone TEXT NOT NULL,
  cidr TEXT NOT NULL,
  is_default BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX subnet_account ON subnet (region, account);
CREATE UNIQUE INDEX subnet_cidr ON subnet (region, vpc_id, cidr);
CREATE UNIQUE INDEX subnet_default ON subnet (region, account, zone) WHERE is_default = 1;

CREATE TABLE security_group (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  vpc_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX security_group_account ON security_group (region, account);
CREATE UNIQUE INDEX security_group_name ON security_group (region, vpc_id, name);

CREATE TABLE security_group_rule (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  egress BIGINT NOT NULL,
  protocol TEXT NOT NULL,
  from_port BIGINT NOT NULL,
  to_port BIGINT NOT NULL,
  cidr TEXT NOT NULL,
  cidr_ipv6 TEXT NOT NULL,
  source_group TEXT NOT NULL,
  description TEXT NOT NULL,
  PRIMARY KEY (region, id),
  FOREIGN KEY (region, group_id) REFERENCES security_group (region, id) ON DELETE CASCADE
);
-- The same permission twice is InvalidPermission.Duplicate, whatever its description says.
CREATE UNIQUE INDEX security_group_rule_meaning ON security_group_rule
  (region, group_id, egress, protocol, from_port, to_port, cidr, cidr_ipv6, source_group);
CREATE INDEX security_group_rule_source_group ON security_group_rule (region, source_group);

-- instances.h

CREATE TABLE instance (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  zone TEXT NOT NULL,
  host TEXT NOT NULL,
  reservation_id TEXT NOT NULL,
  image_id TEXT NOT NULL,
  instance_type TEXT NOT NULL,
  state TEXT NOT NULL,
  state_reason_code TEXT NOT NULL,
  state_reason_message TEXT NOT NULL,
  transition_reason TEXT NOT NULL,
  uuid TEXT NOT NULL,
  key_name TEXT NOT NULL,
  user_data TEXT NOT NULL,
  launch_index BIGINT NOT NULL,
  vpc_id TEXT NOT NULL,
  subnet_id TEXT NOT NULL,
  eni_id TEXT NOT NULL,
  private_ip TEXT NOT NULL,
  mac TEXT NOT NULL,
  tokens_required BIGINT NOT NULL,
  hop_limit BIGINT NOT NULL,
  metadata_enabled BIGINT NOT NULL,
  shutdown_behavior TEXT NOT NULL,
  termination_protection BIGINT NOT NULL,
  root_device_name TEXT NOT NULL,
  client_token TEXT NOT NULL,
  launched BIGINT NOT NULL,
  created BIGINT NOT NULL,
  terminated BIGINT,
  PRIMARY KEY (region, id)
);
CREATE INDEX instance_account ON instance (region, account);
CREATE INDEX instance_state ON instance (region, state);
CREATE INDEX instance_host ON instance (region, host);
CREATE INDEX instance_image_id ON instance (region, image_id);
CREATE INDEX instance_reservation_id ON instance (region, reservation_id);
-- An address is free again once its instance is terminated.
CREATE UNIQUE INDEX instance_private_ip ON instance (region, vpc_id, private_ip)
  WHERE state <> 'terminated' AND private_ip <> '';

CREATE TABLE instance_group (
  region TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  PRIMARY KEY (region, instance_id, group_id),
  FOREIGN KEY (region, instance_id) REFERENCES instance (region, id) ON DELETE CASCADE
);
CREATE INDEX instance_group_group_id ON instance_group (region, group_id);

-- keys.h

CREATE TABLE key_pair (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  key_type TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  public_key TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, account, name)
);
CREATE UNIQUE INDEX key_pair_id ON key_pair (region, id);

-- tags.h

CREATE TABLE tag (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  key TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, account, resource_id, key)
);
CREATE INDEX tag_resource_id ON tag (region, resource_id);
CREATE INDEX tag_key ON tag (region, account, key, value);

-- jobs.h

CREATE TABLE job (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  arguments TEXT NOT NULL,
  state TEXT NOT NULL,
  step BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  error TEXT NOT NULL,
  owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  turn BIGINT NOT NULL,
  error_code TEXT NOT NULL,
  PRIMARY KEY (region, id)
);
-- Finished jobs are kept for days; the search for work reads only the others.
CREATE INDEX job_subject ON job (region, subject, turn) WHERE state IN ('waiting', 'running', 'undoing');
CREATE INDEX job_unfinished ON job (created, turn, id) WHERE state IN ('waiting', 'running', 'undoing');
CREATE INDEX job_finished ON job (updated) WHERE state IN ('done', 'failed');
