package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"chmail/config"
	"chmail/internal/address"
	"chmail/internal/doctor"
	"chmail/internal/netutil"
)

// dnsVerbs tell what the DNS has to hold.
type dnsVerbs struct {
	Print dnsPrint `cmd:"" help:"Print what the DNS has to hold for the server's domains."`
}

type dnsPrint struct {
	Domain  string      `arg:"" optional:"" help:"Only this one of the configuration's domains."`
	Address []ipAddress `placeholder:"IP" help:"This server's public addresses; without it those that smtp.mx.listen names, or of its interfaces."`
	JSON    bool        `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (dnsPrint) Help() string {
	return `Prints the records of each domain, as a zone file has them and with what each is for: MX, SPF, DKIM, DMARC, MTA-STS, TLS reports, and what mail clients look for.
Ports and names are those of the configuration, DKIM keys those of the data folder, whether a server runs or not. Nothing is changed anywhere: put the lines
into your zone, or the values into your DNS provider's form (--json has long texts in one piece, as forms want them), then let chmail doctor look.

Examples:

    chmail dns print
    chmail dns print example.com --address 203.0.113.5,2001:db8::5
    chmail dns print --json | jq -r '.[].records[] | select(.type == "TXT") | .name, .value'`
}

// ipAddress is an address on the command line.
type ipAddress netip.Addr

// Decode takes the next word whatever it looks like, so that its fault is told in terms of addresses.
func (a *ipAddress) Decode(line *kong.DecodeContext) error {
	word := line.Scan.Pop()
	ip, err := netip.ParseAddr(fmt.Sprint(word.Value))
	if word.IsEOL() || err != nil || ip.Zone() != "" {
		return fmt.Errorf("%q is no address: write for instance 203.0.113.5 or 2001:db8::5", fmt.Sprint(word.Value))
	}
	*a = ipAddress(ip.Unmap())
	return nil
}

// Run prints the zones.
func (v *dnsPrint) Run(o *outside, line *cli) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	s, err := setup(cfg, v.Address)
	if err != nil {
		return err
	}
	if v.Domain != "" {
		if s.Domains, err = only(s.Domains, v.Domain); err != nil {
			return err
		}
	}
	var zones []doctor.Zone
	for _, d := range s.Domains {
		keys, err := publishedKeys{dkimFolder(cfg)}.Keys(d.Name)
		if err != nil {
			return err
		}
		zones = append(zones, s.Zone(d, keys))
	}
	if v.JSON {
		return o.json(zones)
	}
	texts := make([]string, len(zones))
	for i, z := range zones {
		texts[i] = z.String()
	}
	return o.printf("%s", strings.Join(texts, "\n"))
}

// only is the one domain of the given name.
func only(domains []domain, name string) ([]domain, error) {
	canonical, err := address.ParseDomain(name)
	if err == nil {
		for _, d := range domains {
			if d.Name == canonical {
				return []domain{d}, nil
			}
		}
	}
	return nil, fmt.Errorf("%q is none of the configuration's domains", name)
}

// namedAddresses are those that a port is opened at; none where that is all of them, or is loopback for one.
func namedAddresses(listen []string) (all []netip.Addr) {
	for _, l := range listen {
		at, err := netip.ParseAddrPort(l)
		if err != nil || at.Addr().IsUnspecified() || at.Addr().IsLoopback() {
			return nil
		}
		all = append(all, at.Addr().Unmap().WithZone(""))
	}
	return all
}

// setup is what the configuration says of the server. addresses are the public ones; without any, those at which port 25 listens, of all interfaces where it names none.
func setup(cfg *config.Config, addresses []ipAddress) (doctor.Setup, error) {
	s := doctor.Setup{Host: cfg.Hostname, Chat: chatHost(cfg), Web: webPort(cfg), MX: offered(cfg, cfg.SMTP.MX.Listen), Inside: inside(cfg), Domains: documents(cfg).Domains}
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, netip.Addr(a))
	}
	if len(addresses) > 0 {
		return s, nil
	}
	if named := namedAddresses(cfg.SMTP.MX.Listen); len(named) > 0 {
		s.Addresses = slices.DeleteFunc(named, func(ip netip.Addr) bool { return !netutil.Public(ip) })
		return s, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return s, fmt.Errorf("looking at this computer's addresses: %w", err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && netutil.Public(ip.Unmap()) {
				s.Addresses = append(s.Addresses, ip.Unmap())
			}
		}
	}
	return s, nil
}
