package acme

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge writes certmagic's lines into the server's log. What it reports step by step is for whoever looks for a fault, at level debug; what fails for good and is not
// told by Manager's own lines is a warning.
type bridge struct {
	log    *slog.Logger
	fields map[string]any
}

var _ zapcore.Core = bridge{}

func newBridge(log *slog.Logger) *zap.Logger { return zap.New(bridge{log: log}) }

// told are certmagic's fields that may be in a log: none holds a key or a token, nor says who asks.
var told = [...]string{
	"attempt", "ca", "challenge", "challenge_type", "duration", "elapsed", "error", "expiration", "identifier", "identifiers", "issuer", "lock", "lock_key", "name", "names", "problem", "remaining",
	"retrying_in", "selected_time", "server_name", "status", "status_code", "subject", "subjects", "window_end", "window_start",
}

// ours are its lines that say what Manager says in its own words.
var ours = [...]string{"challenge failed", "validating authorization", "could not get certificate from issuer", "will retry"}

// Enabled implements zapcore.Core. Its lines of level debug, several for each handshake, are never wanted.
func (b bridge) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{log: b.log, fields: b.merged(fields)}
}

func (b bridge) merged(fields []zapcore.Field) map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	maps.Copy(enc.Fields, b.fields)
	for _, f := range fields {
		if slices.Contains(told[:], f.Key) {
			f.AddTo(enc)
		}
	}
	return enc.Fields
}

// Check implements zapcore.Core.
func (b bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return to.AddCore(e, b)
	}
	return to
}

// Write implements zapcore.Core.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelDebug
	all := b.merged(fields)
	why, _ := all["error"].(string)
	if e.Level >= zapcore.ErrorLevel && !slices.Contains(ours[:], e.Message) && !strings.Contains(why, context.Canceled.Error()) { // it is no fault that we stop
		level = slog.LevelWarn
	}
	if !b.log.Enabled(context.Background(), level) {
		return nil
	}
	args := make([]slog.Attr, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		args = append(args, slog.Any(k, all[k]))
	}
	b.log.LogAttrs(context.Background(), level, "acme: "+e.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (b bridge) Sync() error { return nil }
