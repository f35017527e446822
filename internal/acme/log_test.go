package acme

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestOfCertmagicsLinesTheLogHasWhatAnAdministratorNeeds(t *testing.T) {
	t.Parallel()
	said := newWords()
	log := newBridge(slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))).Named("obtain").With(zap.String("identifier", "mail.example.com"), zap.String("private_key", "hunter2"))
	log.Debug("at each handshake")
	log.Info("acquiring lock", zap.String("token", "hunter2"), zap.String("remote_addr", "192.0.2.7"))
	log.Error("will retry", zap.Error(errors.New("connection refused")))
	log.Error("job failed", zap.Error(errors.New("obtaining: context canceled")))
	log.Error("job failed", zap.Error(errors.New("the disk is full")))
	want := `level=DEBUG msg="acme: acquiring lock" identifier=mail.example.com
level=DEBUG msg="acme: will retry" error="connection refused" identifier=mail.example.com
level=DEBUG msg="acme: job failed" error="obtaining: context canceled" identifier=mail.example.com
level=WARN msg="acme: job failed" error="the disk is full" identifier=mail.example.com
`
	var got strings.Builder
	for line := range strings.Lines(said.String()) {
		_, text, _ := strings.Cut(line, " ") // without its time
		got.WriteString(text)
	}
	if got.String() != want {
		t.Errorf("the log says\n%swant\n%s", got.String(), want)
	}
}
