package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

const versionHelp = `Prints the version of this program, the commit it was built from, and the Go version and system.

Usage:
  eventhubs version [options]

Options:
  --output text|json        json: one object with version, commit, time, modified, go, os and arch

A program built without version control has the version (devel) and no commit. "modified" means that
the source files differed from the commit.

Exit status: 0 done; 2 wrong command line.

Examples:
  eventhubs version
  eventhubs version --output json | jq -r .version
`

// A buildVersion is the build information of this binary. Its fields are the JSON output, in this
// order.
type buildVersion struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func runVersion(_ context.Context, p *process, args []string) error {
	var output string
	flags := newFlagSet("version")
	flags.StringVar(&output, "output", "text", "")
	others, err := parseFlags(flags, args)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return badInput("unexpected argument %q; see \"eventhubs version --help\"", others[0])
	case output != "text" && output != "json":
		return badInput("--output is %q; it must be text or json", output)
	}
	info, _ := debug.ReadBuildInfo() // nil only for a binary of an ancient Go
	v := versionOf(info)
	if output == "json" {
		return json.NewEncoder(p.stdout).Encode(v)
	}
	_, err = fmt.Fprint(p.stdout, v)
	return err
}

func versionOf(info *debug.BuildInfo) buildVersion {
	v := buildVersion{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info == nil {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (v buildVersion) String() string {
	text := "eventhubs " + v.Version + "\n"
	if v.Commit != "" {
		text += "commit " + v.Commit + " of " + v.Time
		if v.Modified {
			text += ", modified"
		}
		text += "\n"
	}
	return text + v.Go + " " + v.OS + "/" + v.Arch + "\n"
}
