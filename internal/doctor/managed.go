package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Managed is how it stands with a certificate that the running server gets from an authority.
type Managed struct {
	Name    string
	Chain   []byte    // PEM, the name's own certificate first; nil: there is none yet
	Trouble string    // why there is none, or no newer one; "" when nothing is wrong. It may quote the authority
	Tried   time.Time // when that was
}

// managed looks at the certificates from an authority: whether there is one for each name, for how long it holds, and who has signed it.
func (d *Doctor) managed(ctx context.Context) []Finding {
	all, err := d.Managed(ctx)
	if err != nil {
		return []Finding{{State: Skip, Check: "certificate", Subject: "tls.acme", Text: "not looked at: " + err.Error()}}
	}
	var found []Finding
	for _, m := range all {
		found = append(found, d.managedOne(m)...)
	}
	return found
}

func (d *Doctor) managedOne(m Managed) []Finding {
	f := Finding{Check: "certificate", Subject: m.Name}
	mend := "it is tried again by itself; " + d.proof(m)
	if m.Chain == nil {
		f.State, f.Text, f.Mend = d.without(m.Name), "there is none yet", mend
		if m.Trouble != "" {
			f.Text += ": " + m.Trouble + tried(m)
		}
		return []Finding{f}
	}
	leaf, chain, err := parseCertificate(m.Name, m.Chain)
	if err != nil {
		f.State, f.Text = Fail, err.Error()
		return []Finding{f}
	}
	life := expiry(f, leaf, time.Now())
	if life.State != OK {
		life.Mend = mend
	}
	if m.Trouble != "" {
		life.Text += "; no newer one could be got: " + m.Trouble + tried(m)
		if life.Mend = mend; life.State == OK {
			life.State = Warn
		}
	}
	return []Finding{life, d.trust(f, leaf, chain)}
}

// without is how bad it is that a name has no certificate: mail works without those of documents.
func (d *Doctor) without(name string) State {
	if name == d.Setup.Host || name == d.Setup.Chat {
		return Fail
	}
	return Warn
}

// proof is what to look at when a name could not be proved.
func (d *Doctor) proof(m Managed) string {
	if strings.Contains(m.Trouble, "no address") {
		return "put the name into the DNS: chmail dns print shows the records"
	}
	return "see that the name leads here, and that port 443 (tls-alpn) or 80 (http) of this server is reached from outside"
}

func tried(m Managed) string {
	if m.Tried.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (%s)", m.Tried.UTC().Format("2 January 2006 15:04 MST"))
}

// leaf is the certificate that is to be shown to who asks for a name; nil when there is none, of which was told elsewhere.
func (d *Doctor) leaf(ctx context.Context, name string) *x509.Certificate {
	if d.Managed == nil {
		leaf, _, err := readCertificate(d.Files.Cert)
		if err != nil {
			return nil
		}
		return leaf
	}
	all, err := d.Managed(ctx)
	i := slices.IndexFunc(all, func(m Managed) bool { return m.Name == name })
	if err != nil || i < 0 || all[i].Chain == nil {
		return nil
	}
	leaf, _, err := parseCertificate(name, all[i].Chain)
	if err != nil {
		return nil
	}
	return leaf
}
