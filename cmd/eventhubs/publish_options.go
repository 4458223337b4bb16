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
	"github.com/go-eventhubs/eventhubs"
)

const publishHelp = `Publishes each line of files, or of standard input, as one event: the line's bytes without its end.

Usage:
  eventhubs publish [options] FILE...
  eventhubs publish [options] -
  eventhubs publish --journal DIR

What the events are:
  --format FORMAT           lines|ndjson|file|events (default lines): what one event is
                              lines    a line, any text in UTF-8
                              ndjson   a line that is JSON; other lines are bad
                              file     a whole file, whatever its bytes
                              events   a line that is a record, as "eventhubs tail --output json" and
                                       --undelivered write them; "eventhubs tail --help" explains
                                       them. Fields of one hub, such as the offset, are ignored
  --key PATH                each event is a JSON object; the string, number or boolean at this dotted
                            path is its partition key (default: no key; events go to the partitions
                            in turn)
  --property NAME=VALUE     a property of every event, as text; may be repeated
  --content-type TYPE       the events' content type, such as application/json
  --skip-bad                leave bad lines out and count them, instead of stopping at the first

How they are sent:
  --partition ID            send all events to this partition
  --rate N                  at most N events a second (default: as fast as the hub takes them)
  --repeat N                publish the whole input N times (default 1); for files only
  --undelivered FILE        write events that are not stored, or only possibly, to this new file.
                            --format events publishes it again. The name must be free, even of a
                            link. Only you can read the file. An empty file is removed at the end
  --grace DURATION          time to send the buffered events after an interrupt (default 10s)
  --partitions N            partitions of the embedded emulator's hub (default 8)

How they are kept:
  --journal DIR             keep each line in this directory until it is stored, also while the hub
                            cannot be reached. Without input: send what is there, and end
  --journal-sync each|interval|os
                            each (default): a line is accepted once it is on the disk; a power cut
                            loses none. interval: the disk is synced each second. os: the operating
                            system decides. A killed process loses no line with any of them
  --journal-max BYTES       bound of the files in DIR (default 10 GiB); reading waits at it. "eventhubs
                            plan --offline" calculates it
  --at-least-once           publish without idempotent retries, which the Basic tier does not have.
                            Lines on their way at the end of a run may then be stored twice

Where to:
` + clientHelp + `
What to print:
  --output text|json        the report at the end (default text). json: one object on standard output
                            with hub, events (stored), batches, bytes (of their bodies), seconds,
                            verified, notStored, possiblyStored and partitions; if there are any,
                            also skipped, undelivered (the file's name) and kept (events that stay in
                            the journal). Everything else goes to standard error
  --metrics HOST:PORT       serve Prometheus metrics at http://HOST:PORT/metrics during the run. :PORT
                            is loopback, and 0.0.0.0:PORT is all interfaces. Port 0 takes a free one,
                            named on standard error. Prometheus may use HOST (if it is a name), an
                            IP address or localhost

Without a connection string and --namespace, the command runs an emulator inside itself. At the end it
reads everything back with the official SDK and compares: each event once, byte for byte, in the
input's order within its key. It reads nothing back from a real namespace. If
EVENTHUBS_CONNECTION_STRING is set and empty, as a missing secret leaves it, the command refuses to run.

Lines may be compressed with gzip; the command detects it. A line is bad if it is not UTF-8 or is longer
than the hub takes. With --key, a line is also bad if it is not a JSON object, or if the field is missing,
empty, null, an object or an array, or longer than 128 characters in UTF-16 (an emoji is two). The hub's
links give the limit: 1045504 bytes on most tiers, 20 MB on dedicated clusters. Empty lines are no events.
Files are checked whole before the first event is sent. From standard input, the events before a bad line
are published. A number in a record is published exactly: a whole number up to 18446744073709551615, any
other with at most 17 digits. Other numbers make the line bad.

With --journal the command may be killed at any moment, or lose its power. Run again with the same files,
it goes on after the last line accepted, and stores each line once. A file may have grown: its new lines
are published. A file is refused if its beginning or the last line accepted has changed, or if it is
shorter. Give several files in the same order, new ones at the end. The journal knows the place in the
latest input only: another input is published from its beginning. Standard input and pipes have no place
to go on at. Their lines that were accepted are kept, but a later run takes all that it reads for new.
--repeat, and the emulator inside the command, do not go together with a journal. DIR is for one hub, and
for one process at a time. It may be that of a program's Options.Journal only without input.
"eventhubs journal DIR" shows what is in it.

An interrupt ends the reading. Events already read have --grace to be stored. Then the command prints how
many events are stored, not stored and possibly stored, and where in the input it stopped. A second
interrupt ends it at once.

Exit status: 0 all published (and verified); 1 events failed or stay in the journal, or the events read
back differ, or interrupted; 2 wrong command line or input, or no such hub.

Examples:
  eventhubs publish --key properties.net examples/data/earthquakes.ndjson
  tail -f app.log | eventhubs publish --undelivered lost.ndjson -
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs publish --hub orders --key id orders.ndjson.gz
  eventhubs publish --namespace name.servicebus.windows.net --hub images --format file *.png
  eventhubs publish --rate 100 --repeat 1000 --property source=test sample.txt
  eventhubs publish --format events lost.ndjson
  eventhubs publish --hub orders --journal kept orders.ndjson
  tail -f app.log | eventhubs publish --metrics :9464 -
`

// publishOptions are the arguments of publish, checked as far as the command line alone allows.
type publishOptions struct {
	clientOptions // without a namespace: embedded emulator

	files       []string
	format      format
	key         string // dotted path; empty: only records' events have keys
	partition   string // empty: by key, or in turn
	properties  map[string]any
	contentType string
	rate        float64 // events a second; 0: no limit
	repeat      int
	skipBad     bool
	undelivered string        // name of a file; empty: none
	grace       time.Duration // for buffered events after an interrupt
	json        bool
	metricsAddr string // empty: no metrics
	partitions  int
	journal     *eventhubs.JournalOptions // nil without --journal
	atLeastOnce bool                      // with journal
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
	kept := opts.registerJournal(flags)
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
	if err := opts.checkJournal(given, kept); err != nil {
		return nil, err
	}
	if err := opts.checkInput(given); err != nil {
		return nil, err
	}
	if err := opts.checkSending(given); err != nil {
		return nil, err
	}
	return opts, opts.read(given)
}

// registerInput adds the flags about the events.
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
	case len(opts.files) == 0 && opts.journal == nil:
		return badInput("no file given; give one, or - for standard input")
	case slices.Contains(opts.files, "-") && len(opts.files) > 1:
		return badInput("standard input (-) and files are given together; give one or the other")
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
	case given["rate"] && !(opts.rate > 0 && opts.rate <= 1e9): // false for NaN
		return badInput("--rate is %v; it must be more than 0, and at most 1e9 events a second", opts.rate)
	case opts.grace < 0:
		return badInput("--grace is %v; it cannot be negative", opts.grace)
	case given["metrics"] && !isAddress(opts.metricsAddr):
		return badInput("--metrics %q is not HOST:PORT with a port from 0 to 65535", opts.metricsAddr)
	}
	return nil
}

// complement adds the command line's properties and content type to a record's event.
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
