-- lifecycle.h

CREATE TABLE snapshot_tier (
  region TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  tier TEXT NOT NULL,
  operation TEXT NOT NULL,
  detail TEXT NOT NULL,
  progress BIGINT NOT NULL,
  started BIGINT NOT NULL,
  archived BIGINT,
  restore_days BIGINT,
  restore_expires BIGINT,
  archive_bytes BIGINT NOT NULL,
  damage TEXT NOT NULL,
  PRIMARY KEY (region, snapshot_id),
  FOREIGN KEY (region, snapshot_id) REFERENCES snapshot (region, id) ON DELETE CASCADE
);
CREATE INDEX snapshot_tier_expires ON snapshot_tier (region, restore_expires);
