-- organizations.h: organisations of accounts. Not regional.

CREATE TABLE organization (
  id TEXT NOT NULL,
  master_account TEXT NOT NULL,
  feature_set TEXT NOT NULL,
  root_id TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE organization_unit (
  id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  name TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX organization_unit_name ON organization_unit (parent_id, name);
CREATE INDEX organization_unit_organization_id ON organization_unit (organization_id);

-- An account is in one organisation at most.
CREATE TABLE organization_member (
  account TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  email TEXT NOT NULL,
  joined_method TEXT NOT NULL,
  joined BIGINT NOT NULL,
  PRIMARY KEY (account)
);
CREATE INDEX organization_member_organization_id ON organization_member (organization_id);

CREATE TABLE account_creation (
  id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  account TEXT NOT NULL,
  failure_reason TEXT NOT NULL,
  requested BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX account_creation_organization_id ON account_creation (organization_id);

CREATE TABLE organization_invitation (
  id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  account TEXT NOT NULL,
  state TEXT NOT NULL,
  notes TEXT NOT NULL,
  requested BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX organization_invitation_organization_id ON organization_invitation (organization_id);
CREATE INDEX organization_invitation_account ON organization_invitation (account);
