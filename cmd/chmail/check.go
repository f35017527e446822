package main

import (
	"errors"
	"fmt"
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
of which is told; 2: faulty.

Examples:

    chmail config check chmail.yaml
    chmail config check && systemctl restart chmail`
}

// Run checks the file.
func (v *configCheck) Run(o *outside, line *cli) error {
	file := v.File
	if file == "" {
		file = line.configFile()
	}
	_, certificate, err := config.LoadTolerant(file)
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
	if len(certificate) > 0 {
		return o.printf("%s: no other faults. A server starts with it, and mail clients and browsers refuse its certificate.\n", file)
	}
	return o.printf("%s: no faults\n", file)
}
