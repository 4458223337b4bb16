package main

import (
	"slices"
	"strings"
	"time"
)

const defaultGroup = "$Default"

// tailOptions are the arguments of tail, checked as far as the command line alone allows.
type tailOptions struct {
	clientOptions

	from       position
	until      until
	partitions []string // empty: all
	group      string
	count      int // 0: no end
	key        *string
	filters    []filter
	stop       bool // a partition ends at an event that cannot be read
	layout     layout
}

func parseTail(p *process, args []string) (*tailOptions, error) {
	opts := &tailOptions{}
	var output, from, end, partition, key, template, unreadable string
	newest := 0
	flags := newFlagSet("tail")
	opts.register(flags)
	flags.StringVar(&from, "from", "latest", "")
	flags.StringVar(&end, "until", "", "")
	flags.IntVar(&newest, "n", 0, "")
	flags.StringVar(&partition, "partition", "", "")
	flags.StringVar(&opts.group, "group", defaultGroup, "")
	flags.IntVar(&opts.count, "count", 0, "")
	flags.StringVar(&key, "key", "", "")
	flags.Func("filter", "", opts.addFilter)
	flags.StringVar(&output, "output", "text", "")
	flags.StringVar(&template, "format", "", "")
	flags.StringVar(&unreadable, "on-unreadable", "skip", "")
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	given := givenFlags(flags)
	if err := opts.complete(p, given); err != nil {
		return nil, err
	}
	switch {
	case len(others) > 0:
		return nil, badInput("unexpected argument %q; see \"eventhubs tail --help\"", others[0])
	case given["count"] && opts.count < 1:
		return nil, badInput("--count is %d; it must be at least 1", opts.count)
	case given["n"] && newest < 1:
		return nil, badInput("-n is %d; it must be at least 1", newest)
	case given["n"] && given["from"]:
		return nil, badInput("-n and --from are given together; both say where to start: give one of them")
	case unreadable != "skip" && unreadable != "stop":
		return nil, badInput("--on-unreadable is %q; it must be skip or stop", unreadable)
	case opts.embedded():
		return nil, errNoNamespace()
	}
	if given["key"] {
		opts.key = &key
	}
	opts.stop = unreadable == "stop"
	if err := opts.readRange(p.now(), from, newest, end, given); err != nil {
		return nil, err
	}
	if opts.partitions, err = splitIDs(partition); err != nil {
		return nil, err
	}
	if opts.layout, err = parseLayout(p, output, template, given); err != nil {
		return nil, err
	}
	return opts, opts.read(given)
}

// readRange reads where reading starts and where it ends.
func (opts *tailOptions) readRange(now time.Time, from string, newest int, end string, given map[string]bool) (err error) {
	if opts.from, err = parsePosition("--from", from, now); err != nil {
		return err
	}
	if newest > 0 {
		opts.from = position{text: "the newest " + counted(newest, "event", "events"), newest: newest}
	}
	if !given["until"] {
		return nil
	}
	if opts.until, err = parseUntil(end, now); err != nil {
		return err
	}
	if t := opts.from.time; t != nil && !opts.until.time.IsZero() && !t.Before(opts.until.time) {
		return badInput("--from %s is not before --until %s", from, end)
	}
	return nil
}

// splitIDs splits a list of partitions.
func splitIDs(list string) (ids []string, err error) {
	if list == "" {
		return nil, nil
	}
	for id := range strings.SplitSeq(list, ",") {
		id = strings.TrimSpace(id)
		switch {
		case id == "":
			return nil, badInput("--partition is %q; want ids with commas between them, as in 0,3", list)
		case slices.Contains(ids, id):
			return nil, badInput("--partition is %q; it names %s twice", list, id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (opts *tailOptions) addFilter(text string) error {
	f, err := parseFilter(text)
	if err != nil {
		return err
	}
	opts.filters = append(opts.filters, f)
	return nil
}
