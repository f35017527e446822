package mailauth

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"chmail/internal/address"

	"blitiri.com.ar/go/spf"
)

// SPF is whether a host may send for a domain (RFC 7208).
type SPF struct {
	Result Result
	Reason string // for people; may hold texts of strangers
	Domain string // that was asked about, in lower case; "" when there is none
	Helo   bool   // it is that of HELO, since there is no sender (RFC 7208 2.4)
}

// The limits of RFC 7208 4.6.4.
const (
	spfTime  = 20 * time.Second
	spfAsks  = 10
	spfVoids = 2
)

// SPF checks whether a host may send for the envelope sender, and for the null sender whether it may call itself what it said in HELO.
func (v *Verifier) SPF(ctx context.Context, peer netip.Addr, helo string, from address.Address) SPF {
	s := SPF{Result: None, Domain: domainOf(from.Domain)}
	local := from.Local
	if from.Domain == "" {
		s.Helo, s.Domain = true, domainOf(strings.TrimSuffix(helo, "."))
		local = "postmaster"
	}
	if s.Domain == "" || !strings.Contains(s.Domain, ".") || !peer.IsValid() {
		s.Domain, s.Reason = "", "no domain to ask about"
		return s
	}
	if strings.ContainsAny(local, "@ ") {
		local = "postmaster" // the library splits at the first at sign; a record that looks at local parts is rare enough
	}
	ctx, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	r, err := spf.CheckHostWithSender(peer.Unmap().WithZone("").AsSlice(), helo, local+"@"+s.Domain,
		spf.WithContext(ctx), spf.WithResolver(v.dns), spf.OverrideLookupLimit(spfAsks), spf.OverrideVoidLookupLimit(spfVoids))
	s.Result = Result(r)
	if err != nil && s.Result != Pass && s.Result != None {
		s.Reason = err.Error()
	}
	return s
}
