package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"chmail/internal/sqldb"
)

// office is an authority without a network. It answers with what is wrong, and gives a certificate when nothing is any more.
type office struct {
	mu    sync.Mutex
	wrong []error
	asked []time.Time
	hold  chan struct{} // nil: it answers at once, otherwise when this is closed
}

func (*office) IssuerKey() string { return "office" }

func (o *office) Issue(_ context.Context, r *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.asked = append(o.asked, now)
	if o.hold != nil {
		<-o.hold
	}
	if len(o.wrong) > 0 {
		err := o.wrong[0]
		o.wrong = o.wrong[1:]
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: r.DNSNames, NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, r.PublicKey, key)
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// refuse has it refuse as often.
func (o *office) refuse(wrong ...error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, wrong...)
}

// times is how often it has been asked.
func (o *office) times() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

// pauses are the times between its being asked.
func (o *office) pauses() (all []time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.asked[:max(0, len(o.asked)-1)] {
		all = append(all, o.asked[i+1].Sub(o.asked[i]).Round(time.Minute))
	}
	return all
}

// everywhere is a DNS that has every name.
type everywhere struct{}

func (everywhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.25")}, nil
}

// later is a DNS that has a name from a time on.
type later struct{ from time.Time }

func (l later) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if time.Now().Before(l.from) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return everywhere{}.LookupNetIP(ctx, network, host)
}

// within runs a story in a bubble, where hours pass at once, with a database and a log.
func within(t *testing.T, story func(t *testing.T, db *sqldb.DB, said *words)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "acme.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqldb.Open(context.Background(), path, Schema())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		said := newWords()
		story(t, db, said)
		if t.Failed() {
			t.Log(said)
		}
	})
}

// asks is a manager of one name whose authority is o.
func asks(t *testing.T, db *sqldb.DB, said *words, o *office) *Manager {
	t.Helper()
	m, err := New(Options{DB: db, Log: slog.New(slog.NewTextHandler(said, nil)), Names: []string{"mail.example.com"}, Solve: HTTP, At: ":80", Resolver: everywhere{}})
	if err != nil {
		t.Fatal(err)
	}
	m.config.Issuers = []certmagic.Issuer{o}
	return m
}

// TestAnAuthorityThatRefusesWhatItsTrialDirectoryGivesIsAskedAgain: certmagic ends there, and nobody would have a certificate for good.
func TestAnAuthorityThatRefusesWhatItsTrialDirectoryGivesIsAskedAgain(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		o := new(office)
		busy := errors.New("service busy; retry later")
		for range 6 {
			o.refuse(busy, certmagic.ErrNoRetry{Err: busy})
		}
		m := asks(t, db, said, o)
		m.Start()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if s := m.States()[0]; s.Chain != nil || s.Trouble != busy.Error() || time.Since(s.Tried).Round(time.Minute) != 29*time.Minute {
			t.Errorf("after half an hour: %+v", s)
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if s := m.States()[0]; s.Chain == nil || s.Trouble != "" || !s.Tried.IsZero() {
			t.Errorf("after a day: %+v", s)
		}
		const m1, h1 = time.Minute, time.Hour
		if got, want := o.pauses(), []time.Duration{m1, h1, m1, 2 * h1, m1, 4 * h1, m1, 6 * h1, m1, 6 * h1, m1, 6 * h1}; !slices.Equal(got, want) {
			t.Errorf("asked after %v, want %v", got, want)
		}
		if n := strings.Count(said.String(), "level=WARN"); n != 12 || strings.Count(said.String(), "the authority is left alone for a while") != 6 {
			t.Errorf("%d warnings for twelve refusals", n)
		}
		closed(t, m)
	})
}

// TestACertificateThatCannotBeReadIsReadAgain as soon as the database answers, and is not left for a month.
func TestACertificateThatCannotBeReadIsReadAgain(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		o := new(office)
		m := asks(t, db, said, o)
		m.Start()
		synctest.Wait()
		closed(t, m)
		change := func(query string) {
			if _, err := m.storage.change(context.Background(), query); err != nil {
				t.Fatal(err)
			}
		}

		change(`ALTER TABLE acme_file RENAME TO away`)
		m = asks(t, db, said, o)
		m.Start()
		synctest.Wait()
		if s := m.States()[0]; s.Chain != nil || s.Trouble == "" {
			t.Errorf("without its database: %+v", s)
		}
		change(`ALTER TABLE away RENAME TO acme_file`)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if s := m.States()[0]; s.Chain == nil || s.Trouble != "" {
			t.Errorf("with its database again: %+v", s)
		}
		if o.times() != 1 {
			t.Errorf("the authority was asked %d times for one certificate", o.times())
		}
		closed(t, m)
	})
}

// TestACertificateThatWasHalfKeptIsGotAnew: certmagic keeps its three parts one after the other, and the process may be killed between any two of them.
func TestACertificateThatWasHalfKeptIsGotAnew(t *testing.T) {
	t.Parallel()
	for what, part := range map[string]func(issuer, name string) string{
		"the key": certmagic.StorageKeys.SitePrivateKey, "the certificate": certmagic.StorageKeys.SiteCert, "what is noted of them": certmagic.StorageKeys.SiteMeta,
	} {
		within(t, func(t *testing.T, db *sqldb.DB, said *words) {
			o := new(office)
			m := asks(t, db, said, o)
			m.Start()
			synctest.Wait()
			closed(t, m)
			if err := m.storage.Delete(context.Background(), part(o.IssuerKey(), "mail.example.com")); err != nil {
				t.Fatal(err)
			}
			m = asks(t, db, said, o)
			m.Start()
			synctest.Wait()
			if s := m.States()[0]; s.Chain == nil || s.Trouble != "" || o.times() != 2 {
				t.Errorf("without %s: asked %d times, %+v", what, o.times(), s)
			}
			closed(t, m)
		})
	}
}

// TestACertificateThatRanOutWhileNobodyWasHereIsRenewedAtOnce, not at the next look. It runs alone, as does the one below: certmagic has one queue of renewals for all of a
// program, whose work must not be done outside of the bubble.
func TestACertificateThatRanOutWhileNobodyWasHereIsRenewedAtOnce(t *testing.T) {
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		o := new(office)
		m := asks(t, db, said, o)
		m.Start()
		synctest.Wait()
		closed(t, m)
		time.Sleep(91 * 24 * time.Hour)
		m = asks(t, db, said, o)
		m.Start()
		synctest.Wait()
		if o.times() != 2 {
			t.Errorf("the authority was asked %d times", o.times())
		}
		closed(t, m)
	})
}

// TestARenewalThatFailsIsToldUntilOneSucceeds, while the old certificate is shown.
func TestARenewalThatFailsIsToldUntilOneSucceeds(t *testing.T) {
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		const day = 24 * time.Hour
		o := new(office)
		m := asks(t, db, said, o)
		m.Start()
		time.Sleep(59 * day)
		synctest.Wait()
		first := m.States()[0]
		if o.times() != 1 || first.Chain == nil {
			t.Fatalf("asked %d times in the first two thirds of its life: %+v", o.times(), first)
		}
		o.refuse(errors.New("service busy"), errors.New("service\tstill busy"+strings.Repeat(" x", 1000)))
		time.Sleep(day + 25*time.Minute) // it is looked every ten, and tried again a minute and two after the first failures
		synctest.Wait()
		if s := m.States()[0]; !strings.HasPrefix(s.Trouble, "service still busy x") || len(s.Trouble) > 510 || !bytes.Equal(s.Chain, first.Chain) {
			t.Errorf("asked %d times: %+v", o.times(), s)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := m.States()[0]; s.Trouble != "" || !s.Tried.IsZero() || bytes.Equal(s.Chain, first.Chain) {
			t.Errorf("renewed, asked %d times: %+v", o.times(), s)
		}
		closed(t, m)
	})
}

// TestANameThatTheDNSDoesNotHaveIsToldApart from one that was refused, and nobody is asked for it until then.
func TestANameThatTheDNSDoesNotHaveIsToldApart(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		o := new(office)
		m := asks(t, db, said, o)
		m.o.Resolver = later{time.Now().Add(time.Hour)}
		m.Start()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if s := m.States()[0]; !s.Unknown || s.Trouble == "" || o.times() != 0 {
			t.Errorf("while the DNS has no address: %+v, asked %d times", s, o.times())
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s := m.States()[0]; s.Unknown || s.Trouble != "" || s.Chain == nil {
			t.Errorf("once it has: %+v", s)
		}
		if n := strings.Count(said.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings of one matter", n)
		}
		closed(t, m)
	})
}

// TestTheEndWaitsForNoAuthorityForever, though it waits for one that is at its answer.
func TestTheEndWaitsForNoAuthorityForever(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		o := &office{hold: make(chan struct{})}
		m := asks(t, db, said, o)
		m.Start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it does not say that somebody is still waited for: %v", err)
		}
		close(o.hold)
		synctest.Wait()
	})
}
