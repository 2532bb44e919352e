-- iam.h: users, groups, roles and instance profiles of accounts, their policies and keys. Not regional.

ALTER TABLE access_key ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE access_key ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX access_key_user_id ON access_key (user_id);

CREATE TABLE iam_identity (
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  path TEXT NOT NULL,
  description TEXT NOT NULL,
  trust_policy TEXT NOT NULL,
  max_session_seconds BIGINT NOT NULL,
  boundary TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (account, kind, name)
);
CREATE UNIQUE INDEX iam_identity_id ON iam_identity (id);

CREATE TABLE iam_member (
  holder_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  PRIMARY KEY (holder_id, member_id)
);
CREATE INDEX iam_member_member_id ON iam_member (member_id);

CREATE TABLE iam_policy (
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  path TEXT NOT NULL,
  description TEXT NOT NULL,
  default_version BIGINT NOT NULL,
  last_version BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (account, name)
);
CREATE UNIQUE INDEX iam_policy_id ON iam_policy (id);

CREATE TABLE iam_policy_version (
  policy_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  document TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (policy_id, version)
);

CREATE TABLE iam_attachment (
  identity_id TEXT NOT NULL,
  policy_arn TEXT NOT NULL,
  attached BIGINT NOT NULL,
  PRIMARY KEY (identity_id, policy_arn)
);
CREATE INDEX iam_attachment_policy_arn ON iam_attachment (policy_arn);

CREATE TABLE iam_inline_policy (
  identity_id TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (identity_id, name)
);

CREATE TABLE iam_tag (
  owner_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner_id, key)
);
