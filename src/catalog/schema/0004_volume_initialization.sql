-- volumes.h

ALTER TABLE volume ADD COLUMN initialization_rate BIGINT;
