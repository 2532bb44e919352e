-- images.h

ALTER TABLE image ADD COLUMN deprecation BIGINT;
ALTER TABLE image ADD COLUMN deregistration_protection TEXT NOT NULL DEFAULT '';
ALTER TABLE image ADD COLUMN protected_until BIGINT;

-- lifecycle.h

CREATE TABLE snapshot_lock (
  region TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  duration_days BIGINT NOT NULL,
  cool_off_hours BIGINT,
  created BIGINT NOT NULL,
  counted_from BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (region, snapshot_id),
  FOREIGN KEY (region, snapshot_id) REFERENCES snapshot (region, id) ON DELETE CASCADE
);

CREATE TABLE sharing_settings (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  image_block TEXT NOT NULL,
  snapshot_block TEXT NOT NULL,
  allowed_images TEXT NOT NULL,
  image_criteria TEXT NOT NULL,
  PRIMARY KEY (region, account)
);

CREATE TABLE recycled (
  region TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  account TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  state TEXT NOT NULL,
  entered BIGINT NOT NULL,
  exits BIGINT NOT NULL,
  PRIMARY KEY (region, resource_id)
);
CREATE INDEX recycled_exits ON recycled (region, exits);
CREATE INDEX recycled_account ON recycled (region, account, resource_type);

CREATE TABLE recycle_rule (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  description TEXT NOT NULL,
  retention_days BIGINT NOT NULL,
  locked BIGINT NOT NULL,
  unlock_delay_days BIGINT,
  unlocks BIGINT,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE INDEX recycle_rule_account ON recycle_rule (region, account, resource_type);

CREATE TABLE recycle_rule_tag (
  region TEXT NOT NULL,
  rule_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, rule_id, kind, key, value),
  FOREIGN KEY (region, rule_id) REFERENCES recycle_rule (region, id) ON DELETE CASCADE
);
