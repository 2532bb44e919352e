-- instance_profiles.h

CREATE TABLE profile_association (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  profile_id TEXT NOT NULL,
  profile_arn TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id),
  UNIQUE (region, instance_id),
  FOREIGN KEY (region, instance_id) REFERENCES instance (region, id) ON DELETE CASCADE
);
CREATE INDEX profile_association_account ON profile_association (region, account);
