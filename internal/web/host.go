package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// isLoopback tells whether host (without port) is this computer whatever a resolver says.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// canonicalHost is host in lower case, without the scheme's own port and without the root's dot.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.TrimSuffix(host, ".")
	}
	name = strings.TrimSuffix(name, ".")
	if (scheme == "https" && port == "443") || (scheme == "http" && port == "80") {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, port)
}

// besides is who answers for a document that lies on another name; nil for every other request.
func (s *Site) besides(r *http.Request) http.Handler {
	if s.beside == nil {
		return nil
	}
	host := canonicalHost(s.url.Scheme, r.Host)
	if p := s.url.Port(); p != "" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	if strings.Contains(host, ":") {
		return nil // another port, or an address, which has no such documents
	}
	return s.beside(host, r.URL.Path)
}

// rightHost answers requests for another host than the site's: cookies, Origin and links hold for exactly one. On loopback
// 127.0.0.1 is led to localhost (or whatever the site is called); elsewhere the request is misdirected (RFC 9110 15.5.20).
func (s *Site) rightHost(w http.ResponseWriter, r *http.Request) bool {
	if canonicalHost(s.url.Scheme, r.Host) == s.url.Host {
		return true
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		name = host
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if get && isLoopback(s.url.Hostname()) && isLoopback(name) && r.Header.Get("Upgrade") == "" {
		target := *r.URL
		target.Scheme, target.Host, target.User = s.url.Scheme, s.url.Host, nil
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, target.String(), http.StatusTemporaryRedirect)
		return false
	}
	s.Error(w, r, http.StatusMisdirectedRequest)
	return false
}
