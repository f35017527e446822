package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Visitors is the file in which it is kept who we are to which site, so that the same link leads back into the same conversation. What is
// in it is secret: with it anybody is this visitor.
type Visitors string

// DefaultVisitors is where the file is for whoever names none.
func DefaultVisitors() (Visitors, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for what is kept: %w", err)
	}
	return Visitors(filepath.Join(dir, "chmail", "visitors.json")), nil
}

// Find returns who we are to the link's site; "" for somebody new.
func (v Visitors) Find(l Link) (string, error) {
	all, err := v.load()
	return all[l.Site()], err
}

// Keep remembers who we are to the link's site.
func (v Visitors) Keep(l Link, visitor string) error {
	all, err := v.load()
	if err != nil || all[l.Site()] == visitor {
		return err
	}
	all[l.Site()] = visitor
	body, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", v, err)
	}
	dir := filepath.Dir(string(v))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder for what is kept: %w", err)
	}
	file, err := os.CreateTemp(dir, ".visitors-*") // 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", v, err)
	}
	_, err = file.Write(append(body, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), string(v))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", v, errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

func (v Visitors) load() (map[string]string, error) {
	all := map[string]string{}
	body, err := os.ReadFile(string(v))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if all == nil { // "null" in the file
		all = map[string]string{}
	}
	if err != nil {
		return nil, fmt.Errorf("reading who you are from %s: %w", v, err)
	}
	return all, nil
}
