package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"chmail/config"
	"chmail/internal/account"
	"chmail/internal/play"
)

type playVerb struct {
	Data     string   `placeholder:"DIR" help:"Keep accounts and mail in this folder (default: a fresh one that is removed at the end)."`
	PortBase portBase `default:"${portBase}" placeholder:"N" help:"Move all ports together: submission is N+587, web N+6080, and so on. N is ${portBases}."`
	Verbose  bool     `short:"v" help:"Show the log, one line for each mail and call event."`
}

// portBase is the number of --port-base.
type portBase int

// Decode takes the next word whatever it looks like, so that the fault of -5 is told in terms of ports.
func (b *portBase) Decode(line *kong.DecodeContext) error {
	word := line.Scan.Pop()
	n, err := strconv.Atoi(word.String())
	if word.IsEOL() || err != nil {
		return fmt.Errorf("needs a number, for instance %d, and not %q", play.DefaultBase+1000, word)
	}
	*b = portBase(n)
	return nil
}

// Help shows the verb at work.
func (playVerb) Help() string {
	return `Everything runs on this computer only, with high ports, two accounts and a first mail between them. What to do next is printed.

Examples:

    chmail play
    chmail play --data ~/chmail-play
    chmail play --port-base 3000 --verbose`
}

// Run plays until it is told to stop.
func (v *playVerb) Run(ctx context.Context, o *outside, line *cli) error {
	if line.ConfigFile != "" {
		return wrongUsage("play writes a configuration of its own: --config is for the other verbs")
	}
	ports, err := play.PortsFrom(int(v.PortBase))
	if err != nil {
		return usageError{err}
	}
	if err := ports.Free(); err != nil {
		return err
	}
	dir, kept, err := v.folder()
	if err != nil {
		return err
	}
	removeLeftovers(o, os.TempDir(), time.Now()) // only now: what was left behind may be what somebody names, to have a look
	if !kept {
		o.lastly.set(func() {
			if err := os.RemoveAll(dir); err != nil {
				fmt.Fprintln(o.err, "chmail: the folder to play in stays:", err)
			}
		})
		defer o.lastly.run()
	}
	level := slog.LevelWarn
	if v.Verbose {
		level = slog.LevelInfo
	}
	inst := playInstance{out: o, ports: ports, dir: dir, kept: kept}
	return inst.run(ctx, newLog(o.err, level, "text"))
}

// folder is where the instance lives, and whether it stays.
func (v *playVerb) folder() (dir string, kept bool, err error) {
	if v.Data == "" {
		if dir, err = makePlayFolder(""); err != nil {
			return "", false, fmt.Errorf("making a folder to play in: %w; name one with --data DIR", err)
		}
		return dir, false, nil
	}
	dir, err = filepath.Abs(v.Data)
	if err != nil {
		return "", true, fmt.Errorf("finding %s: %w", v.Data, err)
	}
	if err := os.MkdirAll(dir, 0o700); errors.Is(err, syscall.ENOTDIR) {
		return "", true, wrongUsage("--data %s: that is a file, or lies in one; name a folder, which is made where it is missing", v.Data)
	} else if err != nil {
		return "", true, fmt.Errorf("making the folder to play in: %w", err)
	}
	return dir, true, keepPlayFolder(dir)
}

// playInstance is one play instance on its way up.
type playInstance struct {
	out   *outside
	ports play.Ports
	dir   string
	kept  bool

	certificates play.Certificates
	state        play.State
}

func (p *playInstance) run(ctx context.Context, log *slog.Logger) error {
	var err error
	if p.certificates, err = play.NewCertificates(p.dir, play.Domain); err != nil {
		return err
	}
	if p.state, err = play.LoadState(p.dir); err != nil {
		return err
	}
	// Saved before the accounts are made: whatever happens next, their passwords are known.
	if err := p.state.Save(p.dir); err != nil {
		return err
	}
	file, err := p.writeConfig()
	if err != nil {
		return err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return fmt.Errorf("reading the play instance's own configuration: %w", err)
	}
	return runSystem(ctx, cfg, log, p.welcome)
}

// welcome makes the two accounts, sends the first mail the way a mail client does, and tells the newcomer what there is.
func (p *playInstance) welcome(ctx context.Context, s *system) error {
	told := p.state
	for _, person := range []*play.Person{&told.Sender, &told.Reader} {
		if err := s.ensureAccount(ctx, person); err != nil {
			return err
		}
	}
	if p.state.Link == "" && told.Sender.Password != "" && told.Reader.Password != "" {
		link, err := play.SendFirstMail(ctx, p.ports, p.state, p.certificates.CA)
		if err != nil {
			return err
		}
		p.state.Link, p.state.Sent = link, time.Now()
		if err := p.state.Save(p.dir); err != nil {
			return err
		}
		told.Link = link
	}
	return play.Welcome(p.out.out, play.Instance{
		Ports: p.ports, State: told, CA: p.certificates.CA, URL: p.url(), Data: p.dir, Config: p.configFile(), Kept: p.kept,
	})
}

func (p *playInstance) configFile() string { return filepath.Join(p.dir, "chmail.yaml") }

func (p *playInstance) url() string { return fmt.Sprintf("http://localhost:%d", p.ports.Web) }

// writeConfig writes the instance's configuration into its folder, so that every other verb can be pointed at it with --config.
func (p *playInstance) writeConfig() (string, error) {
	file := p.configFile()
	text := fmt.Sprintf(`# Written by chmail play at every start. Ask this instance with: chmail presence --config %q
hostname: localhost
domains: [%s]
data: data
tls: {cert: %q, key: %q}
smtp:
  mx: {listen: [%q], verify: false}
  submission: {listen: [%q]}
  submissions: {listen: [%q]}
pop3:
  listen: [%q]
  listen_tls: [%q]
chat:
  url: %s
  listen: [%q]
  ports: %d-%d
  limits: {link: 1000, network: 1000} # everybody here is one network, and tries things out
relay: {off: true} # nothing that is tried out here reaches anybody
postmaster: %s
health: {listen: %q}
`, file, play.Domain, p.certificates.Cert, p.certificates.Key, play.Addr(p.ports.MX), play.Addr(p.ports.Submission), play.Addr(p.ports.Submissions),
		play.Addr(p.ports.POP3), play.Addr(p.ports.POP3S), p.url(), play.Addr(p.ports.Web), p.ports.ChatFirst, p.ports.ChatLast,
		p.state.Sender.Login, play.Addr(p.ports.Health))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing the play instance's configuration: %w", err)
	}
	return file, nil
}

// ensureAccount makes an account with a password. One that is there, with a password that somebody has set since, keeps that; p then has none.
func (c *core) ensureAccount(ctx context.Context, p *play.Person) error {
	err := c.accounts.Add(ctx, p.Login, p.Password, p.Name)
	if !errors.Is(err, account.ErrExists) {
		return err
	}
	known, has, err := c.accounts.Lookup(ctx, p.Login)
	switch {
	case err != nil || !has:
		return fmt.Errorf("looking at the account of %s: %w", p.Login, err)
	case !known.HasPassword: // the postmaster's maildrop, made at the first start
		return c.accounts.SetPassword(ctx, p.Login, p.Password)
	}
	if _, same, err := c.accounts.Authenticate(ctx, p.Login, p.Password, netip.IPv6Loopback()); err != nil {
		return fmt.Errorf("looking at the password of %s: %w", p.Login, err)
	} else if !same {
		p.Password = ""
	}
	return nil
}
