package stamp

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// needed says that something is missing without which a test cannot run: a failure where everything must be there.
func needed(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what + ": with CI=true it must be there")
	}
	t.Skip(what)
}

// realMail returns the mails of the corpus by their paths, with the line ends of the wire.
func realMail(t testing.TB) map[string][]byte {
	t.Helper()
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		needed(t, "CHMAIL_CORPUS names no folder of mails")
	}
	mails := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{".tsv", ".md", ".source", ".asc", ".pem"}, filepath.Ext(path)) {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(root, path))
		mails[path] = wire(raw)
		return err
	})
	if err != nil || len(mails) == 0 {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	return mails
}

// wire makes CRLF of every line end.
func wire(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// ownMail returns the small corpus that the project has itself.
func ownMail(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/[0-9]*.eml")
	if err != nil {
		t.Fatal(err)
	}
	mails := make(map[string][]byte)
	for _, path := range files {
		if strings.HasSuffix(path, ".want.eml") {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mails[path] = wire(b)
	}
	return mails
}

// account says in one line what became of a mail: the verdict, and of each part that carries the link how many octets stand behind it.
func (s *stamped) account() string {
	var b strings.Builder
	b.WriteString(s.Verdict.String())
	for _, i := range s.Parts {
		p := &s.before.Parts[i]
		for _, sp := range s.Splices {
			if sp.Off >= p.Body && sp.Off <= p.End {
				fmt.Fprintf(&b, "\t%s -%d", strings.TrimPrefix(p.Media.Type, "text/"), p.End-sp.Off-sp.Del)
				break
			}
		}
	}
	return b.String()
}

// Real mail, all of it: what must be true of every stamp is true, in every line-end style, and each mail gets the verdict and the place that a person who looked at
// it found right: testdata/corpus/verdicts.tsv. A line of the table that changes is to be looked at before it is committed (-update writes it anew).
func TestRealMail(t *testing.T) {
	t.Parallel()
	const table = "testdata/corpus/verdicts.tsv"
	mails := realMail(t)
	var got strings.Builder
	for _, path := range slices.Sorted(maps.Keys(mails)) {
		s := put(t, mails[path], aCard())
		put(t, bytes.ReplaceAll(mails[path], []byte("\r\n"), []byte("\n")), aCard())
		fmt.Fprintf(&got, "%s\t%s\n", path, s.account())
	}
	if *update {
		if err := os.WriteFile(table, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() == string(want) {
		return
	}
	was := make(map[string]bool)
	for line := range strings.Lines(string(want)) {
		was[line] = true
	}
	for line := range strings.Lines(got.String()) {
		if !was[line] {
			t.Errorf("not in the table: %s", line)
		}
	}
	t.Errorf("%d lines, the table has %d", strings.Count(got.String(), "\n"), strings.Count(string(want), "\n"))
}

// Python's email package sees the same parts before and after, the same attachments, and the link once in each part that carries it, nowhere else.
func TestAnotherReaderSeesTheSameMail(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		needed(t, "python3 is not installed")
	}
	mails := realMail(t)
	maps.Copy(mails, ownMail(t))
	dir := t.TempDir()
	names := slices.Sorted(maps.Keys(mails))
	bodies := 0
	for n, path := range names {
		s := put(t, mails[path], aCard())
		bodies += len(s.Parts)
		for ext, b := range map[string][]byte{".in": s.in, ".out": s.out, ".parts": []byte(strconv.Itoa(len(s.Parts)))} {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+ext), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), python, "testdata/check.py", dir, link).CombinedOutput()
	if err != nil {
		t.Fatalf("check.py: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		stem, fault, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(stem)
		if err != nil {
			t.Fatalf("%s", out)
		}
		t.Errorf("%s: %s", names[n], fault)
	}
	if bodies < len(names)/2 {
		t.Errorf("%d mails carry the link %d times: the test tests little", len(names), bodies)
	}
}

// part returns the bytes of the first part of this type: its header and body as a signature covers them, or its body alone.
func (s *stamped) part(t *testing.T, kind string, whole bool) []byte {
	t.Helper()
	for i := range s.after.Parts {
		if p := &s.after.Parts[i]; p.Media.Type == kind {
			if whole {
				return s.out[p.Off:p.End]
			}
			return s.out[p.Body:p.End]
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

func TestSignaturesStillVerify(t *testing.T) {
	t.Parallel()
	mails := realMail(t)
	keys := filepath.Join(os.Getenv("CHMAIL_CORPUS"), "generated", "keys")
	tool := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			needed(t, name+" is not installed")
		}
		return path
	}
	openssl, gpg := tool("openssl"), tool("gpg")
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	verify := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s does not verify: %v\n%s", name, err, out)
		}
	}
	stampedMail := func(name string) *stamped {
		t.Helper()
		in, ok := mails["generated/"+name]
		if !ok {
			t.Fatalf("no %s", name)
		}
		s := put(t, in, aCard())
		if s.Verdict.Kind != HeaderOnly {
			t.Errorf("%s: %s", name, s.Verdict)
		}
		return s
	}
	for _, name := range []string{"smime-signed-detached.eml", "smime-signed-opaque.eml"} {
		s := stampedMail(name)
		verify(name, openssl, "smime", "-verify", "-binary", "-CAfile", filepath.Join(keys, "smime-cert.pem"), "-in", file(name, s.out), "-out", os.DevNull)
	}
	home := filepath.Join(dir, "gpg")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	quiet := []string{gpg, "--homedir", home, "--batch", "--no-autostart", "--quiet"}
	verify("the key", append(slices.Clone(quiet), "--import", filepath.Join(keys, "pgp-public.asc"))...)
	for _, name := range []string{"pgp-mime-signed.eml", "pgp-mime-signed-in-list-mixed.eml"} {
		s := stampedMail(name)
		tree, i := s.after, 0
		for i < len(tree.Parts) && tree.Parts[i].Media.Type != "multipart/signed" {
			i++
		}
		signed := &tree.Parts[tree.Children(i)[0]]
		verify(name, append(slices.Clone(quiet), "--verify", file(name+".asc", s.part(t, "application/pgp-signature", false)), file(name+".txt", s.out[signed.Off:signed.End]))...)
	}
	s := stampedMail("pgp-inline-clearsigned.eml")
	verify("pgp-inline-clearsigned.eml", append(slices.Clone(quiet), "--verify", file("clear.asc", s.part(t, "text/plain", false)))...)
}

// Fuzzing begins from real mail where it is there; none of it is kept.
func addRealMail(f *testing.F) {
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		return
	}
	for _, b := range realMail(f) {
		if len(b) < 32<<10 {
			f.Add(b, "Alice")
		}
	}
}
