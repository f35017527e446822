package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// listen opens a listener on each address. Every failure is reported, each with its address, the configuration's key and what to do.
func listen(ctx context.Context, key string, addresses []string) ([]net.Listener, error) {
	var all []net.Listener
	var errs []error
	var lc net.ListenConfig
	for _, a := range addresses {
		ln, err := lc.Listen(ctx, "tcp", a)
		if err != nil {
			errs = append(errs, listenError(key, a, err))
			continue
		}
		all = append(all, ln)
	}
	return all, errors.Join(errs...)
}

// listenError says what keeps us from listening and what helps against it.
func listenError(key, address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest repeats the address
	}
	help := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		help = "; another program listens there (ss -ltnp shows which): stop it, or change " + key
	case errors.Is(err, fs.ErrPermission):
		help = "; ports below 1024 need a right of their own: setcap cap_net_bind_service=+ep on the program's file, " +
			"or AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		help = "; no interface of this computer has that address: correct " + key
	}
	return fmt.Errorf("%s: cannot listen on %s: %w%s", key, address, err, help)
}
