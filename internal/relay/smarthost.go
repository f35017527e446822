package relay

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"chmail/internal/delivery"
)

// TLSMode is how a smarthost does TLS.
type TLSMode int

// The modes. In the first two the certificate must be one that this system trusts, for the host's name.
const (
	TLSStart         TLSMode = iota // STARTTLS, without which nothing is sent
	TLSImplicit                     // TLS from the first octet on (RFC 8314 3.3)
	TLSOpportunistic                // STARTTLS where it works; with a Login it is TLSStart
)

// Smarthost is a server that takes mail for everywhere. Its address may be private: an administrator has named it.
type Smarthost struct {
	Host            string // a name, or an IP address
	Port            uint16 // 0: 587, with TLSImplicit 465
	TLS             TLSMode
	Login, Password string // Login "": no AUTH
}

// smarthosts is the list that consists of one host of the configuration.
func (w *way) smarthosts(name string) ([]host, *delivery.Verdict) {
	s, ok := w.r.o.Smarthosts[name]
	if !ok {
		return nil, failure(4, 3, 5, "there is no smarthost "+name+" in the configuration")
	}
	w.smart = &s
	h := host{name: strings.ToLower(s.Host), fixed: true}
	if ip, err := netip.ParseAddr(s.Host); err == nil {
		h.addr = ip
	}
	return []host{h}, nil
}

// port is where a server listens.
func (w *way) port() uint16 {
	switch {
	case w.smart == nil:
		return w.r.o.Port
	case w.smart.Port != 0:
		return w.smart.Port
	case w.smart.TLS == TLSImplicit:
		return 465
	}
	return 587
}

// login authenticates (RFC 4954), over TLS only. What goes wrong is a matter of the configuration, and the mail waits until that is mended.
func (c *conn) login(s *Smarthost) *delivery.Verdict {
	encode := base64.StdEncoding.EncodeToString
	var r reply
	var fail *delivery.Verdict
	switch {
	case c.version == "":
		return c.place(failure(4, 7, 11, "the smarthost does no TLS, without which no password is sent"))
	case strings.Contains(c.caps.auth, " PLAIN "):
		r, fail = c.exchange("AUTH", "AUTH PLAIN "+encode([]byte("\x00"+s.Login+"\x00"+s.Password)), c.t.Hello)
	case strings.Contains(c.caps.auth, " LOGIN "):
		r, fail = c.exchange("AUTH", "AUTH LOGIN", c.t.Hello)
		for _, answer := range []string{s.Login, s.Password} {
			if fail == nil && r.code == 334 {
				r, fail = c.exchange("AUTH", encode([]byte(answer)), c.t.Hello)
			}
		}
	default:
		return c.place(failure(4, 7, 4, "the smarthost offers neither AUTH PLAIN nor LOGIN"))
	}
	if fail != nil {
		return fail
	}
	if r.code != 235 {
		v := c.judge(r)
		return c.place(failure(4, 7, 8, "the smarthost refuses the login: "+(&delivery.Verdict{Code: v.Code, Enhanced: v.Enhanced, Text: v.Text}).String()))
	}
	return nil
}
