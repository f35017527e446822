package play

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Domain is the domain of the sample accounts. RFC 6761 6.2 keeps .test out of the real name system.
const Domain = "localhost.test"

// Person is a sample account.
type Person struct {
	Login    string `json:"login"`
	Name     string `json:"name"`
	Password string `json:"password"` // "" when somebody has set another since
}

// State is what a kept play instance remembers from one start to the next: the passwords, so that a mail client once set up
// goes on working, and the link in the first mail. It is written with mode 0600; these accounts exist on loopback only.
type State struct {
	Sender Person    `json:"sender"`
	Reader Person    `json:"reader"`
	Link   string    `json:"link,omitempty"`
	Sent   time.Time `json:"sent"`
}

// linkLife is shorter than the life of a link, so that a link printed from the state still works.
const linkLife = 25 * 24 * time.Hour

// LoadState reads the state of the play instance in dir, or makes a new one with fresh passwords.
func LoadState(dir string) (State, error) {
	text, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return State{
			Sender: Person{Login: "alice@" + Domain, Name: "Alice", Password: rand.Text()[:16]},
			Reader: Person{Login: "bob@" + Domain, Name: "Bob", Password: rand.Text()[:16]},
		}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the play instance's accounts: %w", err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, fmt.Errorf("%s is damaged (%w): delete it and the data beside it, or choose another --data folder", statePath(dir), err)
	}
	if time.Since(s.Sent) > linkLife {
		s.Link = ""
	}
	return s, nil
}

// Moved returns the link of the first mail as it is while the pages are at url: the port may be another than when the mail was sent.
func (s State) Moved(url string) string {
	if i := strings.Index(s.Link, "/c/"); i >= 0 {
		return url + s.Link[i:]
	}
	return s.Link
}

// Save writes the state into dir.
func (s State) Save(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the play instance's accounts: %w", err)
	}
	if err := os.WriteFile(statePath(dir), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the play instance's accounts: %w", err)
	}
	return nil
}

func statePath(dir string) string { return filepath.Join(dir, "play-accounts.json") }
