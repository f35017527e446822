package mailbox

import "chmail/internal/sqldb"

// blockSize is how many entry numbers share a row of mailbox_gap. It is in the data: not to be changed without carrying them over.
const blockSize = 1024

// Schema is the messages' and maildrops' part of the database. Rows point at each other without foreign keys: who points where is
// decided in this package alone, and the hot path is spared their look-ups.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "mailbox", Steps: []string{`
CREATE TABLE mailbox_message (
	id    INTEGER PRIMARY KEY,
	refs  INTEGER NOT NULL,         -- entries that point here; the last one takes the row along
	size  INTEGER NOT NULL,         -- octets as RETR sends them, dot-stuffing aside
	stamp TEXT NOT NULL DEFAULT '', -- what the stamp did, in words: message.Stored.Stamp; '' for what was not submitted here
	blob  TEXT,                     -- file that holds the bytes; NULL: they are in body
	body  BLOB,                     -- last: whoever wants another column need not read past it
	CHECK ((blob IS NULL) <> (body IS NULL))
) STRICT;
CREATE UNIQUE INDEX mailbox_message_blob ON mailbox_message(blob) WHERE blob IS NOT NULL;

CREATE TABLE mailbox_drop (
	id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again: a session must not wake up in somebody else's maildrop
	login    TEXT UNIQUE,                       -- NULL: removed, waits for the janitor
	count    INTEGER NOT NULL,
	octets   INTEGER NOT NULL,
	last     INTEGER NOT NULL,           -- number of the latest entry
	deletion INTEGER NOT NULL DEFAULT 0, -- number of the latest deletion
	purged   INTEGER NOT NULL DEFAULT 0, -- entries of deletions up to this one are removed; a session must not be older
	base     INTEGER NOT NULL DEFAULT 0  -- so many blocks at the beginning are gone altogether
) STRICT;

CREATE TABLE mailbox_entry (
	box     INTEGER NOT NULL,
	n       INTEGER NOT NULL, -- 1, 2, 3 … within the maildrop, in the order of commits
	message INTEGER NOT NULL,
	size    INTEGER NOT NULL, -- the message's, so that listing touches no message
	uid     TEXT    NOT NULL, -- what UIDL says, for ever
	deleted INTEGER NOT NULL DEFAULT 0, -- number of the deletion by which it went; 0: it is there
	PRIMARY KEY (box, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailbox_entry_deleted ON mailbox_entry(box, deleted) WHERE deleted > 0;

-- How many entries of a block went by a deletion; 0 collects those whose entries are removed.
CREATE TABLE mailbox_gap (
	box      INTEGER NOT NULL,
	block    INTEGER NOT NULL, -- (n - 1) / 1024
	deletion INTEGER NOT NULL,
	count    INTEGER NOT NULL,
	PRIMARY KEY (box, block, deletion)
) STRICT, WITHOUT ROWID;

-- Deletions whose entries are not removed yet.
CREATE TABLE mailbox_deletion (
	box      INTEGER NOT NULL,
	deletion INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	PRIMARY KEY (box, deletion)
) STRICT, WITHOUT ROWID;
`, `
-- The runs of the server that have brought blobs: what bears the name of one is this database's, though no message names it any more. A few octets for each start.
CREATE TABLE mailbox_run (
	run TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
`}}
}
