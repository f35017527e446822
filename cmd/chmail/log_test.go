package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNoSecretReachesALogLine(t *testing.T) {
	t.Parallel()
	const link = "https://chat.example.com/c/AbCdEfGhIjKlMnOpQrStUv"
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := newLog(&out, slog.LevelInfo, format)
		log.Info("call: opened", "login", "alice@example.com", "token", "AbCdEfGhIjKlMnOpQrStUv", "Password", "tell nobody",
			"err", fmt.Errorf("asking %s: %w", link, errors.New("refused")), "redis", "redis://:tell-nobody@127.0.0.1:6379/0", slog.Group("web", "set_cookie", "tell nobody"))
		log.Info("link was " + link)
		text := out.String()
		if strings.Contains(text, "AbCdEfGhIjKlMnOpQrStUv") || strings.Contains(text, "tell") {
			t.Errorf("%s: a secret came through: %s", format, text)
		}
		for _, want := range []string{"alice@example.com", "127.0.0.1:6379/0", "refused", "call: opened", "chat.example.com/c/"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the line lost %q: %s", format, want, text)
			}
		}
	}
}

func BenchmarkLogLine(b *testing.B) {
	log := newLog(bytes.NewBuffer(nil), slog.LevelInfo, "text")
	b.ReportAllocs()
	for b.Loop() {
		log.Info("mail: submitted", "id", "AbCdEfGhIjKl", "login", "alice@example.com", "peer", "192.0.2.1", "size", 8192, "to", 1)
	}
}
