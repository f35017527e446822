package chbroker

import "chmail/internal/sqldb"

// Schema is the broker's part of the database: what must survive a restart. A stolen copy opens no link; it does tell who was where last.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "chbroker", Steps: []string{firstTables, `
-- How the login's mail clients poll, JSON: when each last did and the seconds between its last polls. '' for none.
ALTER TABLE chbroker_seen ADD COLUMN rhythms TEXT NOT NULL DEFAULT '';
`}}
}

const firstTables = `
-- The last sign of each login. That there is a row tells "off" from "unknown".
CREATE TABLE chbroker_seen (
	login  TEXT    NOT NULL PRIMARY KEY,
	ip     TEXT    NOT NULL,
	host   TEXT    NOT NULL,
	source TEXT    NOT NULL,
	seen   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Logins that do not want to be disturbed. A row whose time is over means nothing.
CREATE TABLE chbroker_rest (
	login TEXT    NOT NULL PRIMARY KEY,
	until INTEGER NOT NULL -- 0: until it is switched off
) STRICT, WITHOUT ROWID;

-- The number that a login keeps. Its lease in the port map is renewed from here.
CREATE TABLE chbroker_port (
	host    TEXT    NOT NULL,
	port    INTEGER NOT NULL,
	login   TEXT    NOT NULL,
	number  INTEGER NOT NULL, -- of the lease; grows with every change of owner
	used    INTEGER NOT NULL, -- last use, to within minutes
	until   INTEGER NOT NULL, -- end of the lease
	carried INTEGER NOT NULL, -- no link that carries the port expires after this
	PRIMARY KEY (host, port)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX chbroker_port_login ON chbroker_port(host, login);

CREATE TABLE chbroker_link (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again: conversations and calls name their link by it
	hash       BLOB,             -- SHA-256 of the token; NULL: a mail that went out without a link
	login      TEXT    NOT NULL,
	message_id TEXT    NOT NULL,
	subject    TEXT    NOT NULL,
	refs       TEXT    NOT NULL,
	from_name  TEXT    NOT NULL,
	recipients INTEGER NOT NULL,
	stamp      TEXT    NOT NULL, -- what the stamp did to the mail, in words
	sent       INTEGER NOT NULL,
	created    INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	revoked    INTEGER NOT NULL DEFAULT 0, -- when; 0: not
	terms      TEXT    NOT NULL DEFAULT '' -- on which its owner is rung, as in call.Terms; '': those of his account
) STRICT;

-- The indexes of links, by token and by owner. Filled by each mail they would cost it two pages at random places; so the keeper fills them for
-- thousands of links at once, in their own order (index.go).
CREATE TABLE chbroker_token (
	hash BLOB    NOT NULL PRIMARY KEY, -- the first half of the link's
	link INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE chbroker_mail (
	login TEXT    NOT NULL,
	link  INTEGER NOT NULL,
	PRIMARY KEY (login, link)
) STRICT, WITHOUT ROWID;
CREATE TABLE chbroker_indexed (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	link INTEGER NOT NULL -- the newest link that both indexes have
) STRICT;

-- Calls. One that is neither over nor answered when the program starts was cut off by its end.
CREATE TABLE chbroker_call (
	id     TEXT    NOT NULL PRIMARY KEY,
	conv   TEXT    NOT NULL,
	login  TEXT    NOT NULL,
	link   INTEGER NOT NULL, -- row of chbroker_link
	who    TEXT    NOT NULL,
	opened INTEGER NOT NULL, -- the reader's page
	began  INTEGER NOT NULL, -- intent
	ready  INTEGER NOT NULL, -- when it was first due to ring; 0: it was not
	state  TEXT    NOT NULL, -- what the reader was told last
	over   INTEGER NOT NULL, -- 1: nothing more will happen in it
	told   INTEGER NOT NULL, -- 1: a device of the owner has alerted
	word   INTEGER NOT NULL, -- 0: none is due, 1: due, 2: left, 3: refused for good
	"left" INTEGER NOT NULL, -- when word was left; 0: not
	missed INTEGER NOT NULL, -- 0: not, 1: the owner has not been shown it yet, 2: he has, or so many were missed later that it is not shown
	crowd  INTEGER NOT NULL  -- 1: its reader found the owner's door full; it was over as it began, and is told of with others like it
) STRICT, WITHOUT ROWID;
CREATE INDEX chbroker_call_began ON chbroker_call(began);

-- Logins whose account was removed. Their links of before are dead. A row stays while there are such links, and for a day: what was still under way in
-- memory does not come back into the tables.
CREATE TABLE chbroker_removed (
	login TEXT    NOT NULL PRIMARY KEY,
	at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
