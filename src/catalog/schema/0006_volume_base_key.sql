-- volumes.h

ALTER TABLE volume ADD COLUMN base_key_arn TEXT NOT NULL DEFAULT '';
