-- Times are milliseconds since 1970, UTC. States are those of `State` in state.rs.

-- What changes often: small rows. `seq` is the order of adding.
CREATE TABLE task (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    unmet INTEGER NOT NULL,         -- dependencies that have not succeeded
    due INTEGER NOT NULL,           -- not before this time; 0 is at once
    marks INTEGER NOT NULL,         -- bit 0: has tags, bit 1: has locks
    max_attempts INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    recoveries INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    finished INTEGER,
    -- The claim; meaningful while the task runs.
    nonce INTEGER,
    worker INTEGER,
    started INTEGER,
    lease INTEGER,
    lease_until INTEGER,
    allowed_attempts INTEGER,
    allowed_recoveries INTEGER,
    cancel INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX task_ready ON task (priority DESC, seq) WHERE state = 0;
CREATE INDEX task_delayed ON task (due) WHERE state = 2;
CREATE INDEX task_lease ON task (lease_until) WHERE state = 4;
CREATE INDEX task_state ON task (state, seq);

-- What seldom changes: the content as JSON.
CREATE TABLE spec (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    content TEXT NOT NULL,
    key TEXT,
    source TEXT
) STRICT;
CREATE UNIQUE INDEX spec_key ON spec (key) WHERE key IS NOT NULL;

CREATE TABLE dep (
    task INTEGER NOT NULL,
    needs INTEGER NOT NULL,
    PRIMARY KEY (task, needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX dep_needs ON dep (needs, task);

CREATE TABLE tag (
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (seq, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_name ON tag (name, seq);

-- The ready tasks that have tags, in the order of claiming: `rank` is the negative priority.
CREATE TABLE ready_tag (
    name TEXT NOT NULL,
    rank INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, rank, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE lock (
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (seq, name)
) STRICT, WITHOUT ROWID;

-- The locks of the running tasks.
CREATE TABLE held (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX held_seq ON held (seq);

-- The parked tasks by the lock that is in their way: once for everybody (tag '') and once for
-- each of their tags ('#tag'), so that a release can wake the first for every kind of claim.
CREATE TABLE waiter (
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    rank INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, tag, rank, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiter_seq ON waiter (seq);

CREATE TABLE worker (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    number INTEGER NOT NULL,
    UNIQUE (run, host, pid, number)
) STRICT;

-- The attempts that have ended; the running one is in `task`.
CREATE TABLE attempt (
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- How many tasks are in each state, kept in step by every transaction.
CREATE TABLE counter (
    state INTEGER PRIMARY KEY,
    tasks INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0);

CREATE TABLE numbering (
    next INTEGER NOT NULL
) STRICT;
INSERT INTO numbering VALUES (1);
