-- parameters.h: named values, each with its versions. The public ones are of no account: ''.

CREATE TABLE parameter_version (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  latest BIGINT NOT NULL,
  type TEXT NOT NULL,
  value TEXT NOT NULL,
  data_type TEXT NOT NULL,
  tier TEXT NOT NULL,
  key TEXT NOT NULL,
  description TEXT NOT NULL,
  allowed_pattern TEXT NOT NULL,
  modified_by TEXT NOT NULL,
  modified BIGINT NOT NULL,
  PRIMARY KEY (region, account, name, version)
);
CREATE UNIQUE INDEX parameter_version_latest ON parameter_version (region, account, name) WHERE latest = 1;
CREATE INDEX parameter_version_image ON parameter_version (region, account, value) WHERE data_type = 'aws:ec2:image';

CREATE TABLE parameter_label (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  label TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (region, account, name, label)
);

CREATE TABLE parameter_tag (
  region TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (region, account, name, key)
);
