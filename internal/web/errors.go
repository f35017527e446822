package web

import (
	"net/http"
	"strconv"
)

// Error answers with one of the site's own pages for a status that is an error. The page says in plain words what to do and
// nothing about the inside; every 404 of the site is the same page, whatever was missing. When the answer has begun already, nothing happens.
func (s *Site) Error(w http.ResponseWriter, r *http.Request, status int) {
	if rw, ok := w.(*response); ok && rw.wrote {
		return
	}
	key := "error." + strconv.Itoa(status)
	if !s.errors.words.Has(key + ".title") {
		key = "error.500"
		if status < 500 {
			key = "error.400"
		}
	}
	err := s.errors.Render(w, r, View{Name: "error", Status: status, TitleKey: key + ".title", Data: key})
	if err != nil {
		s.log.Error("web: rendering an error page", "status", status, "err", err)
		http.Error(w, http.StatusText(status), status)
	}
}
