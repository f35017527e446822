package autoconfig

import (
	"net/http"
	"strings"

	"chmail/internal/address"
)

// Documents are those of all domains of a server. Chat is the host of its pages, which answers Outlook for all of them: the SRV record
// leads there, since its certificate stands for it whatever the domain.
type Documents struct {
	Domains []Domain
	Chat    string
}

// Find is who answers a request to a host (lower case, without port and final dot) for a path; nil where there is no document of that
// name, which is to be answered as if nobody had asked here. A host may be one of the server's other names too: only these paths are taken from it.
func (d Documents) Find(host, path string) http.Handler {
	if strings.EqualFold(path, OutlookPath) && (host == d.Chat || d.has(strings.TrimPrefix(host, "autodiscover."))) {
		return http.HandlerFunc(d.outlook)
	}
	for _, domain := range d.Domains {
		name, ours := strings.CutSuffix(host, domain.Name)
		switch {
		case !ours:
		case name == "mta-sts." && path == STSPath:
			return static("text/plain; charset=utf-8", domain.STSPolicy)
		case name == "autoconfig." && path == ThunderbirdPath, (name == "autoconfig." || name == "") && path == ThunderbirdPath2:
			return static("text/xml; charset=utf-8", domain.Thunderbird)
		case name == "autoconfig." && path == ApplePath:
			return http.HandlerFunc(domain.serveApple)
		}
	}
	return nil
}

func (d Documents) has(name string) bool {
	_, ok := d.domain(name)
	return ok
}

func (d Documents) domain(name string) (Domain, bool) {
	for _, domain := range d.Domains {
		if domain.Name == name {
			return domain, true
		}
	}
	return Domain{}, false
}

// outlook answers a posted question. A refusal is an answer like any other: Outlook reads what stands in it.
func (d Documents) outlook(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		notAllowed(w, "POST")
		return
	}
	q, err := ReadQuestion(r.Body)
	domain, ours := d.domain(q.Address.Domain)
	switch {
	case err != nil:
		answer(w, "text/xml; charset=utf-8", OutlookRefusal(OutlookBadRequest, "Invalid request"))
	case !ours:
		answer(w, "text/xml; charset=utf-8", OutlookRefusal(OutlookNoAddress, "This address is not served here"))
	case q.Mobile:
		answer(w, "text/xml; charset=utf-8", OutlookRefusal(OutlookNoProvider, "ActiveSync is not spoken here; mail is fetched by POP3"))
	default:
		answer(w, "text/xml; charset=utf-8", domain.Outlook(q.Address))
	}
}

func (d Domain) serveApple(w http.ResponseWriter, r *http.Request) {
	if !reads(r) {
		notAllowed(w, "GET, HEAD")
		return
	}
	var a address.Address
	if asked := r.URL.Query().Get("address"); asked != "" {
		var err error
		if a, err = address.Parse(asked); err != nil || a.Domain != d.Name {
			http.Error(w, "address: write a full mail address of "+d.Name, http.StatusBadRequest)
			return
		}
	}
	profile, ok := d.Apple(a)
	if !ok {
		http.Error(w, "no profile: mail is not fetched and sent here", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+d.Name+`.mobileconfig"`)
	answer(w, "application/x-apple-aspen-config", profile)
}

func static(kind string, text func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !reads(r) {
			notAllowed(w, "GET, HEAD")
			return
		}
		answer(w, kind, text())
	})
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, "this document is not asked for so", http.StatusMethodNotAllowed)
}

// answer writes a document. net/http itself leaves the body away for HEAD.
func answer(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	// A failed write means that the client has gone; there is nobody left to tell.
	_, _ = w.Write(body)
}
