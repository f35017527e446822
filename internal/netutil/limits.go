package netutil

import (
	"errors"
	"os"
	"time"
)

// Limits bound one connection. A zero duration or number is no limit.
type Limits struct {
	Idle      time.Duration // longest wait for the peer's next octets; starts anew with each
	Write     time.Duration // longest time in which the peer takes 32 KiB of ours
	Handshake time.Duration // whole TLS handshake
	Life      time.Duration // from accept to the end, whatever happens
	MinRate   int64         // octets a second that a bulk transfer must keep up on average, after its first 15 s; see Conn.Bulk
	NoEOF     bool          // the peer's end is io.ErrUnexpectedEOF: for protocols that end by a command (libraries S1)
}

// rateGrace is the time that a bulk transfer has before its rate counts: a slow start is no attack.
const rateGrace = 15 * time.Second

// limitError is a limit that was reached. It is a timeout to whoever asks, as net.Error and os.ErrDeadlineExceeded are.
type limitError struct{ text string }

func (e *limitError) Error() string   { return e.text }
func (e *limitError) Timeout() bool   { return true }
func (e *limitError) Temporary() bool { return false }
func (e *limitError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded
}

// Why a connection ended by its own limits. All are timeouts (net.Error) and sticky.
var (
	ErrIdle     = &limitError{"the peer was silent for too long"}
	ErrStuck    = &limitError{"the peer did not take what was sent"}
	ErrTooSlow  = &limitError{"the peer fell below the minimum rate"}
	ErrLifeOver = &limitError{"the connection reached its longest life"}
)

var (
	// ErrShutdown is what reading returns once the server stops: the handler may still say goodbye.
	ErrShutdown = errors.New("the server is shutting down")
	// ErrPlaintext is what StartTLS returns when the peer sent more in plaintext behind the command: it would be
	// run as if it had come under TLS (STARTTLS injection, CVE-2011-0411).
	ErrPlaintext = errors.New("plaintext was sent behind STARTTLS")
	// ErrLineTooLong is what ReadLine returns when the limit is reached before a line end.
	ErrLineTooLong = errors.New("line too long")
	// ErrTooMuch is what reading returns when the peer sent more than SetReadCap allows.
	ErrTooMuch = errors.New("the peer sent more than it may")
)
