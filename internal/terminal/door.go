// Package terminal is the reader's side of a chat for people who live in the terminal: it follows a chat link as a browser would, keeps
// a line up on which nothing is lost or said twice, and shows the conversation, as a full screen or line by line. It speaks the frames
// of docs/protocol.md, so it works through the owner's chat port and through the web port alike.
//
//	door.go    the link, and what the page behind it says: the owner, the mail, the sockets, the visitor's cookie
//	client.go  one goroutine that owns the line and the conversation; it knows nothing of how they are shown
//	safe.go    what others wrote, made harmless for a terminal
//	plain.go   the conversation line by line, for scripts
//	screen.go  the conversation on a full screen; view.go, transcript.go and editor.go are what is seen there
package terminal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"
)

const (
	maxPage    = 512 << 10 // bytes of the reader's page; it has a tenth of that
	pageWithin = 20 * time.Second
)

// ErrLink says that nobody can be reached by this link: it never worked, or no longer does.
var ErrLink = errors.New("this link does not work, or no longer: answer the mail instead")

// ErrForeign says that the link leads to something that is no chat page of chmail's.
var ErrForeign = errors.New("this is no chat page")

// token is how the end of a chat link looks.
var token = regexp.MustCompile(`^/c/([A-Za-z0-9_-]{1,64})$`)

// A Link is a chat link that may be followed.
type Link struct {
	site  *url.URL // scheme and host, as browsers write an origin
	token string
}

// ParseLink reads a chat link, also with the angle brackets in which mails write it. A link that is not https is refused anywhere but
// on this computer: whoever is in between would hear everything.
func ParseLink(text string) (Link, error) {
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "<"), ">")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return Link{}, fmt.Errorf("%q is no chat link: it looks like https://chat.example.com/c/9fXq2kTq0uVw3Ew7n8aZ5g", Safe(text))
	}
	path := token.FindStringSubmatch(u.Path)
	switch {
	case path == nil:
		return Link{}, fmt.Errorf("%q is no chat link: a link ends in /c/ and a token", Safe(text))
	case u.Scheme == "http" && !onLoopback(u.Hostname()):
		return Link{}, fmt.Errorf("%q is not encrypted: a chat link begins with https://", Safe(text))
	case u.Scheme != "http" && u.Scheme != "https":
		return Link{}, fmt.Errorf("%q is no chat link: a link begins with https://", Safe(text))
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + port
	}
	return Link{&url.URL{Scheme: u.Scheme, Host: host}, path[1]}, nil
}

// Site is the origin of the pages, such as https://chat.example.com: a visitor is the same person on all of them.
func (l Link) Site() string { return l.site.String() }

func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// A Door is what the page behind a link says.
type Door struct {
	Owner   string // how he is called
	Address string // his mail address; "" when Owner is the address
	Subject string // of the mail that carries the link; "" for none

	sockets []string
}

// transport makes connections as a browser would, trusting roots (nil: the system's).
func transport(roots *x509.CertPool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true,
	}
}

// cookieName is that of docs/protocol.md.
func (l Link) cookieName() string {
	if l.site.Scheme == "https" {
		return "__Host-visitor"
	}
	return "visitor"
}

// knock fetches the page, which starts the owner's chat port and calls nobody. visitor is who we are to the site, "" for somebody new;
// who we are then is returned.
func (l Link) knock(ctx context.Context, via http.RoundTripper, visitor string) (Door, string, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.site.JoinPath("c", l.token).String(), nil)
	if err != nil {
		return Door{}, "", fmt.Errorf("asking for the page: %w", err)
	}
	req.Header.Set("Accept-Language", "en")
	if visitor != "" {
		req.AddCookie(&http.Cookie{Name: l.cookieName(), Value: visitor})
	}
	resp, err := via.RoundTrip(req) // a redirection is not followed: who we are belongs to this site
	if err != nil {
		return Door{}, "", fmt.Errorf("following the link: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return Door{}, "", ErrLink
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return Door{}, "", fmt.Errorf("following the link: the server says %d", resp.StatusCode)
	case resp.Header.Get("Location") != "":
		return Door{}, "", fmt.Errorf("%w: it leads on to %s", ErrForeign, Safe(resp.Header.Get("Location")))
	case resp.StatusCode != http.StatusOK:
		return Door{}, "", fmt.Errorf("%w: the server says %d", ErrForeign, resp.StatusCode)
	}
	door, err := readPage(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return Door{}, "", err
	}
	if door.sockets, err = l.own(door.sockets); err != nil {
		return Door{}, "", err
	}
	for _, c := range resp.Cookies() {
		if c.Name == l.cookieName() && c.Value != "" {
			visitor = c.Value
		}
	}
	if visitor == "" {
		return Door{}, "", fmt.Errorf("%w: it gave no cookie", ErrForeign)
	}
	return door, visitor, nil
}

// own takes the sockets that are the link's own host's: what we say goes nowhere else, whatever a page says.
func (l Link) own(sockets []string) ([]string, error) {
	scheme := map[string]string{"http": "ws", "https": "wss"}[l.site.Scheme]
	var ours []string
	for _, s := range sockets {
		if u, err := url.Parse(s); err == nil && u.Scheme == scheme && u.Hostname() == l.site.Hostname() && u.Path == "/ws" {
			ours = append(ours, s)
		}
	}
	if len(ours) == 0 {
		return nil, fmt.Errorf("%w: it names no socket of this host", ErrForeign)
	}
	return ours, nil
}

// readPage finds what a browser's script would find on the reader's page.
func readPage(r io.Reader) (Door, error) {
	var d Door
	var into *string // what the next text belongs to
	for z := html.NewTokenizer(r); ; {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return Door{}, fmt.Errorf("reading the page: %w", err)
			}
			if d.Owner == "" || len(d.sockets) == 0 {
				return Door{}, ErrForeign
			}
			return d, nil
		case html.StartTagToken:
			tag := z.Token()
			switch {
			case attr(tag, "id") == "reader":
				d.Owner, d.sockets = attr(tag, "data-owner"), strings.Fields(attr(tag, "data-sockets"))
			case tag.Data == "p" && attr(tag, "class") == "address":
				into = &d.Address
			case tag.Data == "cite":
				into = &d.Subject
			}
		case html.TextToken:
			if into != nil && *into == "" {
				*into = strings.TrimSpace(z.Token().Data)
			}
			into = nil
		case html.EndTagToken:
			into = nil
		}
	}
}

func attr(tag html.Token, name string) string {
	for _, a := range tag.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
