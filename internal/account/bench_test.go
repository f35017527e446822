package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/xdg-go/scram"

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
		if login, _, err := h.Recipients(b.Context(), to); len(login) != 1 || login[0] != alice || err != nil {
			b.Fatal(login, err)
		}
	}
}

func BenchmarkUnknownRecipient(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	to := mail(b, "nobody@example.com")
	b.ReportAllocs()
	for b.Loop() {
		if login, local, err := h.Recipients(b.Context(), to); len(login) != 0 || !local || err != nil {
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

// BenchmarkPollWithAppPassword is the login of a mail client that polls with an app password: nothing is remembered of that.
func BenchmarkPollWithAppPassword(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	password := h.app(alice, "telephone")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := h.AuthenticateClient(b.Context(), alice, password, home); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkPollByProof is that by SCRAM, of the last of five app passwords, with the client's part of it (which remembers what it derives from its password).
func BenchmarkPollByProof(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	var password string
	for i := range 5 {
		password = h.app(alice, fmt.Sprint("device ", i))
	}
	client, err := scram.SHA256.NewClient(alice, password, "")
	h.must(err)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := h.proves(client, home); !ok {
			b.Fatal("not let in")
		}
	}
}
