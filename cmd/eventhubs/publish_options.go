package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs"
)

const publishHelp = `Publishes each line of files, or of standard input, as one event: the line's bytes without its end.

Usage:
  eventhubs publish [options] FILE|DIR...
  eventhubs publish [options] -
  eventhubs publish --journal DIR

What the events are:
  --format FORMAT           lines|ndjson|csv|file|events (default lines): what one event is
                              lines    a line, any text in UTF-8
                              ndjson   a line that is JSON; other lines are bad
                              csv      a row after the first, which has the columns' names: a JSON
                                       object with all values as text. A line end in a value is \n
                              file     a whole file, whatever its bytes; an empty one is no event
                              events   a line that is a record, as "eventhubs tail --output json" and
                                       --undelivered write them; "eventhubs tail --help" explains
                                       them. Fields of one hub, such as the offset, are ignored
  --key PATH                each event is a JSON object; the string, number or boolean at this dotted
                            path is its partition key (default: no key; events go to the partitions
                            in turn)
  --message-id PATH         the string or unsigned number at this path is the event's message id
  --correlation-id PATH     likewise its correlation id
  --property-field NAME=PATH
                            the string, number or boolean at this path is a property; null is none. A
                            whole number is a long or ulong, any other a double. May be repeated
  --property NAME=VALUE     a property of every event, as text; may be repeated
  --content-type TYPE       the events' content type, such as application/json
  --separator C             of csv: the character between columns, or tab (default ,)
  --skip-bad                leave bad lines out and count them, instead of stopping at the first
  --resume FILE             keep the place in the input in FILE, and go on there in the next run. Events
                            after that place may be stored twice; --journal stores each once
  --from-line N             begin at line N of the one file or stream (default 1)
  --no-check                do not read files before the first event. As with a stream, events before
                            a bad line are then published

How they are sent:
  --partition ID            send all events to this partition
  --keep-partition          with --format events: send each event to the partition that its record
                            names, with its key. The line is bad if there is no such partition
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
reads everything back and compares: each event once, byte for byte, in the input's order within its
key. It reads nothing back from a real namespace. If EVENTHUBS_CONNECTION_STRING is set and empty, as a
missing secret leaves it, the command refuses to run.

Lines may be compressed with gzip or zstd; their first bytes show it. UTF-16 and other compressions are
refused by name. A byte order mark belongs to no event. A directory stands for the files in it, in the
order of their names. Directories in it, and names that begin with a dot, are left out.

A line is bad if it is not UTF-8 or is longer than the hub takes. The hub's links give the limit: 1045504
bytes on most tiers, 20 MB on dedicated clusters. With --key, a line is also bad if it is not a JSON object,
or if the field is missing, empty, null, an object or an array, or longer than 128 characters in UTF-16 (an
emoji is two). The other options that take a PATH are alike. Empty lines are no events. A line without end,
as of a device, is refused at 256 MiB. Files are checked whole before the first event is sent, unless
--no-check is given. From standard input, the events before a bad line are published. A number in a record
or a field is published exactly: a whole number up to 18446744073709551615, any other with at most 17
digits. Other numbers make the line bad.

With --resume the command may also be killed or interrupted. Run again with the same files, it goes on
after a line before which every event is stored, or in the file of --undelivered. It publishes up to some
thousand events again that are stored after that line. As with a journal, files may grow, and new ones come
at the end.

With --journal the command may be killed at any moment, or lose its power. Run again with the same files,
it goes on after the last line accepted, and stores each line once. A file may have grown: its new lines
are published. A file is refused if its beginning or the last line accepted has changed, or if it is
shorter. Give several files in the same order, new ones at the end. New lines in a file before the one
with the last line accepted are not seen. The journal knows the place in the latest input only: another
input is published from its beginning. Standard input and pipes have no place to go on at. Their lines
that were accepted are kept, but a later run takes all that it reads for new.
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
  eventhubs publish --hub copy --format events --keep-partition orders.ndjson
  eventhubs publish --hub orders --journal kept orders.ndjson
  eventhubs publish --hub orders --resume place --format csv --key customer --message-id id orders.csv.zst
  tail -f app.log | eventhubs publish --metrics :9464 -
`

// publishOptions are the arguments of publish, checked as far as the command line alone allows.
type publishOptions struct {
	clientOptions        // without a namespace: embedded emulator
	command       string // that publishes: publish or copy

	files       []string
	format      format
	fields      fields // empty: only records' events have keys and ids
	partition   string // empty: by key, or in turn
	keep        bool   // each record names its partition
	properties  map[string]any
	contentType string
	rate        float64 // events a second; 0: no limit
	repeat      int
	skipBad     bool
	noCheck     bool
	resume      string        // name of a file; empty: none
	fromLine    int           // the first line to publish; 0: all
	separator   rune          // of the columns of CSV
	undelivered string        // name of a file; empty: none
	grace       time.Duration // for buffered events after an interrupt
	json        bool
	metricsAddr string // empty: no metrics
	partitions  int
	journal     *eventhubs.JournalOptions // nil without --journal
	atLeastOnce bool                      // with journal
	idempotent  bool                      // also without a journal
	gapless     bool                      // a partition ends at its first failure
	// Called for each batch, in place of --resume's. Kept says that the events are stored, or in the
	// file of --undelivered.
	outcome func(b *eventhubs.Batch, kept bool)
}

func parsePublish(p *process, args []string) (*publishOptions, error) {
	opts := &publishOptions{command: "publish", properties: map[string]any{}}
	var output string
	flags := newFlagSet("publish")
	opts.register(flags)
	opts.registerInput(flags)
	flags.StringVar(&opts.partition, "partition", "", "")
	flags.BoolVar(&opts.keep, "keep-partition", false, "")
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
	if opts.format == formatCSV {
		opts.fields.flatten()
	}
	return opts, opts.read(given)
}

// registerInput adds the flags about the events.
func (opts *publishOptions) registerInput(flags *flag.FlagSet) {
	flags.StringVar((*string)(&opts.format), "format", string(formatLines), "")
	for name, path := range map[string]*[]string{"key": &opts.fields.key, "message-id": &opts.fields.messageID, "correlation-id": &opts.fields.correlationID} {
		flags.Func(name, "", func(text string) (err error) {
			*path, err = parsePath(text)
			return err
		})
	}
	flags.Func("property-field", "", func(text string) error {
		name, field, ok := strings.Cut(text, "=")
		if !ok || name == "" || !utf8.ValidString(text) {
			return errors.New("want NAME=PATH, for example type=event.kind")
		}
		path, err := parsePath(field)
		opts.fields.properties = append(opts.fields.properties, propertyField{name, path})
		return err
	})
	flags.StringVar(&opts.contentType, "content-type", "", "")
	flags.BoolVar(&opts.skipBad, "skip-bad", false, "")
	flags.BoolVar(&opts.noCheck, "no-check", false, "")
	flags.StringVar(&opts.resume, "resume", "", "")
	flags.IntVar(&opts.fromLine, "from-line", 0, "")
	opts.separator = ','
	flags.Func("separator", "", func(text string) error {
		if text == "tab" {
			text = "\t"
		}
		c, n := utf8.DecodeRuneInString(text)
		if n == 0 || n != len(text) || c == utf8.RuneError || strings.ContainsRune("\"\r\n\ufeff", c) {
			return errors.New("it must be one character that is no quotation mark, or tab")
		}
		opts.separator = c
		return nil
	})
	flags.Func("property", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		switch {
		case !ok || name == "":
			return errors.New("want NAME=VALUE, for example source=import")
		case !utf8.ValidString(text):
			return errors.New("not text in UTF-8")
		}
		if other, twice := opts.properties[name]; twice {
			return fmt.Errorf("the property %q is given already, as %q; give it once", name, other)
		}
		opts.properties[name] = value
		return nil
	})
}

func (opts *publishOptions) checkInput(given map[string]bool) error {
	formats := []format{formatLines, formatNDJSON, formatCSV, formatFile, formatEvents}
	switch {
	case len(opts.files) == 0 && opts.journal == nil:
		return badInput("no file given; give one, or - for standard input")
	case slices.Contains(opts.files, "-") && len(opts.files) > 1:
		return badInput("standard input (-) and files are given together; give one or the other")
	case !slices.Contains(formats, opts.format):
		return badInput("--format is %q; it must be lines, ndjson, csv, file or events", string(opts.format))
	case opts.fields.any() && opts.format == formatEvents:
		name := cmp.Or(firstGiven(given, "key", "message-id", "correlation-id"), "property-field")
		return badInput("--%s and --format events are given together; records have keys, ids and properties of their own", name)
	case opts.propertyTwice() != "":
		return badInput("the property %q is given twice, by --property or --property-field; give it once", opts.propertyTwice())
	case !isASCII(opts.contentType):
		return badInput("--content-type is %q; it must be ASCII", opts.contentType)
	case given["separator"] && opts.format != formatCSV:
		return badInput("--separator is for --format csv only")
	case given["from-line"] && opts.fromLine < 1:
		return badInput("--from-line is %d; lines count from 1", opts.fromLine)
	case given["from-line"] && opts.format == formatFile:
		return badInput("--from-line and --format file are given together; a file that is one event has no lines to begin at")
	case given["from-line"] && opts.journal != nil:
		return badInput("--from-line and --journal are given together; the journal knows the line to go on at")
	case given["resume"] && given["from-line"]:
		return badInput("--resume and --from-line are given together; the file of --resume knows the line to go on at")
	case given["resume"] && opts.journal != nil:
		return badInput("--resume and --journal are given together; the journal knows the line to go on at")
	case given["resume"] && opts.repeat > 1:
		return badInput("--resume and --repeat are given together; an input that is published again has no place to go on at")
	case given["resume"] && opts.embedded():
		return badInput("--resume needs a namespace: the emulator inside the command would be gone at the next run. Give a connection string or --namespace")
	case opts.repeat < 1:
		return badInput("--repeat is %d; it must be at least 1", opts.repeat)
	}
	return nil
}

// firstGiven returns the first of the names that is given; "" if none is.
func firstGiven(given map[string]bool, names ...string) string {
	for _, name := range names {
		if given[name] {
			return name
		}
	}
	return ""
}

// propertyTwice returns the name of a property that has two sources; "" if none has.
func (opts *publishOptions) propertyTwice() string {
	seen := maps.Clone(opts.properties)
	for _, p := range opts.fields.properties {
		if _, twice := seen[p.name]; twice {
			return p.name
		}
		seen[p.name] = nil
	}
	return ""
}

func (opts *publishOptions) checkSending(given map[string]bool) error {
	switch {
	case given["partition"] && given["key"]:
		return badInput("--partition and --key are given together; an event's partition is either given or chosen by its key")
	case given["partition"] && opts.keep:
		return badInput("--partition and --keep-partition are given together; an event goes to one of them")
	case opts.keep && opts.format != formatEvents:
		return badInput("--keep-partition is for --format events only; other lines name no partition")
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

// keeper returns what keeps the place in the input; nil if nothing does.
func (opts *publishOptions) keeper() *keeper {
	switch {
	case opts.journal != nil:
		return keptByJournal
	case opts.resume != "":
		return keptByFile(opts.resume)
	}
	return nil
}

// complement adds the command line's properties and content type to a record's event.
func (opts *publishOptions) complement(e *eventhubs.Event) {
	if len(opts.properties) > 0 && e.Properties == nil {
		e.Properties = map[string]any{}
	}
	maps.Copy(e.Properties, opts.properties)
	if opts.contentType == "" {
		return
	}
	e.ContentType = opts.contentType
	if e.AMQP != nil && e.AMQP.Properties != nil {
		e.AMQP.Properties.ContentType = nil
	}
}
