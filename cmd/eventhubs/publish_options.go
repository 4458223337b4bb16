package main

import (
	"errors"
	"flag"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const publishHelp = `Publishes each line of files, or of standard input, as one event: the line's bytes without its end.

Usage:
  eventhubs publish [options] FILE...
  eventhubs publish [options] -

What the events are:
  --format FORMAT           lines|ndjson|file|events (default lines): what one event is
                              lines    a line, any text in UTF-8
                              ndjson   a line that is JSON; others are bad
                              file     a whole file, whatever its bytes
                              events   a line that is a record, as "eventhubs tail --output json" and
                                       --undelivered write them, with all that "eventhubs tail --help"
                                       explains; what is of one hub, as the offset, is passed over
  --key PATH                each event is a JSON object; the string, number or boolean at this dotted
                            path in it is its partition key. Without it, events go to the partitions
                            in turn
  --property NAME=VALUE     a property of every event, as text; may be repeated
  --content-type TYPE       the events' content type, such as application/json
  --skip-bad                leave bad lines out and count them, instead of stopping at the first

How they are sent:
  --partition ID            all to this partition
  --rate N                  at most N events a second (default: as fast as the hub takes them)
  --repeat N                the whole input N times (default 1); for files only
  --undelivered FILE        write what is not stored, or not surely, to this new file, which
                            --format events publishes. Nothing may have that name before, not even a
                            link; only you can read it, and it goes away if it stays empty
  --grace DURATION          how long an interrupt gives to what is buffered (default 10s)
  --partitions N            partitions of the embedded emulator's hub (default 8)

Where to:
` + clientHelp + `
What to say:
  --output text|json        what to print in the end (default text). json: one object on standard
                            output with hub, events (stored), batches, bytes (of their bodies), seconds,
                            verified, notStored, possiblyStored, partitions, and where there are any
                            skipped and undelivered (the file's name); all else goes to standard error
  --metrics HOST:PORT       while it runs, answer Prometheus at http://HOST:PORT/metrics. :PORT is
                            loopback, 0.0.0.0:PORT all interfaces; port 0 takes a free one, which standard
                            error names. HOST that is a name is how Prometheus may call it, besides an
                            IP address and localhost

Without a connection string and --namespace, an emulator inside this command stands for the namespace; then
everything is read back with the official SDK and compared: each event once, byte for byte, in the
input's order within its key. From a real namespace nothing is read back. EVENTHUBS_CONNECTION_STRING that
is set and empty, as a missing secret leaves it, is refused.

Lines may be compressed with gzip, which is found out by itself. A bad line is one that is longer than the
hub takes or not UTF-8 and, with --key, one that is not a JSON object or whose field is missing, empty,
longer than 128 characters as UTF-16 counts them (an emoji is two), null, an object or an array. The hub's
links say what they take: 1045504 bytes on most tiers, 20 MB on dedicated clusters. Empty lines are no events.
Files are checked whole before the first event is sent; from standard input, the events before a bad line are
published. In a record a number is what it says, or the line is bad: a whole one up to 18446744073709551615,
any other with at most 17 digits.

An interrupt ends the reading. What was read has --grace to be stored; then the command says how many events
are stored, not stored and possibly stored, and where in the input it has stopped. A second one ends it at once.

Exit status: 0 all published (and verified); 1 events failed, or what was read back differs, or
interrupted; 2 wrong command line or input, or no such hub.

Examples:
  eventhubs publish --key properties.net examples/data/earthquakes.ndjson
  tail -f app.log | eventhubs publish --undelivered lost.ndjson -
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs publish --hub orders --key id orders.ndjson.gz
  eventhubs publish --namespace name.servicebus.windows.net --hub images --format file *.png
  eventhubs publish --rate 100 --repeat 1000 --property source=test sample.txt
  eventhubs publish --format events lost.ndjson
  tail -f app.log | eventhubs publish --metrics :9464 -
`

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
	metricsAddr string // empty: no metrics
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
	flags.StringVar(&opts.metricsAddr, "metrics", "", "")
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
	if err := opts.checkSending(given); err != nil {
		return nil, err
	}
	return opts, opts.read(given)
}

// registerInput adds the flags that say what the events are.
func (opts *publishOptions) registerInput(flags *flag.FlagSet) {
	flags.StringVar((*string)(&opts.format), "format", string(formatLines), "")
	flags.StringVar(&opts.key, "key", "", "")
	flags.StringVar(&opts.contentType, "content-type", "", "")
	flags.BoolVar(&opts.skipBad, "skip-bad", false, "")
	flags.Func("property", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		switch {
		case !ok || name == "":
			return errors.New("want NAME=VALUE, for example source=import")
		case !utf8.ValidString(text):
			return errors.New("not text in UTF-8")
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
	case !isASCII(opts.contentType):
		return badInput("--content-type is %q; it must be ASCII", opts.contentType)
	case opts.repeat < 1:
		return badInput("--repeat is %d; it must be at least 1", opts.repeat)
	}
	return nil
}

func (opts *publishOptions) checkSending(given map[string]bool) error {
	switch {
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
	case given["metrics"] && !isAddress(opts.metricsAddr):
		return badInput("--metrics %q is not HOST:PORT with a port from 0 to 65535", opts.metricsAddr)
	}
	return nil
}

// complement gives a record's event what the command line says of every event.
func (opts *publishOptions) complement(m *azeventhubs.AMQPAnnotatedMessage) {
	if len(opts.properties) > 0 && m.ApplicationProperties == nil {
		m.ApplicationProperties = map[string]any{}
	}
	maps.Copy(m.ApplicationProperties, opts.properties)
	if opts.contentType == "" {
		return
	}
	if m.Properties == nil {
		m.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{}
	}
	m.Properties.ContentType = &opts.contentType
}
