package chatd

import "chmail/internal/sqldb"

// Schema is chatd's part of the database. It holds no right: a conversation's id opens nothing, and of a visitor's cookie or a
// terminal's code there is only the hash. What people say may hold one: the code by which an owner invites another reader works for ten minutes.
func Schema() sqldb.Schema { return sqldb.Schema{Room: "chatd", Steps: []string{tables}} }

const tables = `
CREATE TABLE chatd_conversation (
	key     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- never given again: a room that outlives its row must not write to another's
	id      TEXT    NOT NULL UNIQUE,
	link    INTEGER NOT NULL,  -- the broker's
	visitor BLOB    NOT NULL,  -- SHA-256 of what the visitor presents
	login   TEXT    NOT NULL,  -- the owner
	name    TEXT    NOT NULL,  -- the visitor's, '' when he gave none
	about   TEXT    NOT NULL,  -- the mail's subject
	owner   TEXT    NOT NULL,  -- how the owner is called there
	state   TEXT    NOT NULL,  -- of the call
	said    TEXT    NOT NULL,  -- the beginning of what was said last
	last    INTEGER NOT NULL,  -- number of the newest event
	seen    INTEGER NOT NULL,  -- number of the newest event that the owner has seen
	sent    INTEGER NOT NULL DEFAULT 0, -- and of the newest that the owner has been sent a transcript of
	shown   INTEGER NOT NULL DEFAULT 0, -- and of the newest that the visitor's page has shown him
	size    INTEGER NOT NULL,  -- bytes of all texts
	epoch   INTEGER NOT NULL,  -- which taking of the conversation holds: its owning process writes with this number
	created INTEGER NOT NULL,
	at      INTEGER NOT NULL,  -- of the newest event
	UNIQUE (link, visitor, login)
) STRICT;
CREATE INDEX chatd_conversation_login ON chatd_conversation(login, at);
CREATE TABLE chatd_event (
	conv INTEGER NOT NULL REFERENCES chatd_conversation(key),
	n    INTEGER NOT NULL,     -- 1, 2, 3 … without a gap
	kind TEXT    NOT NULL,
	side TEXT    NOT NULL,     -- visitor, owner or guest.N
	cid  TEXT,                 -- the client's own id of a message
	at   INTEGER NOT NULL,
	text TEXT    NOT NULL,     -- of a message: as it was changed last, '' once it was taken back
	of   INTEGER,              -- number of the message that is changed or taken back
	PRIMARY KEY (conv, n)
) STRICT, WITHOUT ROWID;
-- How calls went: the states of a conversation's call, the latest ones.
CREATE TABLE chatd_move (
	conv  INTEGER NOT NULL REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	k     INTEGER NOT NULL,    -- 1, 2, 3 …
	n     INTEGER NOT NULL,    -- number of the event behind which it was
	state TEXT    NOT NULL,
	at    INTEGER NOT NULL,
	PRIMARY KEY (conv, k)
) STRICT, WITHOUT ROWID;
-- Further browsers in which a visitor has a conversation.
CREATE TABLE chatd_device (
	link    INTEGER NOT NULL,
	visitor BLOB    NOT NULL,  -- whom that browser would be otherwise
	conv    INTEGER NOT NULL REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	PRIMARY KEY (link, visitor)
) STRICT, WITHOUT ROWID;
CREATE INDEX chatd_device_conv ON chatd_device(conv);
CREATE INDEX chatd_device_visitor ON chatd_device(visitor);
-- Whom owners have brought into conversations.
CREATE TABLE chatd_guest (
	conv    INTEGER NOT NULL REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	n       INTEGER NOT NULL,  -- 1, 2, 3 …
	visitor BLOB    NOT NULL,  -- SHA-256 of what he presents
	name    TEXT    NOT NULL,  -- '' when he gave none
	since   INTEGER NOT NULL,  -- number of the first event that he may see
	away    INTEGER NOT NULL,  -- the owner has sent him away
	login   TEXT    NOT NULL DEFAULT '', -- of a colleague; '' for who came by a code
	PRIMARY KEY (conv, n),
	UNIQUE (conv, visitor)
) STRICT, WITHOUT ROWID;
CREATE INDEX chatd_guest_visitor ON chatd_guest(visitor);
CREATE INDEX chatd_guest_login ON chatd_guest(login) WHERE login <> '';
-- Codes by which somebody comes into a conversation.
CREATE TABLE chatd_code (
	hash   BLOB    NOT NULL PRIMARY KEY,
	kind   TEXT    NOT NULL,   -- what it is for: carry or invite
	whole  INTEGER NOT NULL DEFAULT FALSE, -- whoever is invited sees what was said before
	conv   INTEGER NOT NULL REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	sealed BLOB    NOT NULL,   -- what goes with it, under the code itself
	until  INTEGER NOT NULL,
	used   BLOB                -- by whom
) STRICT, WITHOUT ROWID;
CREATE INDEX chatd_code_conv ON chatd_code(conv);
CREATE INDEX chatd_code_until ON chatd_code(until);
-- Colleagues who are invited into a conversation.
CREATE TABLE chatd_invitation (
	id    TEXT    NOT NULL PRIMARY KEY, -- names it, and opens nothing without the login
	conv  INTEGER NOT NULL REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	login TEXT    NOT NULL,   -- who is invited
	whole INTEGER NOT NULL,   -- he sees what was said before
	until INTEGER NOT NULL,
	used  BLOB,               -- by which of his browsers
	UNIQUE (conv, login)
) STRICT, WITHOUT ROWID;
CREATE INDEX chatd_invitation_login ON chatd_invitation(login);
CREATE INDEX chatd_invitation_until ON chatd_invitation(until);
-- The mail addresses of visitors.
CREATE TABLE chatd_address (
	conv      INTEGER NOT NULL PRIMARY KEY REFERENCES chatd_conversation(key) ON DELETE CASCADE,
	proved    TEXT    NOT NULL, -- '': none
	pending   TEXT    NOT NULL, -- the one to which a code was mailed; '': none
	hash      BLOB    NOT NULL, -- of that code
	tries     INTEGER NOT NULL, -- to type it
	until     INTEGER NOT NULL,
	language  TEXT    NOT NULL,
	mailed    INTEGER NOT NULL, -- number of the newest event that he has been mailed
	mailed_at INTEGER NOT NULL
) STRICT;
-- Whom an owner has blocked.
CREATE TABLE chatd_block (
	login   TEXT    NOT NULL,
	visitor BLOB    NOT NULL,  -- as in his conversations
	conv    TEXT    NOT NULL,  -- id of the one in which he was blocked; it may be gone
	name    TEXT    NOT NULL,  -- and what it was called
	about   TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (login, visitor)
) STRICT, WITHOUT ROWID;
-- Canned answers.
CREATE TABLE chatd_phrase (
	id    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	login TEXT    NOT NULL,
	text  TEXT    NOT NULL,
	at    INTEGER NOT NULL
) STRICT;
CREATE INDEX chatd_phrase_login ON chatd_phrase(login, id);
-- Files that were sent, and those on their way.
CREATE TABLE chatd_file (
	key    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	id     TEXT    NOT NULL UNIQUE, -- names it in addresses, and opens nothing
	conv   INTEGER REFERENCES chatd_conversation(key), -- whose it is from the beginning; NULL once it is nobody's, and only to be removed
	login  TEXT    NOT NULL,        -- the conversation's owner, on whose account it counts
	side   TEXT    NOT NULL,        -- who sends it
	n      INTEGER,                 -- the event that it became; NULL before
	type   TEXT    NOT NULL,
	size   INTEGER NOT NULL,        -- bytes
	width  INTEGER NOT NULL,        -- pixels of a picture, 0 otherwise
	height INTEGER NOT NULL,
	begun  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX chatd_file_event ON chatd_file(conv, n);
CREATE INDEX chatd_file_login ON chatd_file(login, size);
CREATE INDEX chatd_file_begun ON chatd_file(begun) WHERE n IS NULL;
CREATE TABLE chatd_piece (
	file  INTEGER NOT NULL REFERENCES chatd_file(key),
	i     INTEGER NOT NULL, -- 0, 1, 2 …
	bytes BLOB    NOT NULL,
	PRIMARY KEY (file, i)
) STRICT;
CREATE INDEX chatd_event_of ON chatd_event(conv, of) WHERE of IS NOT NULL;
CREATE UNIQUE INDEX chatd_event_cid ON chatd_event(conv, side, cid) WHERE cid IS NOT NULL;
`
