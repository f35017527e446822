package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"chmail/internal/autoconfig"
)

// policies fetches each domain's MTA-STS policy as other servers do (RFC 8461 3.3), but straight from the listener here: what it says has to be what the configuration says,
// since others keep it for a week.
func (d *Doctor) policies(ctx context.Context) []Finding {
	var web *Listener
	for i := range d.Listeners {
		if d.Listeners[i].Kind == ListenWeb && d.Listeners[i].TLS {
			web = &d.Listeners[i]
			break
		}
	}
	if web == nil || len(d.Setup.MX) == 0 {
		return nil
	}
	var all []Finding
	for _, domain := range d.Setup.Domains {
		host := "mta-sts." + domain.Name
		if leaf := d.leaf(ctx, host); leaf == nil || leaf.VerifyHostname(host) != nil || !isName(d.Setup.Host) {
			continue // it was told of the certificate
		}
		f := Finding{State: OK, Check: "policy", Subject: host, Text: "the MTA-STS policy is served, mode " + domain.STS}
		if err := d.fetch(ctx, *web, host, domain.STSPolicy()); err != nil {
			f.State, f.Text, f.Mend = Fail, err.Error(), "restart the server, so that it serves what the configuration says"
			switch {
			case errors.As(err, new(*tls.CertificateVerificationError)):
				f.Mend = "see what is said of the certificate above: nobody fetches a policy where he does not trust it"
			case errors.As(err, new(*net.OpError)):
				f.Mend = "see what is said of the port above"
			}
		}
		all = append(all, f)
	}
	return all
}

func (d *Doctor) fetch(ctx context.Context, l Listener, host string, want []byte) error {
	ctx, cancel := context.WithTimeout(ctx, portWithin)
	defer cancel()
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx, l) },
			TLSClientConfig:   &tls.Config{RootCAs: d.Roots, ServerName: host},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // nobody may follow one (RFC 8461 3.3)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+autoconfig.STSPath, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the MTA-STS policy cannot be fetched: %w", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch {
	case err != nil:
		return fmt.Errorf("the MTA-STS policy cannot be fetched: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the MTA-STS policy is not served: %s", resp.Status)
	case !bytes.Equal(got, want):
		return fmt.Errorf("another MTA-STS policy is served than the configuration's")
	}
	return nil
}
