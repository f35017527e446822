package intake

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"chmail/internal/message"
)

func TestAMailIsVettedAsItWouldBeSubmitted(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1200)
	for name, raw := range map[string]string{
		"a sound one":    letter("", "Hello.\n"),
		"no From":        wire("Subject: x\n\nHello.\n"),
		"two From":       letter("From: bob@example.com\n", "Hello.\n"),
		"unreadable":     wire("From: <alice\n\nHello.\n"),
		"stray":          letter("this is no field\n", "Hello.\n"),
		"folded first":   wire(" folded\nFrom: alice@example.com\n\nHello.\n"),
		"a bare CR":      letter("", "He\rllo.\n"),
		"a NUL":          letter("", "He\x00llo.\n"),
		"long lines":     letter("", long+"\n"),
		"long and kept":  letter("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n", long+"\n--b\n\nx\n--b--\n"),
		"large":          letter("", strings.Repeat("A line of a large mail.\n", 5000)),
		"large, no From": wire("Subject: x\n\n" + strings.Repeat("A line of a large mail.\n", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			refusal, err := Vet(t.Context(), strings.NewReader(raw), dir)
			if err != nil {
				t.Fatal(err)
			}
			o := newOffice(t)
			err = o.Submit(context.Background(), toBob(), strings.NewReader(raw))
			var submitted *message.Refusal
			errors.As(err, &submitted)
			if refusal == nil != (err == nil) || refusal != nil && (submitted == nil || refusal.Code != submitted.Code || refusal.Text != submitted.Text) {
				t.Errorf("vetted: %v; submitted: %v", refusal, err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is left behind, %v", left, err)
			}
		})
	}
	if refusal, err := Vet(t.Context(), iotest.ErrReader(io.ErrUnexpectedEOF), t.TempDir()); refusal != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a mail that cannot be read: %v, %v", refusal, err)
	}
}
