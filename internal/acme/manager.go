package acme

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// A Manager has the certificates of a server. Its methods may be called by many goroutines at once.
type Manager struct {
	o         Options
	storage   *Storage
	cache     *certmagic.Cache
	config    *certmagic.Config
	zap       *zap.Logger
	temporary func() (*tls.Certificate, error)

	stop context.CancelFunc // nil until Start
	done sync.WaitGroup     // who gets a name its certificate

	mu    sync.Mutex
	state map[string]*trouble // by name; guarded by mu
}

// noAddress is the trouble of a name that is waited for.
const noAddress = "the DNS has no address of it"

// trouble is why there is no new certificate of a name.
type trouble struct {
	what  string // "" for none
	tried time.Time
}

// New makes a manager. Nothing is asked of anybody before Start.
func New(o Options) (*Manager, error) {
	host, port, err := o.fill()
	if err != nil {
		return nil, fmt.Errorf("certificates by ACME: %w", err)
	}
	if len(o.Names) == 0 {
		return nil, errors.New("certificates by ACME: there is no name to ask for")
	}
	m := &Manager{o: o, storage: NewStorage(o.DB, o.Log), zap: newBridge(o.Log), temporary: once(o.Names[0]), state: make(map[string]*trouble)}
	for _, name := range o.Names {
		m.state[name] = &trouble{}
	}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil },
		RenewCheckInterval: o.Check, Logger: m.zap,
	})
	m.config = certmagic.New(m.cache, certmagic.Config{
		RenewalWindowRatio: certmagic.DefaultRenewalWindowRatio, KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256}, Storage: m.storage, Logger: m.zap, OnEvent: m.event,
		// Authorities give OCSP up, and by ARI (RFC 9773) they tell of certificates that are to be renewed before their time.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	m.config.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(m.config, certmagic.ACMEIssuer{
		CA: o.Authority.Directory, Email: o.Authority.Email, TrustedRoots: o.Authority.Roots, Agreed: true, Logger: m.zap,
		DisableHTTPChallenge: o.Solve != HTTP, DisableTLSALPNChallenge: o.Solve != TLSALPN, DisableDistributedSolvers: true,
		ListenHost: host, AltHTTPPort: port, AltTLSALPNPort: port, // where we listen already: it finds that, and leaves the answer to us
	})}
	return m, nil
}

// Start takes up the certificates that are kept, asks for those that are missing, and goes on doing so until Close. It does not wait for any; At has to be listened on.
func (m *Manager) Start() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	for _, name := range m.o.Names {
		m.done.Go(func() { m.manage(ctx, name) })
	}
}

// Close ends all of it, and waits until ctx ends for what is under way.
func (m *Manager) Close(ctx context.Context) error {
	if m.stop != nil {
		m.stop()
	}
	gone := make(chan struct{})
	go func() {
		m.done.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	m.cache.Stop()
	if err == nil {
		err = m.storage.idle(ctx)
	}
	if err != nil {
		return fmt.Errorf("waiting for a certificate that is being asked for: %w", err)
	}
	return nil
}

// manage gets a name its certificate; from then on certmagic looks by itself whether it is to be renewed. It is not left to certmagic to begin: that would begin once, and not
// tell when it has ended without a certificate.
func (m *Manager) manage(ctx context.Context, name string) {
	pause := m.o.Again
	for {
		err := m.get(ctx, name)
		if err == nil || ctx.Err() != nil {
			return
		}
		again := m.o.Look
		if errors.As(err, new(certmagic.ErrNoRetry)) { // event has told why
			again, pause = pause, min(2*pause, mostAgain*m.o.Again)
			m.o.Log.Info("the authority is left alone for a while: its trial directory gives a certificate, and it does not", "name", name, "again", again)
		} else {
			m.failed(name, err)
		}
		wait := time.NewTimer(again)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// get takes up the certificate of a name that is kept, or asks for one, as often as certmagic does: with growing pauses for a month, or until its authority's trial directory
// gives one and the authority itself does not (certmagic.ErrNoRetry). One that the DNS does not know is waited for: the authority would refuse it, and counts what it refuses.
func (m *Manager) get(ctx context.Context, name string) error {
	kept := m.kept(ctx, name)
	if !kept {
		if !m.known(ctx, name) {
			return context.Cause(ctx)
		}
		if err := m.config.ObtainCertAsync(ctx, name); err != nil {
			return err
		}
	}
	if _, err := m.config.CacheManagedCertificate(ctx, name); err != nil {
		return err
	}
	m.note(name, "", time.Time{})
	if !kept {
		return nil
	}
	return m.cache.RenewManagedCertificates(ctx) // at once if its time has come, or gone, while nobody was here
}

// kept tells whether there is a certificate already, whole: certmagic keeps its key, itself and what is noted of both one after the other, and a process may be killed between them. Where it does
// not fit its key, all go: nothing could be done with them.
func (m *Manager) kept(ctx context.Context, name string) bool {
	issuer := m.config.Issuers[0].IssuerKey()
	cert, err := m.storage.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, name))
	if err != nil {
		return false
	}
	key, err := m.storage.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, name))
	if err != nil {
		return false
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		m.o.Log.Warn("a certificate does not fit its key; a new one is asked for", "name", name, "err", err)
		if err := m.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(issuer, name)); err != nil {
			m.o.Log.Warn("it could not be removed", "name", name, "err", err)
		}
		return false
	}
	return m.storage.Exists(ctx, certmagic.StorageKeys.SiteMeta(issuer, name))
}

// known waits until the DNS has an address of a name, or says nothing certain about it; false when ctx has ended.
func (m *Manager) known(ctx context.Context, name string) bool {
	tick := time.NewTicker(m.o.Look)
	defer tick.Stop()
	for {
		_, err := m.o.Resolver.LookupNetIP(ctx, "ip", name+".")
		var gone *net.DNSError
		if ctx.Err() != nil {
			return false
		}
		if !errors.As(err, &gone) || !gone.IsNotFound {
			return true
		}
		if m.note(name, noAddress, time.Now()) {
			m.o.Log.Warn("no certificate is asked for yet: the DNS has no address of the name", "name", name, "again", m.o.Look)
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// event hears from certmagic. It never returns an error: that would break off what it tells of.
func (m *Manager) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		m.note(name, "", time.Time{})
		renewed, _ := data["renewal"].(bool)
		m.o.Log.Info("certificate obtained", "name", name, "renewed", renewed)
	case "cached_managed_cert":
		names, _ := data["sans"].([]string)
		for _, name := range names {
			for _, cert := range m.cache.AllMatchingCertificates(name) {
				m.o.Log.Info("certificate in use", "name", name, "until", cert.Leaf.NotAfter)
			}
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		m.failed(name, err)
	}
	return nil
}

func (m *Manager) failed(name string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	text := oneLine(err.Error())
	var said acme.Problem
	if errors.As(err, &said) {
		text = oneLine(said.Error()) // the rest tells the way to it
	}
	m.note(name, text, time.Now())
	m.o.Log.Warn("no certificate could be got; it is tried again", "name", name, "err", text)
}

// oneLine is what an authority has said, so that it fits into a line: at most 500 octets.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}

// note remembers what is wrong with a name, and tells whether that is new.
func (m *Manager) note(name, what string, tried time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state[name]
	if s == nil {
		return false
	}
	fresh := s.what != what
	s.what, s.tried = what, tried
	return fresh
}

func (m *Manager) has(name string) bool { return slices.Contains(m.o.Names, name) }

// State is how it stands with the certificate of a name.
type State struct {
	Name    string
	Chain   []byte    // PEM, the name's own certificate first; nil: there is none yet
	Trouble string    // why there is none, or no newer one; "" when nothing is wrong. One line, it may quote the authority
	Tried   time.Time // when that was; zero without a Trouble
	Unknown bool      // none is asked for yet, since the DNS has no address of the name: it may never be meant to have one
}

// States are those of all names, in their order.
func (m *Manager) States() []State {
	all := make([]State, 0, len(m.o.Names))
	for _, name := range m.o.Names {
		s := State{Name: name}
		m.mu.Lock()
		s.Trouble, s.Tried = m.state[name].what, m.state[name].tried
		s.Unknown = s.Trouble == noAddress
		m.mu.Unlock()
		var last time.Time
		for _, cert := range m.cache.AllMatchingCertificates(name) {
			if cert.Leaf == nil || cert.Leaf.NotAfter.Before(last) {
				continue
			}
			last, s.Chain = cert.Leaf.NotAfter, nil
			for _, der := range cert.Certificate.Certificate {
				s.Chain = append(s.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
			}
		}
		all = append(all, s)
	}
	return all
}
