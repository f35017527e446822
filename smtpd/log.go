package smtpd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// libraryLog is what go-smtp reports to: connections that broke, which netutil bounds and nobody needs to hear of, and panics, which everybody does.
type libraryLog struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (l libraryLog) Printf(format string, v ...any) {
	level := slog.LevelDebug
	if strings.HasPrefix(format, "panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// Println implements smtp.Logger.
func (l libraryLog) Println(v ...any) { l.log.Debug(strings.TrimSpace(fmt.Sprintln(v...))) }
