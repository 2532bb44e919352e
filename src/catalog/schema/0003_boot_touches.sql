-- boot_touches.h

CREATE TABLE boot_touches (
  region TEXT NOT NULL,
  image_id TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  touches TEXT NOT NULL,
  noted BIGINT NOT NULL,
  PRIMARY KEY (region, image_id, instance_id)
);
