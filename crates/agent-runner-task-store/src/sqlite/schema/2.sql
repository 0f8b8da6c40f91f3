-- The names of locks become resources, as patterns of paths are: `=name` and `~pattern`.
-- In `task.marks`, bit 1 is now "wants resources", and bit 2 "some of them are patterns".
CREATE TABLE want (
    seq INTEGER NOT NULL,
    resource TEXT NOT NULL,
    PRIMARY KEY (seq, resource)
) STRICT, WITHOUT ROWID;
INSERT INTO want SELECT seq, '=' || name FROM lock;
DROP TABLE lock;

-- The resources that cannot be taken now, and the running task that is in the way: it has taken
-- them itself (`own`), or it has taken one that was seen to conflict with them.
CREATE TABLE closed (
    resource TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    own INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX closed_seq ON closed (seq);
CREATE INDEX closed_pattern ON closed (resource, seq) WHERE own = 1 AND resource >= '~';
INSERT INTO closed SELECT '=' || name, seq, 1 FROM held;
DROP TABLE held;

-- The parked tasks, by the closed resource that they want.
ALTER TABLE waiter RENAME COLUMN name TO resource;
UPDATE waiter SET resource = '=' || resource;
