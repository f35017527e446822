// Command chmail is the whole system in one program: a mail server whose mails carry a chat link, and the chat behind it. Its
// verbs stand here and in the files beside this one; wire.go is the picture of the running system. Nothing here decides
// anything about mail or chat: that is the rooms' work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"

	"chmail/config"
	"chmail/internal/play"
	"chmail/internal/terminal"
)

// The exit statuses (interfaces.md).
const (
	statusDone    = 0
	statusRefused = 1 // refused, or not found
	statusUsage   = 2 // wrong usage or configuration
	statusUnsent  = 3 // chat: something that was said has not arrived
)

// cli is the command line: what every verb shares, and the verbs.
type cli struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file; ${configFile} where none is named."`

	Play  playVerb  `cmd:"" help:"Try the whole system on this computer, without any configuration."`
	Serve serveVerb `cmd:"" help:"Run the server."`
	peopleVerbs
	Conversation conversationVerbs `cmd:"" help:"List, show, export and delete what was said."`
	Queue        queueVerbs        `cmd:"" help:"List, explain and change what waits for other hosts."`
	Config       configVerbs       `cmd:"" help:"Check a configuration file."`
	DNS          dnsVerbs          `cmd:"" name:"dns" help:"Print what the DNS has to hold."`
	DKIM         dkimVerbs         `cmd:"" name:"dkim" help:"Make, list and change the keys that mail is signed with."`
	Doctor       doctorVerbs       `cmd:"" help:"Look whether a server is as it has to be on the Internet, and say how to mend what is not."`
	Backup       backupVerb        `cmd:"" help:"Keep mail, accounts, chats and keys in another folder, while the server runs or not."`
	mapVerbs
	Chat    chatVerb    `cmd:"" help:"Follow a chat link and talk, in this terminal."`
	Stamp   stampVerb   `cmd:"" help:"Stamp a mail, to see what the server would do to it."`
	Version versionVerb `cmd:"" help:"Say which chmail this is."`
}

// peopleVerbs are about who gets mail here.
type peopleVerbs struct {
	Account accountVerbs `cmd:"" help:"Add, list, change and remove mail accounts."`
	Alias   aliasVerbs   `cmd:"" help:"Add, list and remove addresses that lead to accounts."`
}

// mapVerbs show the two maps.
type mapVerbs struct {
	Presence presenceVerb `cmd:"" help:"Show where people are: the presence map."`
	Ports    portsVerb    `cmd:"" help:"Show whose chat port is which: the port map."`
	Whois    whoisVerb    `cmd:"" help:"Show whose a chat port is, and where he was last seen."`
}

// defaultConfig is read where no --config names another file.
const defaultConfig = "/etc/chmail/chmail.yaml"

// outside is what the program has of the world around it.
type outside struct {
	in       io.Reader
	out, err io.Writer
	lastly   *lastly
}

// lastly is what must be done even when the program is told to end at once.
type lastly struct {
	mu sync.Mutex
	do func()
}

func (l *lastly) set(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.do = do
}

func (l *lastly) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.do != nil {
		l.do()
	}
}

// usageError is a mistake in how the program was called or configured: exit status 2.
type usageError struct{ error }

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

func main() {
	os.Exit(interruptible(outside{os.Stdin, os.Stdout, os.Stderr, new(lastly)}, os.Args[1:]))
}

// interruptible runs the program until it is done, or is told to stop; told so twice, it ends at once.
func interruptible(o outside, args []string) int {
	// Whoever reads our output may go away; a server goes on without him.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	told := make(chan os.Signal, 2)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(told)
	go func() {
		s, ok := <-told
		if !ok {
			return
		}
		stop(fmt.Errorf("signal: %v", s))
		<-told
		o.lastly.run()
		os.Exit(statusRefused)
	}()
	return run(ctx, o, args)
}

// ended carries an exit status up from where kong wants to end the program.
type ended int

// run is the program, given what it was called with; it returns the exit status.
func run(ctx context.Context, o outside, args []string) (status int) {
	lost := len(args) == 0 // a verb is missing: show what there is
	if lost {
		args = []string{"--help"}
	}
	defer func() {
		e := recover()
		if e == nil {
			return
		}
		code, ours := e.(ended)
		if !ours {
			panic(e)
		}
		if status = int(code); lost {
			status = statusUsage
		}
	}()
	args = usual(args)
	var line cli
	parser, err := kong.New(&line, kong.Name("chmail"),
		kong.Description("A mail server whose mails carry a chat link, and the chat behind it. To see it at work: chmail play"),
		kong.Vars{"configFile": defaultConfig, "portBase": strconv.Itoa(play.DefaultBase), "portBases": fmt.Sprintf("%d to %d", play.MinBase, play.MaxBase)},
		kong.Writers(o.out, o.err), kong.Exit(func(code int) { panic(ended(code)) }),
		kong.Help(helpFor), kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&o, &line))
	if err != nil {
		return o.fail(fmt.Errorf("preparing the command line: %w", err))
	}
	verb, err := parser.Parse(args)
	if err != nil {
		return o.wrongLine(parser, err)
	}
	return o.fail(verb.Run())
}

// usual is what is meant by two lines that people try on any program: "help VERB" and "--version".
func usual(args []string) []string {
	switch {
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// helpFor prints the help of a verb without offering it a configuration that it would not read.
func helpFor(options kong.HelpOptions, line *kong.Context) error {
	if verb := verbPath(line); verb == "play" || verb == "chat" || verb == "stamp" || verb == "version" {
		for _, f := range line.Model.Flags {
			f.Hidden = f.Hidden || f.Name == "config"
		}
	}
	return kong.DefaultHelpPrinter(options, line)
}

// wrongLine says what is wrong with the command line and where its help is.
func (o *outside) wrongLine(parser *kong.Kong, err error) int {
	help := "chmail --help"
	var fault *kong.ParseError
	if errors.As(err, &fault) && fault.Context.Command() != "" {
		help = parser.Model.Name + " " + verbPath(fault.Context) + " --help"
	}
	text := err.Error()
	if word, ok := strings.CutPrefix(text, "unexpected argument "); ok && fault != nil {
		if at := fault.Context.Selected(); at == nil || len(at.Children) > 0 { // what is missing is a verb
			text = "there is no command " + word
		}
	}
	fmt.Fprintf(o.err, "chmail: %s\nTry: %s\n", text, help)
	return statusUsage
}

// verbPath is the verb that a faulty line got to, without its arguments.
func verbPath(line *kong.Context) string {
	path := ""
	for _, p := range line.Path {
		if p.Command != nil {
			if path != "" {
				path += " "
			}
			path += p.Command.Name
		}
	}
	return path
}

// fail reports an error and returns the exit status that belongs to it.
func (o *outside) fail(err error) int {
	if err == nil {
		return statusDone
	}
	var at *fs.PathError
	if faults := (*config.Error)(nil); errors.As(err, &at) && at.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE) {
		// Whoever read it, such as head, has had enough: that is no fault to tell of.
	} else if errors.As(err, &faults) {
		fmt.Fprintln(o.err, faults) // a line for each, which begins with the place as editors read it
	} else {
		fmt.Fprintf(o.err, "chmail: %v\n", err)
	}
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return statusUsage
	case errors.Is(err, terminal.ErrUnsent):
		return statusUnsent
	}
	return statusRefused
}
