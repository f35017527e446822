package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"chmail/internal/netutil"
)

// ErrNoAnswer is wrapped by the errors of a Resolver that cannot be reached: what it would say of other names is not worth asking for.
var ErrNoAnswer = errors.New("no answer")

// names looks at everything that has to be in the DNS.
func (d *Doctor) names(ctx context.Context) []Finding {
	if !isName(d.Setup.Host) {
		return []Finding{{State: Skip, Check: "dns", Subject: d.Setup.Host, Text: "not looked at: this server is for this computer only"}}
	}
	if _, err := d.lookup(ctx, d.Setup.Host, "A"); errors.Is(err, ErrNoAnswer) {
		return []Finding{{State: Fail, Check: "dns", Subject: "the resolver", Text: err.Error() + "; nothing in the DNS was looked at", Mend: "name one that answers with --resolver, for instance --resolver 9.9.9.9"}}
	}
	all := d.hosts(ctx)
	for _, domain := range d.Setup.Domains {
		keys, err := d.Keys.Keys(domain.Name)
		if err != nil {
			all = append(all, Finding{State: Fail, Check: "dns", Subject: domain.Name + " DKIM", Text: err.Error(), Mend: "put the key back from a backup, or make a new one"})
		}
		if err == nil && !slices.ContainsFunc(keys, func(k Key) bool { return !k.Idle }) {
			all = append(all, Finding{
				State: Warn, Check: "dns", Subject: domain.Name + " DKIM", Text: "no key signs: its mail is not signed, and large receivers refuse or hide such mail",
				Mend: "make one, then print its record with: chmail dns print " + domain.Name,
			})
		}
		if len(d.Setup.MX) == 0 {
			all = append(all, d.takesNone(ctx, domain.Name))
		}
		z := d.Setup.Zone(domain, keys)
		for i, r := range z.Records {
			if f, ok := d.record(ctx, z, r); ok && !slices.ContainsFunc(z.Records[:i], func(o Record) bool { return o.Name == r.Name && o.Type == r.Type && o.Use == r.Use }) {
				all = append(all, f)
			}
		}
	}
	return all
}

// lookup asks once for each name and type.
func (d *Doctor) lookup(ctx context.Context, name, kind string) ([]string, error) {
	key := name + " " + kind
	if values, ok := d.known[key]; ok {
		return values, nil
	}
	if d.unanswered >= giveUpAfter {
		return nil, fmt.Errorf("%s %s was not asked for: %w to those before", name, kind, ErrNoAnswer)
	}
	values, err := d.Resolver.Lookup(ctx, name, kind)
	switch {
	case err == nil:
		d.known[key] = values
	case errors.Is(err, ErrNoAnswer):
		d.unanswered++
	}
	return values, err
}

// giveUpAfter is how many questions without an answer are enough: each costs seconds.
const giveUpAfter = 3

// unasked is the finding about what nobody could tell.
func unasked(subject string, err error) Finding {
	return Finding{State: Fail, Check: "dns", Subject: subject, Text: err.Error(), Mend: "if another resolver (--resolver) knows no more, look at the zone's name servers and its DNSSEC"}
}

// addresses are those of a name, of both kinds.
func (d *Doctor) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, kind := range []string{"A", "AAAA"} {
		values, err := d.lookup(ctx, name, kind)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if ip, err := netip.ParseAddr(v); err == nil {
				all = append(all, ip)
			}
		}
	}
	return all, nil
}

// hosts looks at the server's own names, and where its addresses lead back to.
func (d *Doctor) hosts(ctx context.Context) []Finding {
	names := []string{d.Setup.Host}
	if d.Setup.Chat != d.Setup.Host && isName(d.Setup.Chat) {
		names = append(names, d.Setup.Chat)
	}
	var all []Finding
	for _, name := range names {
		addresses, err := d.addresses(ctx, name)
		f := Finding{State: OK, Check: "address", Subject: name, Text: list(addresses)}
		switch {
		case err != nil:
			f = unasked(name, err)
		case len(addresses) == 0:
			f.State, f.Text, f.Mend = Fail, "has no address: nobody finds this server under it", "give it address records, A and AAAA: chmail dns print"
		default:
			d.judgeAddresses(&f, addresses)
		}
		all = append(all, f)
	}
	addresses, err := d.addresses(ctx, d.Setup.Host)
	if err != nil {
		return all // it was told above
	}
	for _, ip := range addresses {
		if netutil.Public(ip) {
			all = append(all, d.reverse(ctx, ip))
		}
	}
	return all
}

// judgeAddresses says of a name's addresses whether they can be this server's.
func (d *Doctor) judgeAddresses(f *Finding, addresses []netip.Addr) {
	for _, ip := range addresses {
		switch {
		case !netutil.Public(ip):
			f.State, f.Text = Fail, ip.String()+" is no address of the Internet: others cannot reach it"
			f.Mend = "let the name lead to this server's public address"
			return
		case len(d.Setup.Addresses) > 0 && !slices.Contains(d.Setup.Addresses, ip):
			f.State, f.Text = Warn, fmt.Sprintf("%s is not among this server's public addresses, %s", ip, list(d.Setup.Addresses))
			f.Mend = "correct the record; if that address is passed on to this computer, name it with --address"
		}
	}
}

// reverse looks whether an address leads back to the server's name and that to it, without which large receivers take no mail.
func (d *Doctor) reverse(ctx context.Context, ip netip.Addr) Finding {
	f := Finding{State: OK, Check: "address", Subject: ip.String()}
	mend := "have whoever has given you the address set its reverse name (PTR) to " + d.Setup.Host
	arpa, err := dns.ReverseAddr(ip.String())
	if err != nil {
		return unasked(f.Subject, err)
	}
	names, err := d.lookup(ctx, strings.TrimSuffix(arpa, "."), "PTR")
	switch {
	case err != nil:
		return unasked(f.Subject+" PTR", err)
	case len(names) == 0:
		f.State, f.Text, f.Mend = Fail, "leads back to no name: large receivers refuse its mail", mend
		return f
	case anyOf(names, d.Setup.Host+"."):
		f.Text = "leads back to " + d.Setup.Host
		return f
	}
	f.State, f.Text, f.Mend = Fail, fmt.Sprintf("leads back to %s, which does not lead to it: large receivers refuse its mail", strings.Join(names, ", ")), mend
	for _, name := range names {
		if there, err := d.addresses(ctx, strings.TrimSuffix(name, ".")); err == nil && slices.Contains(there, ip) {
			f.State, f.Text = Warn, fmt.Sprintf("leads back to %s and that to it, but the server calls itself %s: some receivers mistrust that", name, d.Setup.Host)
			f.Mend = mend + ", or set hostname to " + strings.TrimSuffix(name, ".")
		}
	}
	return f
}

func list(addresses []netip.Addr) string {
	all := make([]string, len(addresses))
	for i, ip := range addresses {
		all[i] = ip.String()
	}
	return strings.Join(all, ", ")
}
