package web

import (
	"net/http"
	"strings"
)

// setHeaders sets what holds for every answer of the site; a page adds its own Content-Security-Policy.
func (s *Site) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy(View{}))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "microphone=(self), camera=(self), display-capture=(self)")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.Secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// policy is the Content-Security-Policy of a page: it may open connections to exactly the origins that the view names, and make the named policies of Trusted Types.
// Scripts and styles come from our own files only, nothing inline, nothing evaluated, no third party; no frame around us and none in us, but where the view
// says so our own.
func policy(v View) string {
	to, made, around, within := "'none'", "'none'", "'none'", ""
	if len(v.Connect) > 0 {
		to = strings.Join(v.Connect, " ")
	}
	if len(v.Policies) > 0 {
		made = strings.Join(v.Policies, " ")
	}
	if v.Framed {
		around = "'self'"
	}
	if v.Frames {
		within = "frame-src 'self'; "
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + to +
		"; " + within + "base-uri 'none'; form-action 'self'; frame-ancestors " + around + "; manifest-src 'self'; require-trusted-types-for 'script'; trusted-types " + made
}

// OriginAllowed tells whether a WebSocket request comes from exactly one of the allowed origins. A missing Origin, "null", a
// sub-domain or another port are all refused: browsers always send it, and WebSocket requests know no other protection (CWE-1385).
func OriginAllowed(r *http.Request, allowed ...string) bool {
	values := r.Header.Values("Origin")
	if len(values) != 1 || values[0] == "" || values[0] == "null" {
		return false
	}
	for _, a := range allowed {
		if values[0] == a {
			return true
		}
	}
	return false
}

// SameOrigin tells whether a WebSocket request comes from a page of this site.
func (s *Site) SameOrigin(r *http.Request) bool { return OriginAllowed(r, s.Origin()) }
