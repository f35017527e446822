package main

import (
	"runtime"
	"runtime/debug"
	"strings"
)

type versionVerb struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (versionVerb) Help() string {
	return `Examples:

    chmail version
    chmail version --json`
}

// build is what the program knows of its own making.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Date     string `json:"date,omitempty"`    // of that revision, as RFC 3339 has it, in UTC
	Changed  bool   `json:"changed,omitempty"` // built from files that were not committed
	Go       string `json:"go"`
	System   string `json:"system"`
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

// Run says which chmail this is.
func (v *versionVerb) Run(o *outside) error {
	b := thisBuild()
	if v.JSON {
		return o.json(b)
	}
	changed := ""
	if b.Changed {
		changed = ", changed"
	}
	revision := ""
	if b.Revision != "" {
		revision = ", revision " + b.Revision[:min(12, len(b.Revision))]
		if day, _, ok := strings.Cut(b.Date, "T"); ok {
			revision += " of " + day
		}
		revision += changed
	}
	return o.printf("chmail %s%s, %s, %s\n", b.Version, revision, b.Go, b.System)
}
