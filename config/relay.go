package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// relay checks how mail goes out.
func (v *validation) relay() {
	c := &v.c.Relay
	if v.fine("relay.retry") && len(c.Retry) == 0 {
		v.add("relay.retry", "write for instance [5m, 15m, 30m, 1h]", "has no pause")
	}
	for i, d := range c.Retry {
		if key := fmt.Sprintf("relay.retry[%d]", i); v.fine(key) && (d < time.Second || d > 7*day) {
			v.add(key, "choose from 1s to 7d", "cannot be %s", v.written(key, formatDuration(d)))
		}
	}
	// Only what somebody has written: where life alone is short, nobody is told, as with every mail that goes back before it is late.
	if _, written := v.at["relay.late"]; written && v.fine("relay.late") && v.fine("relay.life") && c.Late >= c.Life {
		v.add("relay.late", "choose less than relay.life", "cannot be %s: relay.life is %s, and a mail that has gone back waits no more", v.written("relay.late", formatDuration(c.Late)), v.written("relay.life", formatDuration(c.Life)))
	}
	if v.fine("relay.resolver") && c.Resolver != "" {
		v.resolver()
	}
	v.validates()
	v.authorities("relay.ca", &c.CA)
	for _, name := range slices.Sorted(maps.Keys(c.Smarthosts)) {
		v.smarthost(name)
	}
	for i := range c.Routes {
		v.route(i)
	}
}

func (v *validation) resolver() {
	const key, right = "relay.resolver", "write address and port of a name server, such as 127.0.0.1:53"
	host, port, err := net.SplitHostPort(v.c.Relay.Resolver)
	if err != nil { // without a port
		host, port = strings.Trim(v.c.Relay.Resolver, "[]"), "53"
	}
	ip, err := netip.ParseAddr(host)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 1 || n > 65535 {
		v.add(key, right, "cannot be %s", v.show(key, v.c.Relay.Resolver))
		return
	}
	v.c.Relay.Resolver = net.JoinHostPort(ip.String(), strconv.Itoa(n))
}

// validates sees that whoever says what DNSSEC vouches for is near: on the way from elsewhere anybody could say so in his name.
func (v *validation) validates() {
	const key = "relay.validates"
	c := &v.c.Relay
	if !v.fine(key) || !c.Validates {
		return
	}
	if c.Resolver == "" {
		v.add(key, "name that server in relay.resolver", "is about no name server: the system's is not trusted to check DNSSEC")
		return
	}
	at, err := netip.ParseAddrPort(c.Resolver)
	if err != nil {
		return // that is told of relay.resolver
	}
	if ip := at.Addr().Unmap(); !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
		v.add(key, "run a name server that checks DNSSEC on this computer, such as unbound, and name that", "cannot be true of a name server elsewhere, %s: its answers can be forged on the way", ip)
	}
}

func (v *validation) smarthost(name string) {
	s := v.c.Relay.Smarthosts[name]
	key := "relay.smarthosts[" + name + "]"
	if !v.fine(key) {
		return
	}
	if name == ByMX || name == "" {
		v.add(key, "choose another name", "cannot be a smarthost's name")
	}
	if _, err := netip.ParseAddr(s.Host); err != nil {
		host, err := hostName(s.Host)
		if err != nil {
			v.add(key+".host", "write a host name such as smtp.example.net, or an IP address", "cannot be %s%s", v.show(key+".host", s.Host), v.why(key+".host", err))
		} else {
			s.Host = host
		}
	}
	if s.Port < 0 || s.Port > 65535 {
		v.add(key+".port", "choose a number from 1 to 65535", "cannot be %d", s.Port)
	}
	if s.TLS == "" {
		s.TLS = TLSStart
	}
	if may := []string{TLSStart, TLSImplicit, TLSMay}; !slices.Contains(may, s.TLS) {
		v.add(key+".tls", "choose one of "+strings.Join(may, ", "), "cannot be %s", v.show(key+".tls", s.TLS))
	}
	if (s.Login == "") != (s.Password == "") {
		v.add(key, "give both, or neither", "has only one of login and password")
	}
	if s.TLS == TLSMay && s.Password != "" {
		v.add(key+".tls", "choose "+TLSStart+" or "+TLSImplicit, "cannot be "+TLSMay+" where there is a password: that is said to nobody but a host with TLS and a good certificate")
	}
	v.c.Relay.Smarthosts[name] = s
}

func (v *validation) route(i int) {
	r := &v.c.Relay.Routes[i]
	key := fmt.Sprintf("relay.routes[%d]", i)
	if !v.fine(key) {
		return
	}
	for _, d := range []struct {
		key string
		is  *string
	}{{key + ".from", &r.From}, {key + ".to", &r.To}} {
		if *d.is == "" || *d.is == "*" {
			*d.is = ""
			continue
		}
		name, err := hostName(*d.is)
		if err != nil {
			v.add(d.key, "write a domain such as example.org", "cannot be %s%s", v.show(d.key, *d.is), v.why(d.key, err))
			continue
		}
		*d.is = name
	}
	if _, ok := v.c.Relay.Smarthosts[r.Via]; !ok && r.Via != ByMX {
		v.add(key+".via", "name one of relay.smarthosts, or mx", "cannot be %s", v.show(key+".via", r.Via))
	}
}
