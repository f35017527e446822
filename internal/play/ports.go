// Package play makes what a play instance of the whole system needs beside the servers themselves: a plan of
// unprivileged ports, a certificate authority of its own, two people with passwords, a first real mail between
// them, and the page of text that tells a newcomer what to type into a mail client (R44).
package play

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// DefaultBase is the port base that gives submission 2587, POP3 2110 and web 8080.
const DefaultBase = 2000

// blockedPort is the one port in reach of the pages that browsers refuse (https://fetch.spec.whatwg.org/#port-blocking).
const blockedPort = 10080

// chatPorts is how many chat ports a play instance has.
const chatPorts = 100

// Ports says which TCP port of the loopback address each service of a play instance has.
type Ports struct {
	Base                int // what all others are counted from
	Submission          int // SMTP with STARTTLS
	Submissions         int // SMTP in TLS
	POP3                int // POP3 with STLS
	POP3S               int // POP3 in TLS
	MX                  int // SMTP for mail from outside
	Web                 int // pages, http
	Health              int // /healthz
	ChatFirst, ChatLast int // the chat listeners, both included
}

// MinBase and MaxBase are the bases with which every port is above 1023 and below 32768.
const (
	MinBase = 1024 - 110
	MaxBase = 32768 - 22000 - chatPorts
)

// PortsFrom counts the ports from base. It refuses a base with which a port would be privileged, would not exist, or
// would lie where the kernel picks ports for outgoing connections (32768 and up).
func PortsFrom(base int) (Ports, error) {
	p := Ports{
		Base: base, Submission: base + 587, Submissions: base + 465, POP3: base + 110, POP3S: base + 995,
		MX: base + 525, Web: base + 6080, Health: base + 7180, ChatFirst: base + 22000, ChatLast: base + 22000 + chatPorts - 1,
	}
	if base < MinBase || base > MaxBase {
		return Ports{}, fmt.Errorf("--port-base %d does not work: it has to be from %d to %d, so that every port is above 1023 and below 32768",
			base, MinBase, MaxBase)
	}
	if p.Web == blockedPort {
		return Ports{}, fmt.Errorf("--port-base %d does not work: the pages would be on port %d, to which browsers refuse to connect; take %d", base, p.Web, base+100)
	}
	return p, nil
}

// Addr is port on the loopback address that every play service listens on.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Free tells whether every port of the plan, the chat ports aside, can be listened on. The error names the ports that cannot and
// the way out. Chat ports are left out because a chat whose port is taken runs through the web port.
func (p Ports) Free() error {
	var errs []error
	for _, s := range p.services() {
		ln, err := net.Listen("tcp", Addr(s.port))
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				err = errors.New("is in use by another program")
			}
			errs = append(errs, fmt.Errorf("port %d (%s) %w", s.port, s.name, err))
			continue
		}
		if err := ln.Close(); err != nil {
			errs = append(errs, fmt.Errorf("closing the trial listener on port %d: %w", s.port, err))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	other := p.Base + 1000
	if _, err := PortsFrom(other); err != nil {
		other = DefaultBase
	}
	return fmt.Errorf("%w\nAnother play instance may be running; stop that program, or move all ports together: chmail play --port-base %d",
		errors.Join(errs...), other)
}

func (p Ports) services() []struct {
	name string
	port int
} {
	return []struct {
		name string
		port int
	}{
		{"submission with STARTTLS", p.Submission}, {"submission in TLS", p.Submissions}, {"POP3 with STLS", p.POP3},
		{"POP3 in TLS", p.POP3S}, {"mail from outside", p.MX}, {"web", p.Web}, {"health", p.Health},
	}
}
