package main

import (
	"flag"
	"maps"
	"strings"
	"time"
)

const copyHelp = `Copies the events of a hub into another one, in the order of each partition.

Usage:
  eventhubs copy --from CS --to CS [options]

Where from, and where to:
  --from CS                 namespace of the source, with a key or a signature, as --connection-string
                            of the other commands. EVENTHUBS_FROM_CONNECTION_STRING or a file is safer
  --from-file FILE          a file that holds this connection string
  --from-namespace HOST     namespace of the source, with an Azure identity. Needs --from-hub
  --from-hub NAME           event hub (default: the connection string's EntityPath, else events)
  --to CS                   namespace of the target; EVENTHUBS_TO_CONNECTION_STRING
  --to-file FILE            a file that holds this connection string
  --to-namespace HOST       namespace of the target, with an Azure identity. Needs --to-hub
  --to-hub NAME             event hub (default: the connection string's EntityPath, else events)
  --group NAME              consumer group of the source (default $Default). Consumers with an epoch
                            let no other read in their group: name one that has none
  --websocket               AMQP over WebSocket, port 443, through the proxy in HTTPS_PROXY
  --tls-ca FILE             certificates (PEM) of authorities to trust besides the system's

Which events:
  --since POSITION          where to start in each partition, as --from of "eventhubs tail": start,
                            latest, offset:N, sequence:N, or a TIME such as -1h (default start)
  --until end|TIME          end at the last event that each partition has when the run begins
                            (default end), or before the first event stored at this time or later
  --follow                  go on until interrupted
  --partition ID,…          these partitions of the source only (default: all)
  --on-unreadable skip|stop
                            at an event that is not valid AMQP: stop (default) ends the copy; skip
                            names it, counts it and leaves it out
  --undelivered FILE        write events that the target does not take, such as those that are too
                            large, to this new file, and leave them out. "eventhubs publish --format
                            events" publishes it. Without it the first such event ends the copy

How they are sent:
  --by partition|key        partition: an event of partition 3 goes to partition 3, whatever its key
                            (default if both hubs have as many partitions). key: to the partition that
                            the service chooses for its key. Events without a key stay together: those
                            of one partition go to one partition
  --source-properties       give each event the properties source-partition, source-sequence-number,
                            source-offset and source-enqueued-time. Present ones are replaced
  --rate N                  at most N events a second
  --grace DURATION          time to send the buffered events after an interrupt (default 10s)

To go on in a later run:
  --resume FILE             keep the place in each partition in FILE. A run that was killed is gone on
                            with at least once: some events may be stored twice
  --journal DIR             keep each event in this directory until it is stored, with its place in the
                            source. Killed at any moment, the copy goes on exactly once
  --journal-sync each|interval|os
                            each (default): an event is kept once it is on the disk; a power cut loses
                            none. interval and os: see "eventhubs publish --help". An event that a
                            power cut takes from the journal is read again
  --journal-max BYTES       bound of the files in DIR (default 10 GiB); reading waits at it
  --at-least-once           publish without idempotent retries, which the Basic tier does not have. A
                            retry may then store events twice

At the end:
  --no-verify               do not read the target back
  --output text|json        the report (default text). json: one object on standard output with source,
                            target, by, events (stored), batches, bytes (of their bodies), seconds,
                            verified, notStored, possiblyStored, leftOut and partitions, which have id,
                            events, first and last (sequence numbers of the source), and gaps (sequence
                            numbers without an event). If there are any, also differences, undelivered
                            (the file's name) and kept (events that stay in the journal). Everything
                            else goes to standard error
  --metrics HOST:PORT       serve Prometheus metrics, as of "eventhubs publish"

A copy has the body, key, ids, properties, annotations, header and footer of the event, with all AMQP
types. The target gives it a sequence number, an offset and an enqueued time of its own.

At the end the command reads the target from where it was before the first run. It compares the number
of events and their digests with the source: each event once, and in order within its partition, or
within its key with --by key. A digest covers the body, properties and annotations. Another program that
publishes to the target meanwhile makes a difference. Memory: about 100 bytes for each key with --by key.

With --resume and --journal, later runs have the same hubs and --by. Each run ends at the end that it
sees, so a copy can be brought up to date. The file or directory is of one copy. A journal is also for
one process at a time.

An interrupt ends the reading; with --follow that is the normal end. Events already read have --grace to
be stored. A second interrupt ends the command at once.

Exit status: 0 all copied, and verified unless --no-verify; 1 events failed, were written to --undelivered,
stay in the journal or differ, or interrupted without --follow; 2 wrong command line, or no such hub or
partition.

Examples:
  export EVENTHUBS_FROM_CONNECTION_STRING='Endpoint=sb://old…' EVENTHUBS_TO_CONNECTION_STRING='Endpoint=sb://new…'
  eventhubs copy --from-hub orders --to-hub orders --journal kept
  eventhubs copy --from-file old.txt --to-file new.txt --from-hub orders --to-hub orders --follow --journal kept
  eventhubs copy --from-hub orders --to-hub replay --since -1h --until -30m --source-properties
`

// fromNames and toNames have the names by which copy gets its two hubs.
var (
	fromNames = clientNames{"from", "from-file", "from-namespace", "from-hub", "EVENTHUBS_FROM_CONNECTION_STRING"}
	toNames   = clientNames{"to", "to-file", "to-namespace", "to-hub", "EVENTHUBS_TO_CONNECTION_STRING"}
)

// copyOptions are the arguments of copy, checked as far as the command line alone allows.
type copyOptions struct {
	from, to   clientOptions
	group      string
	since      position
	until      until // none with --follow
	follow     bool
	partitions []string // empty: all
	given      map[string]bool
	by         route // empty: as the numbers of partitions are
	described  bool  // --source-properties
	stop       bool  // the copy ends at an event that cannot be read
	verify     bool
	publish    *publishOptions // how events are sent
	resume     string          // name of a file; empty: none
}

// A route says where the events of a source's partition go.
type route string

const (
	routePartition route = "partition"
	routeKey       route = "key"
)

func parseCopy(p *process, args []string) (*copyOptions, error) {
	opts := &copyOptions{publish: &publishOptions{command: "copy", repeat: 1}}
	var since, end, partition, unreadable, output string
	var unverified bool
	flags := newFlagSet("copy")
	opts.from.registerNames(flags, fromNames)
	opts.to.registerNames(flags, toNames)
	opts.to.registerTransport(flags)
	flags.StringVar(&opts.group, "group", defaultGroup, "")
	flags.StringVar(&since, "since", "start", "")
	flags.StringVar(&end, "until", "end", "")
	flags.BoolVar(&opts.follow, "follow", false, "")
	flags.StringVar(&partition, "partition", "", "")
	flags.StringVar(&unreadable, "on-unreadable", "stop", "")
	flags.StringVar((*string)(&opts.by), "by", "", "")
	flags.BoolVar(&opts.described, "source-properties", false, "")
	flags.BoolVar(&unverified, "no-verify", false, "")
	flags.StringVar(&opts.resume, "resume", "", "")
	flags.StringVar(&output, "output", "text", "")
	kept := opts.registerSending(flags)
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	given := givenFlags(flags)
	opts.from.caFile, opts.from.webSocket = opts.to.caFile, opts.to.webSocket
	for _, end := range []*clientOptions{&opts.from, &opts.to} {
		if err := end.complete(p, given); err != nil {
			return nil, err
		}
		if end.embedded() {
			return nil, end.missing()
		}
	}
	opts.stop, opts.verify, opts.publish.json = unreadable == "stop", !unverified, output == "json"
	switch {
	case len(others) > 0:
		return nil, badInput("unexpected argument %q; see \"eventhubs copy --help\"", others[0])
	case given["follow"] && given["until"]:
		return nil, badInput("--follow and --until are given together; both say where to end: give one of them")
	case unreadable != "skip" && unreadable != "stop":
		return nil, badInput("--on-unreadable is %q; it must be skip or stop", unreadable)
	case opts.by != "" && opts.by != routePartition && opts.by != routeKey:
		return nil, badInput("--by is %q; it must be partition or key", string(opts.by))
	case output != "text" && output != "json":
		return nil, badInput("--output is %q; it must be text or json", output)
	case given["resume"] && given["journal"]:
		return nil, badInput("--resume and --journal are given together; the journal knows the places to go on at")
	}
	if err := opts.readRange(p.now(), since, end); err != nil {
		return nil, err
	}
	if opts.partitions, err = splitIDs(partition); err != nil {
		return nil, err
	}
	opts.given = given
	return opts, opts.read(kept)
}

// registerSending adds the flags that publish has too.
func (opts *copyOptions) registerSending(flags *flag.FlagSet) *journalFlags {
	pub := opts.publish
	flags.StringVar(&pub.undelivered, "undelivered", "", "")
	flags.Float64Var(&pub.rate, "rate", 0, "")
	flags.DurationVar(&pub.grace, "grace", closeTimeout, "")
	flags.StringVar(&pub.metricsAddr, "metrics", "", "")
	return pub.registerJournal(flags)
}

// readRange reads where the copy starts and ends.
func (opts *copyOptions) readRange(now time.Time, since, end string) (err error) {
	if opts.since, err = parsePosition("--since", since, now); err != nil || opts.follow {
		return err
	}
	if opts.until, err = parseUntil(end, now); err != nil {
		return err
	}
	if t := opts.since.time; t != nil && !opts.until.time.IsZero() && !t.Before(opts.until.time) {
		return badInput("--since %s is not before --until %s", since, end)
	}
	return nil
}

// read reads the two namespaces, and completes the options for sending.
func (opts *copyOptions) read(kept *journalFlags) error {
	for _, end := range []*clientOptions{&opts.from, &opts.to} {
		if err := end.read(opts.given); err != nil {
			return err
		}
	}
	if strings.EqualFold(opts.from.name(), opts.to.name()) {
		return badInput("the source and the target are the same event hub, %s; its copies would be copied again", opts.to.name())
	}
	pub := opts.publish
	pub.clientOptions, pub.partitions = opts.to, defaultPartitions
	pub.files = []string{opts.from.name()} // a journal without input is for publish
	of := maps.Clone(opts.given)
	delete(of, "at-least-once") // copy has it without a journal too
	delete(of, "partition")     // of the source
	if err := pub.checkJournal(of, kept); err != nil {
		return err
	}
	if err := pub.checkSending(of); err != nil {
		return err
	}
	pub.idempotent, pub.gapless = !pub.atLeastOnce, pub.journal == nil && pub.undelivered == ""
	return nil
}

// name returns the full name of the hub.
func (c *clientOptions) name() string {
	if c.namespace != "" {
		return c.namespace + "/" + c.hub
	}
	return c.delivered.Namespace + "/" + c.hub
}

// missing is the error of copy for a namespace that is not given.
func (c *clientOptions) missing() error {
	n := &c.names
	return badInput("no --%[1]s; give a connection string in %[2]s, with --%[1]s or with --%[3]s, or --%[4]s and --%[5]s", n.connectionString, n.variable, n.stringFile, n.namespace, n.hub)
}
