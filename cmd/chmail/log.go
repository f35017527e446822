package main

import (
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// newLog makes the program's log: lines of text, or of JSON for whoever collects them. Rooms never log a secret; should one slip
// into a line all the same, redact keeps it from being written.
func newLog(w io.Writer, level slog.Level, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// hidden stands where something was that no log may hold.
const hidden = "[hidden]"

// secretNames are parts of attribute names whose values are never written.
var secretNames = [...]string{"password", "passwd", "secret", "token", "cookie", "authorization"}

var (
	chatLink = regexp.MustCompile(`/c/[A-Za-z0-9_-]{22}`)
	userInfo = regexp.MustCompile(`://[^/@\s"]*@`)
)

// redact hides values whose name says that they are secret, the token of a chat link, and user and password in a URL. Words that
// begin a log line, its level and time, come through here as well and are left as they are.
func redact(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(a.Key)
	for _, s := range secretNames {
		if strings.Contains(name, s) {
			return slog.String(a.Key, hidden)
		}
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if text := a.Value.String(); suspicious(text) {
			a.Value = slog.StringValue(hideSecrets(text))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			if text := err.Error(); suspicious(text) {
				a.Value = slog.StringValue(hideSecrets(text))
			}
		}
	}
	return a
}

// suspicious is cheap and lets nearly every line pass without a pattern being tried on it.
func suspicious(text string) bool {
	return strings.Contains(text, "/c/") || strings.Contains(text, "://")
}

func hideSecrets(text string) string {
	return userInfo.ReplaceAllString(chatLink.ReplaceAllString(text, "/c/"+hidden), "://"+hidden+"@")
}
