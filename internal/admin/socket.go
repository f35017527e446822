package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrRunning says that a server answers on the control socket already.
var ErrRunning = errors.New("a server runs on this data already")

// ErrNoServer says that nobody answers on the control socket: no server runs on that data, and a verb may open it itself.
var ErrNoServer = errors.New("no server runs on this data")

// probeTime is what a server has to accept a connection. It needs no time at all, so whoever takes longer is stopped or stuck.
const probeTime = 2 * time.Second

// ListenControl makes the control socket at path, open to its owner only from its first moment on. A file that a killed server has left is
// replaced; one on which somebody answers is ErrRunning. The caller holds the data's lock, so that no two do this at the same time.
func ListenControl(ctx context.Context, path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("looking for the control socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is in the way of the control socket and is no socket: move it away", path)
	default:
		conn, err := dial(ctx, path)
		switch {
		case err == nil:
			return nil, errors.Join(fmt.Errorf("%s: %w", path, ErrRunning), conn.Close())
		case !errors.Is(err, ErrNoServer):
			return nil, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the control socket of a server that has gone: %w", err)
		}
	}
	lc := net.ListenConfig{Control: private}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("making the control socket %s: %w", path, err)
	}
	// Where the system takes no notice of private.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("closing the control socket to others: %w", err), ln.Close())
	}
	return ln, nil
}

// dial connects to the control socket. ErrNoServer when there is none, or nobody behind it.
func dial(ctx context.Context, path string) (net.Conn, error) {
	d := net.Dialer{Timeout: probeTime}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%s: %w", path, ErrNoServer)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("asking the server: %s is open to the user only under whom it runs: %w", path, err)
	}
	return nil, fmt.Errorf("asking the server: %w", err)
}
