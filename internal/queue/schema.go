package queue

import "chmail/internal/sqldb"

// Schema is the queue's part of the database. Times are Unix milliseconds.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "queue", Steps: []string{`
CREATE TABLE queue_mail (
	id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again: a verdict that comes late must not meet another mail
	qid       TEXT    NOT NULL UNIQUE,           -- the queue id that its sender was told
	message   INTEGER NOT NULL,                  -- where its bytes are, of which the queue is one holder
	size      INTEGER NOT NULL,                  -- octets as stored,
	skip      INTEGER NOT NULL,                  -- of which so many on top do not go out
	sender    TEXT    NOT NULL,                  -- envelope sender; '' is the null sender
	login     TEXT    NOT NULL,                  -- who submitted it; '' for the system's own
	ret       TEXT    NOT NULL,
	envid     TEXT    NOT NULL,
	flags     INTEGER NOT NULL,                  -- eightBit, utf8, requireTLS, anyTLS
	at        INTEGER NOT NULL,                  -- when it was accepted
	signature BLOB                               -- what DKIM puts on top; NULL: not signed yet
) STRICT;
CREATE INDEX queue_mail_login ON queue_mail(login);

CREATE TABLE queue_rcpt (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	mail        INTEGER NOT NULL,
	address     TEXT    NOT NULL,
	notify      TEXT    NOT NULL,
	orcpt       TEXT    NOT NULL,
	destination TEXT    NOT NULL,           -- where it goes: a domain, an address literal, "smarthost:NAME"
	held        TEXT    NOT NULL DEFAULT '', -- why it waits for somebody's word; '': it does not
	next        INTEGER NOT NULL,           -- when it is tried next
	owner       INTEGER NOT NULL DEFAULT 0, -- the run of the program that has it in work; 0: none
	tries       INTEGER NOT NULL DEFAULT 0,
	told        INTEGER NOT NULL DEFAULT 0  -- its sender knows that it is late
) STRICT;
CREATE INDEX queue_rcpt_mail ON queue_rcpt(mail);
CREATE INDEX queue_rcpt_next ON queue_rcpt(next, destination) WHERE held = '' AND owner = 0;
CREATE INDEX queue_rcpt_destination ON queue_rcpt(destination, next) WHERE held = '' AND owner = 0;

-- What was tried, for whoever asks why a mail is still here. It goes with its recipient.
CREATE TABLE queue_try (
	rcpt     INTEGER NOT NULL,
	n        INTEGER NOT NULL, -- 1, 2, 3 …
	at       INTEGER NOT NULL,
	took     INTEGER NOT NULL, -- milliseconds
	remote   TEXT    NOT NULL,
	tls      TEXT    NOT NULL,
	code     INTEGER NOT NULL,
	enhanced TEXT    NOT NULL,
	text     TEXT    NOT NULL,
	PRIMARY KEY (rcpt, n)
) STRICT, WITHOUT ROWID;

-- How much a login has sent to other hosts on a day (days since 1970, UTC), and to how many addresses for the first time.
CREATE TABLE queue_day (
	login      TEXT    NOT NULL,
	day        INTEGER NOT NULL,
	recipients INTEGER NOT NULL,
	strangers  INTEGER NOT NULL,
	PRIMARY KEY (login, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_day_day ON queue_day(day);

-- Whom a login has written to, with the day of the latest mail.
CREATE TABLE queue_met (
	login   TEXT    NOT NULL,
	address TEXT    NOT NULL,
	day     INTEGER NOT NULL,
	PRIMARY KEY (login, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_met_day ON queue_met(day);

-- Logins whose mail waits for an administrator's word.
CREATE TABLE queue_stop (
	login TEXT    NOT NULL PRIMARY KEY,
	at    INTEGER NOT NULL,
	why   TEXT    NOT NULL,
	told  INTEGER NOT NULL DEFAULT 0 -- the postmaster knows
) STRICT, WITHOUT ROWID;

-- Every run of the program has a number; what an earlier one had in work is free again.
CREATE TABLE queue_run (run INTEGER NOT NULL) STRICT; INSERT INTO queue_run (run) VALUES (0);
` + heldIndex}}
}
