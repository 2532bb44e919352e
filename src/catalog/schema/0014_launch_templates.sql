-- launch_templates.h

CREATE TABLE launch_template (
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  default_version BIGINT NOT NULL,
  latest_version BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE UNIQUE INDEX launch_template_name ON launch_template (region, account, name);

CREATE TABLE launch_template_version (
  region TEXT NOT NULL,
  template_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  description TEXT NOT NULL,
  image_id TEXT NOT NULL,
  parameters TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (region, template_id, version),
  FOREIGN KEY (region, template_id) REFERENCES launch_template (region, id) ON DELETE CASCADE
);
