-- Every stream that was ever fenced. `pruned`: its records up to this number are forgotten.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    pruned INTEGER NOT NULL
) STRICT;

-- The youngest records of all streams, in the order in which they came: a commit of many streams touches few pages.
CREATE TABLE tail (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- All older records, many in a row: for each its epoch and its length as numbers of variable length, and its bytes.
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX blocks_by_stream ON blocks (stream, last);

CREATE TABLE snapshots (
    stream INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- What other processes ask of the owner of the store.
CREATE TABLE requests (
    id BLOB NOT NULL PRIMARY KEY,
    wall INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT
