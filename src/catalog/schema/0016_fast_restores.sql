-- lifecycle.h

CREATE TABLE fast_restore (
  region TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  zone TEXT NOT NULL,
  account TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  enabling BIGINT NOT NULL,
  optimizing BIGINT,
  enabled BIGINT,
  disabling BIGINT,
  disabled BIGINT,
  PRIMARY KEY (region, snapshot_id, zone, account),
  FOREIGN KEY (region, snapshot_id) REFERENCES snapshot (region, id) ON DELETE CASCADE
);

CREATE TABLE usage_report (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  image_id TEXT NOT NULL,
  state TEXT NOT NULL,
  resource_types TEXT NOT NULL,
  account_ids TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX usage_report_account ON usage_report (region, account, image_id);
CREATE INDEX usage_report_expires ON usage_report (region, expires);

CREATE TABLE usage_report_entry (
  region TEXT NOT NULL,
  report_id TEXT NOT NULL,
  account TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (region, report_id, account, resource_type),
  FOREIGN KEY (region, report_id) REFERENCES usage_report (region, id) ON DELETE CASCADE
);

-- volumes.h

ALTER TABLE volume ADD COLUMN fast_restored BIGINT NOT NULL DEFAULT 0;
