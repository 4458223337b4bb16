package main

import (
	"slices"
	"strings"
)

// publishOptions are the arguments of publish, checked as far as the command line alone allows.
type publishOptions struct {
	clientOptions // without a connection string: embedded emulator

	file       string
	key        string // dotted path; empty: events have no key
	json       bool
	skipBad    bool
	partitions int
}

func parsePublish(p *process, args []string) (*publishOptions, error) {
	opts := &publishOptions{}
	var output string
	flags := newFlagSet("publish")
	opts.register(flags)
	flags.StringVar(&opts.key, "key", "", "")
	flags.StringVar(&output, "output", "text", "")
	flags.BoolVar(&opts.skipBad, "skip-bad", false, "")
	flags.IntVar(&opts.partitions, "partitions", defaultPartitions, "")
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	given := givenFlags(flags)
	if err := opts.complete(p, given); err != nil {
		return nil, err
	}
	opts.json = output == "json"

	switch {
	case len(others) == 0:
		return nil, badInput("no file given; give one, or - for standard input")
	case len(others) > 1:
		return nil, badInput("one file at a time, and not also %q", others[1])
	case output != "text" && output != "json":
		return nil, badInput("--output is %q; it must be text or json", output)
	case given["key"] && slices.Contains(strings.Split(opts.key, "."), ""):
		return nil, badInput("--key is %q; it must be a field's name, or names with single dots between", opts.key)
	case given["partitions"] && opts.connectionString != "":
		return nil, badInput("--partitions is for the embedded emulator only; a hub of a namespace has its own")
	case opts.partitions < 1:
		return nil, badInput("--partitions is %d; it must be at least 1", opts.partitions)
	}
	opts.file = others[0]
	return opts, nil
}
