-- kms_keys.h

CREATE TABLE kms_key (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  state TEXT NOT NULL,
  manager TEXT NOT NULL,
  description TEXT NOT NULL,
  policy TEXT NOT NULL,
  created BIGINT NOT NULL,
  deletion BIGINT,
  PRIMARY KEY (region, id)
);
CREATE INDEX kms_key_account ON kms_key (region, account);
CREATE INDEX kms_key_state ON kms_key (region, state);

CREATE TABLE kms_alias (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (region, account, name),
  FOREIGN KEY (region, key_id) REFERENCES kms_key (region, id) ON DELETE CASCADE
);
CREATE INDEX kms_alias_key_id ON kms_alias (region, key_id);

CREATE TABLE kms_tag (
  region TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, key_id, key),
  FOREIGN KEY (region, key_id) REFERENCES kms_key (region, id) ON DELETE CASCADE
);

-- A domain outlives its key, as what is encrypted in it does.
CREATE TABLE key_domain (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  key_arn TEXT NOT NULL,
  secret TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE UNIQUE INDEX key_domain_key_arn ON key_domain (region, key_arn);

CREATE TABLE ebs_defaults (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  encrypt BIGINT NOT NULL,
  key_arn TEXT NOT NULL,
  PRIMARY KEY (region, account)
);

-- snapshots.h and volumes.h

ALTER TABLE snapshot ADD COLUMN kms_key_arn TEXT NOT NULL DEFAULT '';
ALTER TABLE volume ADD COLUMN kms_key_arn TEXT NOT NULL DEFAULT '';
