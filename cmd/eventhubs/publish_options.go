package main

import (
	"errors"
	"flag"
	"maps"
	"slices"
	"strings"
	"time"
)

// publishOptions are the arguments of publish, checked as far as the command line alone allows.
type publishOptions struct {
	clientOptions // without a namespace: embedded emulator

	files       []string
	format      format
	key         string // dotted path; empty: events have no key, but for those of records
	partition   string // empty: by key, or in turn
	properties  map[string]any
	contentType string
	rate        float64 // events a second; 0: as fast as can be
	repeat      int
	skipBad     bool
	undelivered string        // name of a file; empty: none
	grace       time.Duration // for what is buffered after an interrupt
	json        bool
	partitions  int
}

func parsePublish(p *process, args []string) (*publishOptions, error) {
	opts := &publishOptions{properties: map[string]any{}}
	var output string
	flags := newFlagSet("publish")
	opts.register(flags)
	opts.registerInput(flags)
	flags.StringVar(&opts.partition, "partition", "", "")
	flags.Float64Var(&opts.rate, "rate", 0, "")
	flags.IntVar(&opts.repeat, "repeat", 1, "")
	flags.StringVar(&opts.undelivered, "undelivered", "", "")
	flags.DurationVar(&opts.grace, "grace", closeTimeout, "")
	flags.StringVar(&output, "output", "text", "")
	flags.IntVar(&opts.partitions, "partitions", defaultPartitions, "")
	files, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	given := givenFlags(flags)
	if err := opts.complete(p, given); err != nil {
		return nil, err
	}
	opts.files, opts.json = files, output == "json"
	if output != "text" && output != "json" {
		return nil, badInput("--output is %q; it must be text or json", output)
	}
	if err := opts.checkInput(given); err != nil {
		return nil, err
	}
	return opts, opts.checkSending(given)
}

// registerInput adds the flags that say what the events are.
func (opts *publishOptions) registerInput(flags *flag.FlagSet) {
	flags.StringVar((*string)(&opts.format), "format", string(formatLines), "")
	flags.StringVar(&opts.key, "key", "", "")
	flags.StringVar(&opts.contentType, "content-type", "", "")
	flags.BoolVar(&opts.skipBad, "skip-bad", false, "")
	flags.Func("property", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE, for example source=import")
		}
		opts.properties[name] = value
		return nil
	})
}

func (opts *publishOptions) checkInput(given map[string]bool) error {
	formats := []format{formatLines, formatNDJSON, formatFile, formatEvents}
	switch {
	case len(opts.files) == 0:
		return badInput("no file given; give one, or - for standard input")
	case slices.Contains(opts.files, "-") && len(opts.files) > 1:
		return badInput("standard input (-) and files are given together; one or the other")
	case !slices.Contains(formats, opts.format):
		return badInput("--format is %q; it must be lines, ndjson, file or events", string(opts.format))
	case given["key"] && slices.Contains(strings.Split(opts.key, "."), ""):
		return badInput("--key is %q; it must be a field's name, or names with single dots between", opts.key)
	case given["key"] && opts.format == formatEvents:
		return badInput("--key and --format events are given together; records have keys of their own")
	case given["content-type"] && opts.contentType == "":
		return badInput("--content-type is empty; leave it out for none")
	case opts.repeat < 1:
		return badInput("--repeat is %d; it must be at least 1", opts.repeat)
	}
	return nil
}

func (opts *publishOptions) checkSending(given map[string]bool) error {
	switch {
	case given["partition"] && opts.partition == "":
		return badInput("--partition is empty; leave it out to use all of them")
	case given["partition"] && given["key"]:
		return badInput("--partition and --key are given together; an event's partition is either given or chosen by its key")
	case given["partitions"] && !opts.embedded():
		return badInput("--partitions is for the embedded emulator only; a hub of a namespace has its own")
	case opts.partitions < 1:
		return badInput("--partitions is %d; it must be at least 1", opts.partitions)
	case given["rate"] && !(opts.rate > 0 && opts.rate <= 1e9): // which NaN is not
		return badInput("--rate is %v; it must be more than 0, and at most 1e9 events a second", opts.rate)
	case opts.grace < 0:
		return badInput("--grace is %v; it cannot be negative", opts.grace)
	case given["undelivered"] && opts.undelivered == "":
		return badInput("--undelivered is empty; give the name of a new file")
	}
	return nil
}

// merged is what properties an event has: its own, and those of the command line over them.
func (opts *publishOptions) merged(own map[string]any) map[string]any {
	if len(own) == 0 {
		return opts.properties
	}
	all := maps.Clone(own)
	maps.Copy(all, opts.properties)
	return all
}
