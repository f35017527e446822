package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"chmail/config"
	"chmail/internal/acme"
	"chmail/internal/admin"
	"chmail/internal/netutil"
	"chmail/internal/relay"
	"chmail/internal/sqldb"
	"chmail/internal/web"
)

// certificates are what the server proves itself with.
type certificates struct {
	mail  *tls.Config // submission and POP3
	mx    *tls.Config // port 25
	chat  *tls.Config // chat ports; nil where those speak plain HTTP, on loopback only
	pages *tls.Config // the same of the web port

	acme   *acme.Manager // nil: they are in files
	answer *web.Server   // answers the authority on port 80; nil where it asks on the web port
}

// loadCertificates finds them in the configuration's files, or has an authority asked for them, once the ports are open.
func loadCertificates(cfg *config.Config, db *sqldb.DB, log *slog.Logger) (*certificates, error) {
	k := new(certificates)
	var show, showMX func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	if cfg.TLS.ACME.Agree {
		var err error
		if k.acme, err = newManager(cfg, db, log); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		show, showMX = k.acme.GetCertificate, k.acme.GetCertificateMX
	} else {
		c, err := netutil.LoadCertificate(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.Log = log
		show, showMX = c.GetCertificate, c.GetCertificate
	}
	k.mail, k.mx = netutil.TLSConfig(show, true), netutil.TLSConfig(showMX, false)
	if cfg.Secure() {
		k.chat, k.pages = netutil.TLSConfig(show, true), netutil.TLSConfig(show, true)
	}
	if k.acme == nil {
		return k, nil
	}
	if k.pages != nil {
		k.pages = k.acme.Prove(k.pages)
	}
	if cfg.TLS.ACME.Challenge == config.ByHTTP {
		port := ""
		if cfg.Secure() {
			port = strconv.Itoa(webPort(cfg))
		}
		k.answer = web.NewServer(web.ServerOptions{Handler: k.acme.Handler(port), Log: log})
	}
	return k, nil
}

// newManager makes the one who has the authority asked.
func newManager(cfg *config.Config, db *sqldb.DB, log *slog.Logger) (*acme.Manager, error) {
	a := cfg.TLS.ACME
	roots, err := trusted(a.CA)
	if err != nil {
		return nil, err
	}
	o := acme.Options{
		DB: db, Log: log, Names: certifiedNames(cfg), Solve: acme.TLSALPN, At: cfg.Chat.Listen[0],
		Authority: acme.Authority{Directory: a.Directory, Email: a.Email, Roots: roots},
	}
	if a.Challenge == config.ByHTTP {
		o.Solve, o.At = acme.HTTP, a.HTTPListen
	}
	if cfg.Relay.Resolver != "" {
		o.Resolver = addresses{relay.NewDNS([]string{cfg.Relay.Resolver}, false)}
	}
	return acme.New(o)
}

// addresses asks the configuration's name server for those of a name.
type addresses struct{ relay.Resolver }

// LookupNetIP finds the addresses of a name.
func (a addresses) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	all, err := a.LookupIPAddr(ctx, host)
	return convert(all, func(ip net.IPAddr) netip.Addr {
		addr, _ := netip.AddrFromSlice(ip.IP)
		return addr.Unmap()
	}), err
}

// certifiedNames are those under which others come to this server by TLS; the hostname is the first.
func certifiedNames(cfg *config.Config) []string {
	names := []string{cfg.Hostname}
	add := func(name string) {
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err != nil && name != "localhost" && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if !cfg.Secure() {
		return names
	}
	add(chatHost(cfg))
	for _, d := range cfg.Domains {
		if len(cfg.SMTP.MX.Listen) > 0 && cfg.SMTP.MX.MTASTS != config.STSNone {
			add("mta-sts." + d)
		}
		add("autoconfig." + d)
		add("autodiscover." + d)
	}
	return names
}

// trusted are the system's authorities and those of a file; nil for the system's alone.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("finding the system's certificate authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// listenForAuthority opens the port that the authority asks at, where it is not the web port.
func (s *system) listenForAuthority(ctx context.Context) ([]service, error) {
	if s.keys.answer == nil {
		return nil, nil
	}
	all, err := listen(ctx, "tls.acme.http_listen", []string{s.cfg.TLS.ACME.HTTPListen})
	return convert(all, func(ln net.Listener) service { return service{ln, s.keys.answer.Serve} }), err
}

// start has the authority asked for what is missing. The ports are open.
func (k *certificates) start() {
	if k.acme != nil {
		k.acme.Start()
	}
}

// Shutdown ends that.
func (k *certificates) Shutdown(ctx context.Context) error {
	var errs []error
	if k.acme != nil {
		errs = append(errs, k.acme.Close(ctx))
	}
	if k.answer != nil {
		errs = append(errs, k.answer.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// states are how it stands with the certificates from an authority, for who asks by the control socket.
func (k *certificates) states() []admin.Certificate {
	if k.acme == nil {
		return nil
	}
	return convert(k.acme.States(), func(s acme.State) admin.Certificate {
		return admin.Certificate{Name: s.Name, Chain: string(s.Chain), Trouble: s.Trouble, Tried: s.Tried}
	})
}
