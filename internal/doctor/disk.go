package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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
	return []Finding{d.space(f), writable(f)}
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
	info, err := os.Stat(d.Files.Data)
	if err != nil {
		return all // it was told of the disk
	}
	all = append(all, closed(d.Files.Data, info, 0o077, Fail, "chmod 700 "))
	all = append(all, d.within(info)...)
	return all
}

// closed judges the mode of one file or folder; open are the bits that must not be set.
func closed(path string, info fs.FileInfo, open fs.FileMode, otherwise State, mend string) Finding {
	f := Finding{State: OK, Check: "data", Subject: path, Text: fmt.Sprintf("is closed to others (mode %04o)", info.Mode().Perm())}
	if info.Mode().Perm()&open != 0 {
		f.State, f.Text, f.Mend = otherwise, fmt.Sprintf("is open to other users of this computer (mode %04o)", info.Mode().Perm()), mend+path
	}
	return f
}

// within looks at what lies in the data folder, but for mail itself, of which there may be much: whose it is, and whether secrets are readable.
func (d *Doctor) within(root fs.FileInfo) []Finding {
	var open, foreign []string
	err := filepath.WalkDir(d.Files.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was there a moment ago
		}
		if err != nil {
			return err
		}
		if !sameOwner(root, info) {
			foreign = append(foreign, path)
		}
		if name := e.Name(); info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && (strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".key") || strings.HasPrefix(name, "chmail.db")) {
			open = append(open, path)
		}
		if name := e.Name(); e.IsDir() && (name == "blobs" || name == "spool") {
			return fs.SkipDir
		}
		return nil
	})
	f := Finding{State: OK, Check: "data", Subject: d.Files.Data, Text: "what lies in it belongs to its owner, and secrets are closed"}
	if err != nil {
		f.State, f.Text, f.Mend = Warn, "was not looked through: "+err.Error(), "run this as the user of the server"
		return []Finding{f}
	}
	var all []Finding
	if len(foreign) > 0 {
		all = append(all, Finding{
			State: Fail, Check: "data", Subject: foreign[0], Mend: fmt.Sprintf("chown -R --reference=%s %s", d.Files.Data, d.Files.Data),
			Text: fmt.Sprintf("does not belong to the owner of the folder%s: the server may not be able to open it", andMore(foreign)),
		})
	}
	if len(open) > 0 {
		all = append(all, Finding{State: Warn, Check: "data", Subject: open[0], Text: "is readable for others, where they reach it" + andMore(open), Mend: "chmod 600 " + strings.Join(open[:min(len(open), 5)], " ")})
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
