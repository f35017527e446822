package main

import (
	"errors"
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
	return `Every fault is named at once, with its line and column and what would be right. Exit status 0: a server can start with it; 2: faulty.

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
	if _, err := config.Load(file); err != nil {
		if faults := (*config.Error)(nil); v.File != "" && errors.As(err, &faults) {
			for i := range faults.Faults { // here the file is no option's
				faults.Faults[i].Right = strings.Replace(faults.Faults[i].Right, "the right file with --config", "the right file", 1)
			}
		}
		return usageError{err}
	}
	return o.printf("%s: no faults\n", file)
}
