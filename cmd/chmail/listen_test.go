package main

import (
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestEveryAddressThatFailsIsNamedWithTheWayOut(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	all, err := listen(t.Context(), "smtp.mx.listen", []string{"127.0.0.1:0", taken.Addr().String(), "192.0.2.1:2525"})
	for _, ln := range all {
		defer ln.Close()
	}
	if len(all) != 1 || err == nil {
		t.Fatalf("%d listeners, %v; want one, and an error for two", len(all), err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], taken.Addr().String()) || !strings.Contains(lines[0], "another program listens there") ||
		!strings.Contains(lines[1], "192.0.2.1:2525") || !strings.Contains(lines[1], "smtp.mx.listen") {
		t.Errorf("the faults:\n%v", err)
	}
}

func TestAPrivilegedPortSaysHowToGetTheRight(t *testing.T) {
	t.Parallel()
	err := listenError("smtp.mx.listen", ":25", &net.OpError{Op: "listen", Err: &fs.PathError{Op: "bind", Err: syscall.EACCES}})
	for _, want := range []string{":25", "smtp.mx.listen", "setcap", "AmbientCapabilities"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
