package acme

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"chmail/internal/sqldb"
)

// Authority is who gives the certificates, and in whose name they are asked for.
type Authority struct {
	Directory string         // URL of its ACME directory; "": Let's Encrypt
	Email     string         // of the account there; "": none is told
	Roots     *x509.CertPool // who vouches for the directory's own certificate; nil: whom this computer trusts
}

// Options are what a Manager needs.
type Options struct {
	DB        *sqldb.DB // carries Schema
	Authority Authority // whose terms have been agreed to
	// Names are what certificates are asked for, each its own. The first is shown where a client names none, or another.
	Names []string
	// Solve is the challenge by which a name is proved: TLSALPN or HTTP. At is the address and port here that the authority's question arrives at, where somebody
	// listens who has WebTLS, or Handler.
	Solve, At string
	Resolver  Resolver      // nil: the system's
	Check     time.Duration // how often it is looked whether a certificate is to be renewed; 0: 10 minutes
	Look      time.Duration // how often a name that the DNS does not know is looked for again, and what the database does not give; 0: 2 minutes
	// Again is after what time a name is begun anew that the authority has refused though its trial directory has not; twice as long each time, up to six times this.
	// 0: 1 hour, since Let's Encrypt lets five proofs of a name fail in one.
	Again time.Duration
	Log   *slog.Logger // nil: slog.Default()
}

// mostAgain is how many times Again the longest pause is.
const mostAgain = 6

// The challenges.
const (
	TLSALPN = "tls-alpn" // TLS-ALPN-01, on port 443 as seen from outside
	HTTP    = "http"     // HTTP-01, on port 80
)

// Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// fill takes the defaults, and takes At apart.
func (o *Options) fill() (host string, port int, err error) {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Check <= 0 {
		o.Check = 10 * time.Minute
	}
	if o.Look <= 0 {
		o.Look = 2 * time.Minute
	}
	if o.Again <= 0 {
		o.Again = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Solve != TLSALPN && o.Solve != HTTP {
		return "", 0, fmt.Errorf("the challenge %q is not known", o.Solve)
	}
	host, service, err := net.SplitHostPort(o.At)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(service); err != nil {
		return "", 0, err
	}
	return host, port, nil
}
