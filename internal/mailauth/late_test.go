package mailauth

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

// silent is a name server that never answers.
type silent struct{}

func (silent) LookupTXT(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) LookupIPAddr(ctx context.Context, _ string) ([]net.IPAddr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) LookupAddr(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestANameServerThatIsSilentCostsAMailItsTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	keys, _ := signers(t)
	mail := sign(t, keys, letter) + letter
	from, err := address.Parse("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(Options{Resolver: silent{}})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		began := time.Now()
		r, err := v.Check(ctx, &message.Envelope{From: from, Helo: "mail.example.org", Peer: netip.MustParseAddr("192.0.2.1")}, strings.NewReader(mail))
		if took := time.Since(began); err != nil || took > 10*time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		if got := r.String(); got != "spf=temperror dkim=temperror dmarc=temperror" || r.Disowned() != "" {
			t.Errorf("%s, disowned by %q", got, r.Disowned())
		}
	})
}
