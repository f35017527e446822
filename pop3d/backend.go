package pop3d

import (
	"context"
	"io"
	"iter"
	"net/netip"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/scram"
)

// Accounts checks passwords. Delays against guessing, and equal time for logins that do not exist, happen in here.
type Accounts interface {
	scram.People
	// Authenticate returns the canonical login when the password is right. An error means that it could not be found out: trouble of
	// ours, or a *message.Refusal that is told as it is.
	Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error)
	// Version names the present password of a login, in any spelling, without saying anything about it. A session that was begun under another one is over, as is one whose
	// account is gone (ok false).
	Version(ctx context.Context, login string) (version string, ok bool, err error)
}

// Maildrops opens maildrops.
type Maildrops interface {
	// Open returns the maildrop of a login as it is at this moment. It never refuses because another session has it
	// open (hazards 22). The Maildrop must not be nil when the error is.
	Open(ctx context.Context, login string) (Maildrop, error)
}

// Maildrop is one session's snapshot of a maildrop: its messages are numbered 1 to n without a gap and nothing that others
// do changes what is seen here. It is used by one goroutine.
type Maildrop interface {
	Counter
	Lister
	Reader
	Expunger
	io.Closer // ends the snapshot; nothing is deleted by it
}

// Counter tells how much there is.
type Counter interface {
	// Stat returns the number of messages and the sum of their octets.
	Stat() (n int, octets int64)
}

// Lister tells what the messages are called and how large they are.
type Lister interface {
	// Entry returns message n.
	Entry(ctx context.Context, n int) (message.Entry, error)
	// List yields message from and all that follow, in order, until yield returns false. A listing is asked for by the
	// page, so that yield never waits for the network.
	List(ctx context.Context, from int, yield func(message.Entry) bool) error
}

// Reader reads messages.
type Reader interface {
	// Read opens the bytes of message n: exactly Entry.Size of them, CRLF line ends, not dot-stuffed.
	Read(ctx context.Context, n int) (io.ReadCloser, error)
}

// Expunger deletes messages.
type Expunger interface {
	// Expunge deletes the messages of these numbers, which come in ascending order. They are durably gone when it returns nil. After an error
	// some of very many may be gone, the others stay (RFC 1939 6 allows both).
	Expunge(ctx context.Context, numbers iter.Seq[int]) error
}

// Presence takes signs of life. It returns within 50 ms whatever happens behind it (design 7).
type Presence interface {
	Seen(ctx context.Context, s call.Sign)
}
