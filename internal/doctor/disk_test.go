package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADiskThatFillsIsToldInTime(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct {
		space Space
		err   error
		want  State
		says  string
	}{
		{Space{Free: 100 * gib, Size: 4000 * gib}, nil, OK, "100 GiB are free, of 4000 GiB"}, {Space{Free: 3 * gib, Size: 20 * gib}, nil, OK, "3.0 GiB"},
		{Space{Free: 1 * gib, Size: 4 * gib}, nil, Warn, "1.0 GiB"}, {Space{Free: 20 * gib, Size: 1000 * gib}, nil, Warn, "20 GiB"}, {Space{Free: 100 << 20, Size: gib}, nil, Fail, "100 MiB"},
		{Space{Free: 50 * gib, Size: 60 * gib, Files: 1000, FreeFiles: 3}, nil, Warn, "3 of 1000 inodes"}, {Space{}, ErrUnknown, Skip, "does not say"},
	} {
		d := New(Options{Files: Files{Data: t.TempDir()}, Space: func(string) (Space, error) { return c.space, c.err }})
		all := d.disk(t.Context())
		if len(all) != 2 || all[0].State != c.want || !strings.Contains(all[0].Text, c.says) || all[1].State != OK {
			t.Errorf("%+v: want %s, %q: %+v", c.space, c.want, c.says, all)
		}
		if left, err := os.ReadDir(d.Files.Data); err != nil || len(left) != 0 {
			t.Errorf("the examination leaves %v behind, %v", left, err)
		}
	}
	d := New(Options{Files: Files{Data: filepath.Join(t.TempDir(), "new")}})
	if all := d.disk(t.Context()); len(all) != 1 || all[0].State != Warn || !strings.Contains(all[0].Text, "not there yet") {
		t.Errorf("before the first start: %+v", all)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, 0o600)
	if f := writable(Finding{Subject: file}); f.State != Fail || f.Mend == "" {
		t.Errorf("what cannot be written to: %+v", f)
	}
}

func write(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func TestWhatOthersOnTheComputerCouldReadIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		folder, key, database, dkim os.FileMode
		want                        State
		mend                        string
	}{
		"closed":            {0o700, 0o600, 0o600, 0o600, OK, ""},
		"key for a group":   {0o700, 0o640, 0o600, 0o600, OK, ""},
		"open folder":       {0o755, 0o600, 0o600, 0o600, Fail, "chmod 700"},
		"folder of a group": {0o750, 0o600, 0o600, 0o600, Fail, "chmod 700"},
		"open TLS key":      {0o700, 0o644, 0o600, 0o600, Fail, "chmod o="},
		"open database":     {0o700, 0o600, 0o644, 0o600, Warn, "chmod 600"},
		"open DKIM key":     {0o700, 0o600, 0o600, 0o644, Warn, "spring.rsa.pem"},
	} {
		dir := t.TempDir()
		data, key := filepath.Join(dir, "data"), filepath.Join(dir, "privkey.pem")
		write(t, key, c.key)
		write(t, filepath.Join(data, "chmail.db"), c.database)
		write(t, filepath.Join(data, "dkim", "example.com", "spring.rsa.pem"), c.dkim)
		write(t, filepath.Join(data, "blobs", "12", "chmail.db"), 0o666) // mail is not looked through
		if err := os.Chmod(data, c.folder); err != nil {
			t.Fatal(err)
		}
		all := New(Options{Files: Files{Data: data, Key: key}}).folder(t.Context())
		mends := ""
		for _, f := range all {
			mends += f.Mend
		}
		if Worst(all) != c.want || !strings.Contains(mends, c.mend) || (mends == "") != (c.want == OK) {
			t.Errorf("%s: want %s, %q: %+v", name, c.want, c.mend, all)
		}
	}
}

func TestWhatAnotherUserHasLeftInTheFolderIsTold(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	lock := filepath.Join(data, "lock")
	write(t, lock, 0o600)
	owner, first := data, lock
	if os.Geteuid() != 0 { // root alone can give a file away: to everybody else it is the folder's owner who is another
		owner, first = "/", data
	} else if err := os.Chown(lock, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	root, err := os.Stat(owner)
	if err != nil {
		t.Fatal(err)
	}
	w := walk{data: data, root: root}
	all := w.findings(filepath.WalkDir(data, w.look))
	if Worst(all) != Fail || !strings.Contains(all[len(all)-1].Mend, "chown -R") || all[len(all)-1].Subject != first {
		t.Errorf("%+v", all)
	}
}

// A data folder often is a link to a larger disk. Whose the link is says nothing, and what lies behind it is looked at.
func TestADataFolderBehindALinkIsLookedThrough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, link := filepath.Join(dir, "large", "chmail"), filepath.Join(dir, "data")
	write(t, filepath.Join(data, "push.key"), 0o600)
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	look := func() []Finding { return New(Options{Files: Files{Data: link}}).folder(t.Context()) }
	if os.Geteuid() == 0 { // who alone can give it away
		if err := errors.Join(os.Chown(data, 65534, 65534), os.Chown(filepath.Join(data, "push.key"), 65534, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	if all := look(); Worst(all) != OK {
		t.Errorf("what is in order behind the link: %+v", all)
	}
	if err := os.Chmod(filepath.Join(data, "push.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if all := look(); Worst(all) != Warn || !strings.HasSuffix(all[len(all)-1].Subject, "large/chmail/push.key") {
		t.Errorf("an open key behind the link: %+v", all)
	}
}

// After chown without -R the server starts, and can neither sign nor show what is in files of their own. The server's own user sees that as well as root.
func TestWhatTheServerCannotOpenInItsFolderIsAFailure(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	keys, large := filepath.Join(data, "dkim", "example.com"), filepath.Join(data, "blobs", "large")
	write(t, filepath.Join(keys, "spring.rsa.pem"), 0o600)
	write(t, large, 0o600)
	write(t, filepath.Join(data, "open.pem"), 0o644) // what comes after is looked at all the same
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	want := []Finding{{State: Fail, Subject: keys, Mend: "chmod -R u+rwX"}, {State: Warn, Subject: filepath.Join(data, "open.pem"), Mend: "chmod 600"}}
	if os.Geteuid() == 0 { // root opens everything, and sees whose it is
		if err := os.Chown(large, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		want[0] = Finding{State: Fail, Subject: large, Mend: "as root: chown -R"}
	} else {
		if err := os.Chmod(keys, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(keys, 0o700) }) // else the folder cannot be removed
	}
	all := New(Options{Files: Files{Data: data}}).folder(t.Context())
	if len(all) != 3 || all[0].State != OK {
		t.Fatalf("%+v", all)
	}
	for i, w := range want {
		if f := all[1+i]; f.State != w.State || f.Subject != w.Subject || !strings.Contains(f.Mend, w.Mend) {
			t.Errorf("want %+v: %+v", w, f)
		}
	}
}

func TestAFolderWithoutItsDatabaseIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lacks bool
		err   error
		want  State
		says  string
		mend  string
	}{
		"it is there":          {false, nil, OK, "can be written to", ""},
		"before a first start": {true, nil, Warn, "has no database yet", "start the server: chmail serve --config here.yaml; if there was one, this is the wrong folder"},
		"one level too deep":   {false, errors.New("there is no database here, but in old there is one: move it up"), Fail, "but in old there is one", "move it up"},
		"closed":               {false, fmt.Errorf("looking for the database: %w", fs.ErrPermission), OK, "can be written to", ""}, // which tells it where it is so
	} {
		d := New(Options{Files: Files{Data: t.TempDir(), Config: "here.yaml", Lacks: func() (bool, error) { return c.lacks, c.err }}, Space: func(string) (Space, error) { return Space{Free: 1 << 40, Size: 1 << 41}, nil }})
		all := d.disk(t.Context())
		if f := all[len(all)-1]; Worst(all) != c.want || !strings.Contains(f.Text, c.says) || f.Mend != c.mend {
			t.Errorf("%s: want %s, %q, %q: %+v", name, c.want, c.says, c.mend, all)
		}
	}
}
