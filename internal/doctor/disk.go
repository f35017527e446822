package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// What is left of a disk: below the first numbers mail will soon be refused, below the second somebody has to look.
const (
	failFree = 256 << 20
	warnFree = 2 << 30
	wideFree = 50 << 30 // enough, however small a part of the whole it is
	fewParts = 20       // less than one in so many
)

// disk looks how full the disk of the data folder is, and whether it can be written to.
func (d *Doctor) disk(context.Context) []Finding {
	f := Finding{Check: "disk", Subject: d.Files.Data}
	if _, err := os.Stat(d.Files.Data); errors.Is(err, fs.ErrNotExist) {
		f.State, f.Text, f.Mend = Warn, "is not there yet: the first start makes it", "start the server: chmail serve --config "+d.Files.Config
		return []Finding{f}
	}
	return append([]Finding{d.space(f), writable(f)}, d.database()...)
}

// database looks whether there is one. Without it the server begins anew, and where there must have been one it does not start: either is to be known before.
func (d *Doctor) database() []Finding {
	if d.Files.Lacks == nil {
		return nil
	}
	f := Finding{Check: "data", Subject: d.Files.Data}
	switch lacks, err := d.Files.Lacks(); {
	case errors.Is(err, fs.ErrPermission):
		return nil // that it is closed to this user was told just now
	case err != nil:
		f.State = Fail
		f.Text, f.Mend, _ = strings.Cut(err.Error(), ": ")
	case lacks:
		f.State, f.Text, f.Mend = Warn, "has no database yet: the first start makes it", "start the server: chmail serve --config "+d.Files.Config+"; if there was one, this is the wrong folder"
	default:
		return nil
	}
	return []Finding{f}
}

func (d *Doctor) space(f Finding) Finding {
	s, err := d.Space(f.Subject)
	if err != nil {
		f.State, f.Text = Skip, "how full the disk is was not looked at: "+err.Error()
		return f
	}
	f.State, f.Text = OK, fmt.Sprintf("%s are free, of %s", octets(s.Free), octets(s.Size))
	switch {
	case s.Free < failFree:
		f.State = Fail
	case s.Free < warnFree, s.Free < wideFree && s.Free < s.Size/fewParts:
		f.State = Warn
	case s.Files > 0 && s.FreeFiles < s.Files/fewParts:
		f.State, f.Text = Warn, fmt.Sprintf("%d of %d inodes are free", s.FreeFiles, s.Files)
	}
	if f.State != OK {
		f.Mend = "make room, or move the data folder to a larger disk; when it is full, mail is refused for the time being"
	}
	return f
}

func octets(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// writable writes a file, durably, and takes it away again.
func writable(f Finding) Finding {
	f.State, f.Text = OK, "can be written to by this user"
	file, err := os.CreateTemp(f.Subject, ".doctor-*")
	if err == nil {
		_, err = file.WriteString("chmail doctor\n")
		err = errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
	}
	if err != nil {
		f.State, f.Text = Fail, "cannot be written to: "+err.Error()
		f.Mend = "run this as the user of the server; if that is so, give him the folder, and look whether the disk is mounted read-only"
		if errors.Is(err, syscall.ENOSPC) {
			f.Mend = "make room; the server goes on by itself"
		}
	}
	return f
}

// folder looks whether what is secret is so on this computer too, and whether all of it is the server's.
func (d *Doctor) folder(context.Context) []Finding {
	if runtime.GOOS == "windows" {
		return []Finding{{State: Skip, Check: "data", Subject: d.Files.Data, Text: "modes were not looked at: this system has others"}}
	}
	var all []Finding
	if info, err := os.Stat(d.Files.Key); err == nil { // that it is missing, the configuration's check tells
		all = append(all, closed(d.Files.Key, info, 0o007, Fail, "chmod o= "))
	}
	data, err := filepath.EvalSymlinks(d.Files.Data) // a link says nothing of what it leads to, and neither a walk nor chown -R follows one
	if err != nil {
		return all // it was told of the disk
	}
	info, err := os.Stat(data)
	if err != nil {
		return all
	}
	all = append(all, closed(data, info, 0o077, Fail, "chmod 700 "))
	w := walk{data: data, root: info}
	return append(all, w.findings(filepath.WalkDir(data, w.look))...)
}

// closed judges the mode of one file or folder; open are the bits that must not be set.
func closed(path string, info fs.FileInfo, open fs.FileMode, otherwise State, mend string) Finding {
	f := Finding{State: OK, Check: "data", Subject: path, Text: fmt.Sprintf("is closed to others (mode %04o)", info.Mode().Perm())}
	if info.Mode().Perm()&open != 0 {
		f.State, f.Text, f.Mend = otherwise, fmt.Sprintf("is open to other users of this computer (mode %04o)", info.Mode().Perm()), mend+path
	}
	return f
}

// walk looks at what lies in the data folder: whose it is, and whether secrets are readable. Of mail there may be much, so little of it is looked at.
type walk struct {
	data string // without links
	root fs.FileInfo

	open, foreign, shut []string // secrets that others can read; what is another user's; what is the server's, and closed to it
}

// look is told of each file and folder.
func (w *walk) look(path string, e fs.DirEntry, err error) error {
	if err != nil {
		return w.unread(path, err)
	}
	info, err := os.Stat(path) // whose a link is says nothing
	if err != nil {
		return w.unread(path, err)
	}
	if !sameOwner(w.root, info) {
		w.foreign = append(w.foreign, path)
	}
	name := e.Name()
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && (strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".key") || strings.HasPrefix(name, "chmail.db")) {
		w.open = append(w.open, path)
	}
	if e.IsDir() && (name == blobs || name == spool) {
		if err := w.mail(path); err != nil {
			return w.unread(path, err)
		}
		return fs.SkipDir
	}
	return nil
}

// The folders of mail in the data folder.
const (
	blobs = "blobs"
	spool = "spool"
)

// mail looks at a few files of a folder of mail: whoever has put them back wrongly has done so with all of them.
func (w *walk) mail(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	const few = 100
	all, err := dir.ReadDir(few)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, e := range all {
		if info, err := e.Info(); err == nil && !sameOwner(w.root, info) {
			w.foreign = append(w.foreign, filepath.Join(path, e.Name()))
			return nil
		}
	}
	return nil
}

// unread judges that something could not be looked at: what the folder's owner, as whom the server runs, cannot open is a fault, to anybody else it is closed as it should be.
func (w *walk) unread(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it was there a moment ago
	case !errors.Is(err, fs.ErrPermission), path == w.data, !ours(w.root):
		return err
	case !slices.Contains(w.foreign, path):
		w.shut = append(w.shut, path)
	}
	return nil
}

// findings are what was seen; err is why not everything was looked at.
func (w *walk) findings(err error) (all []Finding) {
	f := Finding{State: OK, Check: "data", Subject: w.data, Text: "what lies in it belongs to its owner, and secrets are closed"}
	if err != nil {
		f.State, f.Text, f.Mend = Warn, "was not looked through: "+err.Error(), "run this as the user of the server"
		return []Finding{f}
	}
	if len(w.foreign) > 0 {
		all = append(all, Finding{
			State: Fail, Check: "data", Subject: w.foreign[0], Mend: fmt.Sprintf("as root: chown -R --reference=%s %[1]s", w.data),
			Text: fmt.Sprintf("does not belong to the owner of the folder%s: the server may not be able to open it", andMore(w.foreign)),
		})
	}
	if len(w.shut) > 0 {
		all = append(all, Finding{State: Fail, Check: "data", Subject: w.shut[0], Text: "cannot be opened by the server" + andMore(w.shut), Mend: "chmod -R u+rwX " + w.data})
	}
	if len(w.open) > 0 {
		all = append(all, Finding{State: Warn, Check: "data", Subject: w.open[0], Text: "is readable for others, where they reach it" + andMore(w.open), Mend: "chmod 600 " + strings.Join(w.open[:min(len(w.open), 5)], " ")})
	}
	if len(all) == 0 {
		return []Finding{f}
	}
	return all
}

func andMore(all []string) string {
	if len(all) < 2 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", len(all)-1)
}
