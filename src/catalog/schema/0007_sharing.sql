-- images.h

ALTER TABLE image ADD COLUMN uefi_data TEXT NOT NULL DEFAULT '';

-- sharing.h

CREATE TABLE snapshot_permission (
  region TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, snapshot_id, kind, value),
  FOREIGN KEY (region, snapshot_id) REFERENCES snapshot (region, id) ON DELETE CASCADE
);
CREATE INDEX snapshot_permission_value ON snapshot_permission (region, kind, value);

CREATE TABLE account_membership (
  account TEXT NOT NULL,
  arn TEXT NOT NULL,
  PRIMARY KEY (account, arn)
);
