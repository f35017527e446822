package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The ports that Linux gives to outgoing connections by itself (net.ipv4.ip_local_port_range); the end is the first behind them.
const ephemeralBegin, ephemeralEnd = 32768, 61000

// blockedPorts are those that browsers refuse to connect to: the Fetch standard's bad ports, section "port blocking".
var blockedPorts = [...]int{
	0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123,
	135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995,
	1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}

// endpoint is where a key of the configuration listens.
type endpoint struct {
	key  string
	host string // "" for every address, "localhost", or an IP address
	port int
}

// overlaps tells whether the system would refuse the second of two listeners on the same port.
func (e endpoint) overlaps(host string) bool {
	switch {
	case e.host == host, e.host == "", host == "":
		return true
	case e.host == "localhost":
		return isLoopback(host)
	case host == "localhost":
		return isLoopback(e.host)
	}
	return false
}

func (v *validation) listeners() {
	c := v.c
	var all []endpoint
	for _, l := range []struct {
		key       string
		addresses []string
	}{
		{"smtp.mx.listen", c.SMTP.MX.Listen}, {"smtp.submission.listen", c.SMTP.Submission.Listen}, {"smtp.submissions.listen", c.SMTP.Submissions.Listen},
		{"pop3.listen", c.POP3.Listen}, {"pop3.listen_tls", c.POP3.ListenTLS}, {"chat.listen", c.Chat.Listen},
	} {
		for i, a := range l.addresses {
			all = v.endpoint(all, fmt.Sprintf("%s[%d]", l.key, i), a)
		}
	}
	if a := c.TLS.ACME; a.Agree && a.Challenge == ByHTTP {
		all = v.endpoint(all, "tls.acme.http_listen", a.HTTPListen)
	}
	if c.Health.Listen == "off" {
		c.Health.Listen = ""
	} else {
		all = v.endpoint(all, "health.listen", c.Health.Listen)
	}
	for i, e := range all {
		for _, other := range all[:i] {
			if e.port == other.port && e.overlaps(other.host) {
				if _, set := v.at[e.key]; !set {
					e, other = other, e // what the file says is what can be changed
				}
				v.add(e.key, "give each its own port", "listens on port %d, as %s does%s", e.port, other.key, v.where(other.key))
				break
			}
		}
	}
	v.chatPorts(all)
}

// where names the line of a key.
func (v *validation) where(key string) string {
	if p, ok := v.at[key]; ok {
		return fmt.Sprintf(" (line %d)", p.line)
	}
	return " by default"
}

// endpoint reads an address to listen on and appends it, or notes what is wrong with it.
func (v *validation) endpoint(all []endpoint, key, address string) []endpoint {
	if !v.fine(key) {
		return all
	}
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 1 || n > 65535 {
		right := `write for instance ":25" for every address of the computer, or "127.0.0.1:25" for one`
		if key == "health.listen" {
			right = `write for instance "127.0.0.1:9180", or off`
		}
		v.add(key, right, "cannot be %s: that is no address and port", v.show(key, address))
		return all
	}
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
		if ip.IsUnspecified() {
			host = "" // the system listens on both families then
		}
	} else if host != "" && host != "localhost" {
		v.add(key, "write the IP address, or nothing before the colon for every address", "cannot be %s: it names a host", v.show(key, address))
		return all
	}
	return append(all, endpoint{key, host, n})
}

// chatPorts checks the range against the listeners, and that chats without TLS stay on this computer.
func (v *validation) chatPorts(all []endpoint) {
	var hosts []endpoint
	for _, e := range all {
		if !strings.HasPrefix(e.key, "chat.listen") {
			continue
		}
		hosts = append(hosts, e)
		if v.web != nil && v.web.Scheme == "http" && !isLoopback(e.host) {
			v.add(e.key, "listen on 127.0.0.1, or use https", "reaches beyond this computer, while chat.url is http")
		}
	}
	p := v.c.Chat.Ports
	if !v.fine("chat.ports") {
		return
	}
	for _, e := range all {
		for _, h := range hosts {
			if e.port >= p.First && e.port <= p.Last && e.overlaps(h.host) {
				if _, set := v.at[e.key]; !set {
					v.add("chat.ports", "choose another range", "holds port %d, on which %s listens by default", e.port, e.key)
					break
				}
				v.add(e.key, "choose a port outside of it", "listens on port %d, which is in chat.ports %s%s", e.port, v.show("chat.ports", p.String()), v.where("chat.ports"))
				break
			}
		}
	}
}
