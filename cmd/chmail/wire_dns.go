package main

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"chmail/config"
	"chmail/internal/autoconfig"
	"chmail/internal/doctor"
)

// documents are what the web port serves of all domains beside the pages: MTA-STS policies, and the settings of mail clients.
func documents(cfg *config.Config) autoconfig.Documents {
	d := autoconfig.Documents{Chat: chatHost(cfg)}
	for _, name := range cfg.Domains {
		d.Domains = append(d.Domains, autoconfig.Domain{
			Name: name, Host: cfg.Hostname, STS: cfg.SMTP.MX.MTASTS,
			POP3: autoconfig.Ports(offered(cfg, cfg.POP3.ListenTLS), offered(cfg, cfg.POP3.Listen), 995, 110),
			SMTP: autoconfig.Ports(offered(cfg, cfg.SMTP.Submissions.Listen), offered(cfg, cfg.SMTP.Submission.Listen), 465, 587),
		})
	}
	return d
}

// chatHost is the host of chat.url, without port.
func chatHost(cfg *config.Config) string {
	u, err := url.Parse(cfg.Chat.URL)
	if err != nil {
		return "" // the configuration has been checked: it does not come to this
	}
	return u.Hostname()
}

// offered are the ports of listeners that others reach. One on loopback is for programs of this computer, unless the server itself is.
func offered(cfg *config.Config, listen []string) []int {
	var ports []int
	for _, address := range listen {
		_, port, err := net.SplitHostPort(address)
		n, numeric := strconv.Atoi(port)
		if err != nil || numeric != nil || onlyHere(cfg, address) {
			continue
		}
		if !slices.Contains(ports, n) {
			ports = append(ports, n)
		}
	}
	return ports
}

// onlyHere tells whether a listener is for programs of this computer, while the server is for others as well.
func onlyHere(cfg *config.Config, listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && loopback(host) && !loopback(cfg.Hostname)
}

// inside are the listeners for mail and its clients that others reach only by a port that somebody passes on: behind a proxy, or a gateway that translates addresses.
func inside(cfg *config.Config) []doctor.Listener {
	return slices.DeleteFunc(listeners(cfg), func(l doctor.Listener) bool { return l.Kind == doctor.ListenWeb || !onlyHere(cfg, l.Addr) })
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// domain is one of the server's, as mail clients and the DNS have to know it.
type domain = autoconfig.Domain

// webPort is the port of chat.url.
func webPort(cfg *config.Config) int {
	u, err := url.Parse(cfg.Chat.URL)
	if err != nil {
		return 0 // the configuration has been checked: it does not come to this
	}
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	return map[string]int{"https": 443, "http": 80}[u.Scheme]
}
