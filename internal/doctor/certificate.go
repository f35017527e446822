package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"chmail/internal/autoconfig"
)

// A certificate is to be renewed when a third of its time is left. Where less than these parts are, nobody has done so.
const (
	lateBelow    = 5
	veryLateFrom = 20
)

// readCertificate reads a PEM file: the server's own certificate, and those that lead to its authority.
func readCertificate(file string) (leaf *x509.Certificate, chain *x509.CertPool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	return parseCertificate(file, text)
}

// parseCertificate is readCertificate of a text; name is where it comes from.
func parseCertificate(name string, text []byte) (leaf *x509.Certificate, chain *x509.CertPool, err error) {
	chain = x509.NewCertPool()
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if leaf == nil {
			leaf = c
		} else {
			chain.AddCert(c)
		}
	}
	if leaf == nil {
		return nil, nil, fmt.Errorf("%s holds no certificate", name)
	}
	return leaf, chain, nil
}

// certificate looks at the file: whether others trust it, for how long, and for which of the names.
func (d *Doctor) certificate(ctx context.Context) []Finding {
	if d.Managed != nil {
		return d.managed(ctx)
	}
	f := Finding{Check: "certificate", Subject: d.Files.Cert}
	leaf, chain, err := readCertificate(d.Files.Cert)
	if err != nil {
		f.State, f.Text, f.Mend = Fail, err.Error(), "name the PEM file of the certificate and its chain in tls.cert"
		if errors.Is(err, fs.ErrPermission) {
			f.Mend = "run this as the server's user; if you do, let him read it (chown)"
		}
		return []Finding{f}
	}
	all := []Finding{expiry(f, leaf, time.Now()), d.trust(f, leaf, chain)}
	names := []string{d.Setup.Host}
	if d.Setup.Chat != d.Setup.Host && d.https() {
		names = append(names, d.Setup.Chat)
	}
	all = append(all, covers(f, leaf, names, Fail, "mail clients and browsers refuse it"))
	if isName(d.Setup.Host) && d.https() {
		all = append(all, d.coversDocuments(f, leaf)...)
	}
	return all
}

// https tells whether the pages are served with the certificate.
func (d *Doctor) https() bool {
	for _, l := range d.Listeners {
		if l.Kind == ListenWeb {
			return l.TLS
		}
	}
	return false
}

func expiry(f Finding, leaf *x509.Certificate, now time.Time) Finding {
	life, left := leaf.NotAfter.Sub(leaf.NotBefore), leaf.NotAfter.Sub(now)
	until := leaf.NotAfter.UTC().Format("2 January 2006 15:04 MST")
	f.State, f.Text = OK, "holds until "+until
	switch {
	case left <= 0:
		f.State, f.Text = Fail, "ran out on "+until
	case now.Before(leaf.NotBefore):
		f.State, f.Text, f.Mend = Fail, "does not hold before "+leaf.NotBefore.UTC().Format("2 January 2006 15:04 MST"), "look at this computer's clock"
		return f
	case left < life/veryLateFrom:
		f.State, f.Text = Fail, "runs out in "+days(left)+", on "+until
	case left < life/lateBelow:
		f.State, f.Text = Warn, "runs out in "+days(left)+", on "+until
	}
	if f.State != OK {
		f.Mend = "renew it, and look why that was not done by itself; the new files are noticed without a restart"
	}
	return f
}

func days(d time.Duration) string {
	if n := int(d.Hours() / 24); n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}

// trust looks whether the chain leads to an authority that is trusted.
func (d *Doctor) trust(f Finding, leaf *x509.Certificate, chain *x509.CertPool) Finding {
	// Its own time is judged apart: here it must not hide who has signed it. That of the others in the chain counts.
	at := time.Now()
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: d.Roots, Intermediates: chain, CurrentTime: at})
	f.State, f.Text = OK, "leads to an authority that this computer trusts"
	var system x509.SystemRootsError
	switch {
	case errors.As(err, &system):
		f.State, f.Text = Skip, "who has signed it was not looked at: this computer has no list of authorities"
	case err != nil:
		f.State, f.Text = Fail, "is not trusted: "+err.Error()
		f.Mend = "put the certificates that lead to the authority behind it in the file (often named fullchain.pem), or get one that is trusted everywhere"
		if d.enforces() {
			f.Text += "; with mta_sts: enforce other servers will not deliver to it"
		}
	}
	return f
}

func (d *Doctor) enforces() bool {
	for _, domain := range d.Setup.Domains {
		if domain.STS == autoconfig.STSEnforce {
			return true
		}
	}
	return false
}

// covers looks which names a certificate does not stand for.
func covers(f Finding, leaf *x509.Certificate, names []string, without State, what string) Finding {
	var missing []string
	for _, n := range names {
		if leaf.VerifyHostname(n) != nil {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		f.State, f.Text = OK, "stands for "+strings.Join(names, ", ")
		return f
	}
	f.State, f.Text = without, fmt.Sprintf("does not stand for %s: %s", strings.Join(missing, ", "), what)
	f.Mend = "get a certificate for all of the names"
	return f
}

// coversDocuments looks at the names under which documents for others lie. Without them mail works, but by itself it is not found, nor is TLS insisted on.
func (d *Doctor) coversDocuments(f Finding, leaf *x509.Certificate) []Finding {
	var policies, clients []string
	for _, domain := range d.Setup.Domains {
		if len(d.Setup.MX) > 0 && domain.STS != autoconfig.STSNone {
			policies = append(policies, "mta-sts."+domain.Name)
		}
		clients = append(clients, "autoconfig."+domain.Name, "autodiscover."+domain.Name)
	}
	all := []Finding{covers(f, leaf, clients, Warn, "some mail clients do not find their settings by themselves")}
	if len(policies) > 0 {
		all = append(all, covers(f, leaf, policies, Warn, "other servers cannot get the MTA-STS policy"))
	}
	return all
}
