//go:build unix

package admin

import "syscall"

// private gives a socket its mode before it has a name: Linux takes over the mode of the socket itself, so that there is no moment in which others
// could connect. Systems that refuse this get the mode afterwards, in a data folder that is closed to others anyway.
func private(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.Fchmod(int(fd), 0o600) // see above
	})
}
