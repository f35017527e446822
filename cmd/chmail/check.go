package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"chmail/config"
)

// configVerbs look at a configuration without starting anything.
type configVerbs struct {
	Check configCheck `cmd:"" help:"Say everything that is wrong with a configuration file."`
}

type configCheck struct {
	File string `arg:"" optional:"" help:"The file; without it the one of --config."`
}

// Help shows the verb at work.
func (configCheck) Help() string {
	return `Every fault is named at once, with its line and column and what would be right. Exit status 0: a server can start with it, be it with a certificate that has run out,
of which is told; 2: faulty. Run it as the server's user: only so it shows whether that one can read the file, and those of a certificate.

Examples:

    chmail config check chmail.yaml
    sudo -u chmail chmail config check && systemctl restart chmail`
}

// Run checks the file.
func (v *configCheck) Run(o *outside, line *cli) error {
	file := v.File
	if file == "" {
		file = line.configFile()
	}
	cfg, certificate, err := config.LoadTolerant(file)
	if err != nil {
		if faults := (*config.Error)(nil); v.File != "" && errors.As(err, &faults) {
			for i := range faults.Faults { // here the file is no option's
				faults.Faults[i].Right = strings.Replace(faults.Faults[i].Right, "the right file with --config", "the right file", 1)
			}
		}
		return usageError{err}
	}
	if slices.ContainsFunc(certificate, func(f config.Fault) bool { return !f.Expired }) {
		return usageError{&config.Error{Faults: certificate}}
	}
	for _, f := range certificate {
		if _, err := fmt.Fprintln(o.err, f); err != nil {
			return err
		}
	}
	if err := o.foreign(cfg, file); err != nil {
		return err
	}
	if len(certificate) > 0 {
		return o.printf("%s: no other faults. A server starts with it, and mail clients and browsers refuse its certificate.\n", file)
	}
	return o.printf("%s: no faults\n", file)
}

// foreign remarks that what was just read as this user, the server has to read as another.
func (o *outside) foreign(cfg *config.Config, file string) error {
	info, err := os.Stat(cfg.Data)
	if err != nil || ownedByUs(info) {
		return nil // a server that makes the folder runs as whoever starts it
	}
	name := ownerName(info)
	_, err = fmt.Fprintf(o.err, "This user has read everything; the data folder %s belongs to %s, as whom the server runs. Whether that one can read it: sudo -u %[2]s chmail config check %s\n", cfg.Data, name, file)
	return err
}
