package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"chmail/config"
	"chmail/internal/doctor"
	"chmail/internal/intake"
	"chmail/internal/mailauth"
	"chmail/internal/message"
	"chmail/internal/metrics"
	"chmail/internal/relay"
)

// dkimFolder is where the configuration's DKIM keys are.
func dkimFolder(cfg *config.Config) *mailauth.Keys {
	return mailauth.NewKeys(filepath.Join(cfg.Data, "dkim"))
}

// publishedKeys tells the doctor, and whoever prints the zone, of the DKIM keys.
type publishedKeys struct{ folder *mailauth.Keys }

// Keys are those of a domain, in the order of mailauth.
func (p publishedKeys) Keys(domain string) ([]doctor.Key, error) {
	all, err := p.folder.List(domain)
	if err != nil {
		return nil, err
	}
	keys := make([]doctor.Key, 0, len(all))
	for _, k := range all {
		keys = append(keys, doctor.Key{Selector: k.Selector, Record: k.TXT(), Idle: !k.Signs})
	}
	return keys, nil
}

// signer signs for the queue in the name of the author's domain.
type signer struct{ *mailauth.Keys }

// Sign returns the fields that go on top of a mail, none where its author's domain has no key: then it goes out as it is.
func (s signer) Sign(_ context.Context, m message.Source) ([]byte, error) {
	return s.signed(m, m.Size())
}

func (s signer) signed(mail io.ReaderAt, size int64) ([]byte, error) {
	fields, err := s.SignAuthor(mail, size)
	if errors.Is(err, mailauth.ErrNoKey) {
		return nil, nil
	}
	return fields, err
}

// downgrade makes the copy of a mail for a server that takes seven bits only. What was signed is not what it gets, so the copy has a signature of its own.
func (s signer) downgrade(body io.ReaderAt, size int64) (converted io.ReaderAt, convertedSize int64, signature []byte, err error) {
	if converted, convertedSize, err = relay.SevenBit(body, size); err != nil {
		return nil, 0, nil, err
	}
	signature, err = s.signed(converted, convertedSize)
	return converted, convertedSize, signature, err
}

// newChecker makes what looks at mail from outside, by the name server that mail goes out by.
func newChecker(cfg *config.Config, figures *metrics.Metrics) checker {
	o := mailauth.Options{}
	if cfg.Relay.Resolver != "" {
		o.Resolver = relay.NewDNS([]string{cfg.Relay.Resolver}, cfg.Relay.Validates)
	}
	return checker{verifier: mailauth.NewVerifier(o), host: cfg.Hostname, domains: cfg.Domains, own: cfg.SMTP.MX.Own, sealers: cfg.SMTP.MX.TrustARC, figures: figures}
}

// checker tells the doorway of what mailauth has found, under the server's own name.
type checker struct {
	verifier *mailauth.Verifier
	host     string
	domains  []string // ours,
	own      string   // and what becomes of forged mail in their name
	sealers  []string // domains whose seals are believed
	figures  *metrics.Metrics
}

// Check looks at a mail.
func (c checker) Check(ctx context.Context, env *message.Envelope, src message.Source) (*intake.Findings, error) {
	r, err := c.verifier.Check(ctx, env, src)
	if err != nil {
		return nil, err
	}
	checked(c.figures, r)
	f := &intake.Findings{Unclear: r.Nameless(), Field: r.Field(c.host), Signatures: r.Stamped(), Summary: r.String()}
	switch {
	case env.Peer.IsLoopback() && (r.Nameless() || c.ours(r.DMARC.Author)):
		f.Unclear = false // such as "From: root (Cron Daemon)"
		return f, nil     // a program on this computer: our own policy is for those elsewhere
	case r.Vouched(c.sealers):
		f.Summary += " sealed by " + r.ARC.Domain
		return f, nil
	case r.Unsure(), r.Disowned()+r.Doubted() != "" && r.Sealed(c.sealers):
		return nil, fmt.Errorf("the policy of %s could not be applied: %s (%s)", r.DMARC.Author, r, r.DMARC.Reason)
	}
	f.Reject = r.Disowned()
	if r.Doubted() != "" {
		f.Suspect = "dmarc=quarantine"
	}
	ours := func(domain string) bool { return slices.Contains(c.domains, domain) }
	if claimed := r.Unproved(); c.own != config.OwnAccept && f.Reject == "" && slices.ContainsFunc(claimed, ours) {
		if c.own == config.OwnRefuse {
			f.Reject, f.Ours = claimed[slices.IndexFunc(claimed, ours)], true
		}
		f.Suspect = "own domain without proof"
	}
	return f, nil
}

// ours tells whether a domain is one of ours, or below one, as this computer's own name is.
func (c checker) ours(domain string) bool {
	return domain == c.host || slices.ContainsFunc(c.domains, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) })
}

// tellUnsigned says at the start, once, which domains' mail goes out unsigned, and how to change that; and whose keys cannot be read, so that it does not go out at all.
func tellUnsigned(keys *mailauth.Keys, domains []string, log *slog.Logger) {
	var without []string
	for _, d := range domains {
		switch _, err := keys.Signing(d); {
		case errors.Is(err, mailauth.ErrNoKey):
			without = append(without, d)
		case err != nil:
			log.Error("mail of a domain waits, since its DKIM keys cannot be read", "domain", d, "err", err)
		}
	}
	if len(without) > 0 {
		log.Warn("mail goes out without a DKIM signature, and large receivers may refuse it: make keys", "domains", strings.Join(without, " "),
			"how", fmt.Sprintf("chmail dkim new %s", without[0]))
	}
}
