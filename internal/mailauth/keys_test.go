package mailauth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// must is the value, or the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// selectors writes down which keys there are, those that sign with a star.
func selectors(keys []*Key) string {
	var all []string
	for _, k := range keys {
		s := k.Selector + "." + string(k.Algorithm)
		if k.Signs {
			s += "*"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestAKeyIsChangedWithoutAGap(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dkim")
	s := NewKeys(dir)
	if _, err := s.Signing("example.org"); !errors.Is(err, ErrNoKey) {
		t.Errorf("before there is a key: %v", err)
	}
	for _, k := range []struct {
		selector string
		a        Algorithm
	}{{"r1", RSA}, {"e1", Ed25519}, {"e2", Ed25519}} {
		must(s.New("Example.ORG", k.selector, k.a))(t)
	}
	if got := selectors(must(s.List("example.org"))(t)); got != "r1.rsa* e1.ed25519* e2.ed25519" {
		t.Errorf("keys: %s", got)
	}
	if err := s.Retire("example.org", "e1"); err == nil {
		t.Error("a key that signs was retired")
	}
	if err := s.Use("example.org", "e2"); err != nil {
		t.Fatal(err)
	}
	if got := selectors(must(s.Signing("example.org"))(t)); got != "r1.rsa* e2.ed25519*" {
		t.Errorf("after the change: %s", got)
	}
	if err := s.Retire("example.org", "e1"); err != nil {
		t.Fatal(err)
	}
	if got := selectors(must(NewKeys(dir).List("example.org"))(t)); got != "r1.rsa* e2.ed25519*" {
		t.Errorf("after the old one is gone: %s", got)
	}
	if all := must(s.Domains())(t); len(all) != 1 || all[0] != "example.org" {
		t.Errorf("domains: %v", all)
	}
	if err := s.Use("example.org", "e1"); !errors.Is(err, ErrNoKey) {
		t.Errorf("using a key that is gone: %v", err)
	}
}

func TestASignatureHoldsWhileItsKeysAreThere(t *testing.T) {
	t.Parallel()
	s, _ := signers(t)
	first := []byte(sign(t, s, letter))
	must(s.New("example.org", "r2", RSA))(t)
	if err := s.Use("example.org", "r2"); err != nil {
		t.Fatal(err)
	}
	second := []byte(sign(t, s, letter))
	if !s.Holds(first) || !s.Holds(second) {
		t.Error("while both keys are published")
	}
	if err := s.Retire("example.org", "r"); err != nil {
		t.Fatal(err)
	}
	if s.Holds(first) || !s.Holds(second) {
		t.Errorf("after the first is retired: %v, %v", s.Holds(first), s.Holds(second))
	}
	for _, none := range []string{"", "x", "DKIM-Signature: d=../..; s=../x; a=rsa-sha256\r\n", "DKIM-Signature: d=example.org; s=r2; a=../../x\r\n"} {
		if s.Holds([]byte(none)) {
			t.Errorf("%q holds", none)
		}
	}
}

func TestOnlyOurselvesReadKeys(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes here")
	}
	dir := filepath.Join(t.TempDir(), "dkim")
	must(NewKeys(dir).New("example.org", "a", Ed25519))(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	s := NewKeys(t.TempDir())
	must(s.New("example.org", "a", Ed25519))(t)
	if _, err := s.New("example.org", "a", RSA); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a selector that is taken: %v", err)
	}
	for _, k := range [][3]string{
		{"example.org", "", "rsa"}, {"example.org", "../x", "rsa"}, {"example.org", "A", "rsa"}, {"example.org", "a.b", "rsa"}, {"example.org", strings.Repeat("a", 64), "rsa"},
		{"../../etc", "x", "rsa"}, {"[192.0.2.1]", "x", "rsa"}, {"", "x", "rsa"}, {"example.org", "x", "dsa"},
	} {
		if _, err := s.New(k[0], k[1], Algorithm(k[2])); err == nil {
			t.Errorf("%q was made", k)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "example.org", "x.rsa.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List("example.org"); err == nil || !strings.Contains(err.Error(), "x.rsa.pem") {
		t.Errorf("a file that holds no key: %v", err)
	}
}

func TestTheRecordIsWrittenForAZoneFile(t *testing.T) {
	t.Parallel()
	s := NewKeys(t.TempDir())
	k := must(s.New("example.org", "a", RSA))(t)
	if k.Name() != "a._domainkey.example.org" || !strings.HasPrefix(k.TXT(), "v=DKIM1; k=rsa; p=MII") {
		t.Errorf("%s TXT %s", k.Name(), k.TXT())
	}
	strs := strings.Split(Quoted(k.TXT()), `" "`)
	if len(strs) != 2 || len(strs[0]) != 256 || strings.Trim(strs[0], `"`)+strings.Trim(strs[1], `"`) != k.TXT() {
		t.Errorf("in pieces: %q", strs)
	}
	if k := must(s.New("example.org", "b", Ed25519))(t); len(k.TXT()) != len("v=DKIM1; k=ed25519; p=")+44 {
		t.Errorf("Ed25519: %s", k.TXT())
	}
}
