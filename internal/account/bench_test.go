package account

import (
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// BenchmarkPoll is the login of a mail client that polls: the password is remembered.
func BenchmarkPoll(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := h.Authenticate(b.Context(), alice, alicesPassword, home); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkRecipient(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	to := mail(b, "Alice@Example.com")
	b.ReportAllocs()
	for b.Loop() {
		if login, _, err := h.Recipient(b.Context(), to); login != alice || err != nil {
			b.Fatal(login, err)
		}
	}
}

func BenchmarkUnknownRecipient(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	to := mail(b, "nobody@example.com")
	b.ReportAllocs()
	for b.Loop() {
		if login, local, err := h.Recipient(b.Context(), to); login != "" || !local || err != nil {
			b.Fatal(login, err)
		}
	}
}

// BenchmarkFirstLogin is what a login costs when the password is not remembered.
func BenchmarkFirstLogin(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	h.hasher.params = present()
	h.must(h.SetPassword(b.Context(), alice, bobsPassword))
	b.ReportAllocs()
	for b.Loop() {
		clear(h.verified.m)
		if _, ok, err := h.Authenticate(b.Context(), alice, bobsPassword, home); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkRemains is what each recipient adds to the commit of a mail.
func BenchmarkRemains(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	if err := h.db.Update(b.Context(), func(tx *sqldb.Tx) error {
		since := time.Now()
		b.ReportAllocs()
		for b.Loop() {
			if ok, err := h.Remains(tx, alice, since); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}
