package relay

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

func TestPoliciesOutliveTheProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	open := func() (*sqldb.DB, *SQLPolicies) {
		db, err := sqldb.Open(context.Background(), path, Schema())
		if err != nil {
			t.Fatal(err)
		}
		return db, NewSQLPolicies(db)
	}
	db, kept := open()
	now := time.Now().Truncate(time.Millisecond)
	want := Policy{ID: "2", Mode: ModeEnforce, MX: []string{"mx.example.org", "*.example.net"}, Age: 24 * time.Hour, Until: now.Add(24 * time.Hour)}
	for _, p := range []Policy{{ID: "1", Mode: ModeTesting, MX: []string{"old.example.org"}, Age: time.Hour, Until: now}, want} {
		if err := kept.SetPolicy(t.Context(), "example.org", p); err != nil {
			t.Fatal(err)
		}
	}
	if err := kept.SetPolicy(t.Context(), "ancient.example", Policy{Mode: ModeNone, Until: now.Add(-2 * maxPolicyAge)}); err != nil {
		t.Fatal(err)
	}
	if err := kept.SetPolicy(t.Context(), "new.example", Policy{Mode: ModeNone, Until: now}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, kept = open()
	defer db.Close()
	if p, ok, err := kept.Policy(t.Context(), "example.org"); err != nil || !ok || !reflect.DeepEqual(p, want) {
		t.Errorf("kept is %+v, %t, %v", p, ok, err)
	}
	for _, domain := range []string{"ancient.example", "unknown.example"} {
		if _, ok, err := kept.Policy(t.Context(), domain); ok || err != nil {
			t.Errorf("%s: %t, %v", domain, ok, err)
		}
	}
}
