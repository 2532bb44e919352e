-- snapshots.h

CREATE TABLE started_snapshot (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  timeout_minutes BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
