package main

import (
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// tailOptions are the arguments of tail, checked as far as the command line alone allows.
type tailOptions struct {
	clientOptions

	from      position
	partition string // empty: all
	group     string
	count     int // 0: no end
	json      bool
}

func parseTail(p *process, args []string) (*tailOptions, error) {
	opts := &tailOptions{}
	var output, from string
	flags := newFlagSet("tail")
	opts.register(flags)
	flags.StringVar(&from, "from", "latest", "")
	flags.StringVar(&opts.partition, "partition", "", "")
	flags.StringVar(&opts.group, "group", azeventhubs.DefaultConsumerGroup, "")
	flags.IntVar(&opts.count, "count", 0, "")
	flags.StringVar(&output, "output", "text", "")
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
	case len(others) > 0:
		return nil, badInput("unexpected argument %q; see \"eventhubs tail --help\"", others[0])
	case output != "text" && output != "json":
		return nil, badInput("--output is %q; it must be text or json", output)
	case given["count"] && opts.count < 1:
		return nil, badInput("--count is %d; it must be at least 1", opts.count)
	case opts.embedded():
		return nil, errNoNamespace()
	}
	if opts.from, err = parsePosition(from); err != nil {
		return nil, err
	}
	return opts, opts.read(given)
}
