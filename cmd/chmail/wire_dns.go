package main

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
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
		host, port, err := net.SplitHostPort(address)
		n, numeric := strconv.Atoi(port)
		if err != nil || numeric != nil || loopback(host) && !loopback(cfg.Hostname) {
			continue
		}
		if !slices.Contains(ports, n) {
			ports = append(ports, n)
		}
	}
	return ports
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

// dkimFolder is where the configuration's keys are.
func dkimFolder(cfg *config.Config) dkimKeys { return dkimKeys(filepath.Join(cfg.Data, "dkim")) }

// dkimKeys are the DKIM keys in a folder: DOMAIN/SELECTOR.rsa.pem and DOMAIN/SELECTOR.ed25519.pem, each PKCS #8 in PEM.
type dkimKeys string

// Keys are those of a domain, in the order of their selectors.
func (folder dkimKeys) Keys(name string) ([]doctor.Key, error) {
	dir := filepath.Join(string(folder), name)
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for DKIM keys: %w", err)
	}
	var keys []doctor.Key
	for _, f := range files {
		selector, ok := strings.CutSuffix(f.Name(), ".rsa.pem")
		if !ok {
			selector, ok = strings.CutSuffix(f.Name(), ".ed25519.pem")
		}
		if !ok {
			continue
		}
		record, err := dkimRecord(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		keys = append(keys, doctor.Key{Selector: selector, Record: record})
	}
	return keys, nil
}

// dkimRecord is the TXT record of a key (RFC 6376 3.6.1, RFC 8463 3).
func dkimRecord(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading a DKIM key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", fmt.Errorf("%s holds no PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading the DKIM key %s: %w", file, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			return "", fmt.Errorf("reading the DKIM key %s: %w", file, err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public), nil
	case ed25519.PrivateKey:
		public, _ := k.Public().(ed25519.PublicKey) // it always is
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	return "", fmt.Errorf("%s is a key of a kind that DKIM does not know", file)
}
