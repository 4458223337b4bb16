package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

const (
	defaultPartitions = 8

	// closeTimeout bounds closing. For publish, it is the default of --grace.
	closeTimeout = 10 * time.Second
)

func runPublish(ctx context.Context, p *process, args []string) (err error) {
	opts, err := parsePublish(p, args)
	if err != nil {
		return err
	}
	to, err := openTarget(opts)
	if err != nil {
		return err
	}
	defer to.close()
	pub, err := newPublication(p, to, opts)
	defer func() { err = errors.Join(err, pub.closeMetrics(ctx)) }()
	if err != nil {
		// Errors of the command line come before reading a file, which may take long.
		return err
	}
	src, err := pub.begin(ctx)
	if err != nil {
		return errors.Join(err, pub.leave(ctx))
	}
	err = pub.publish(ctx, src)
	if to.embedded() && ctx.Err() == nil {
		err = errors.Join(err, pub.verify(ctx))
	}
	if src.skipped > 0 {
		fmt.Fprintf(p.stderr, "Left out: %s; the first: %s\n", opts.format.bad(src.skipped), p.message(src.firstSkipped))
	}
	if n := pub.leftOut; n > 0 {
		fmt.Fprintf(p.stderr, "Left out of %s: delivery annotations, which are of one transfer; no hub keeps them.\n", counted(n, "event", "events"))
	}
	report := newReport(pub, src.skipped)
	write := report.writeText
	if opts.json {
		write = report.writeJSON
	}
	return errors.Join(err, write(p.stdout))
}

// A publication is one run of publish.
type publication struct {
	// Immutable after begin; tally, progress, undelivered, resume and toldFull guard
	// themselves.
	process     *process
	options     *publishOptions
	target      *target
	tally       *tally
	progress    *progress
	undelivered *undelivered             // nil without --undelivered
	resume      *placeKeeper[checkpoint] // nil without --resume
	producer    *eventhubs.BufferedProducer
	metrics     *metricsserver.Server               // nil without --metrics
	toldFull    atomic.Bool                         // the journal was full
	outcome     func(b *eventhubs.Batch, kept bool) // of the options, or of resume

	// Owned by runPublish's goroutine.
	ledger *ledger // nil unless events will be read back
	// With a journal: the hub was not reached at the beginning.
	isOffline bool
	elapsed   time.Duration // from the first event to the last outcome
	verified  bool
	// The event that the producer did not accept; nil if it accepted all.
	refusal *undeliveredRecord
	left    int // events in the file of --undelivered
	kept    int // events that stay in the journal
	// Events whose delivery annotations were left out.
	leftOut int
}

// newPublication makes the producer, without touching the network. It returns a publication even
// with an error, so that the caller can close its metrics.
func newPublication(p *process, to *target, opts *publishOptions) (*publication, error) {
	pub := &publication{process: p, options: opts, target: to, tally: newTally(), resume: newResume(opts)}
	if pub.outcome = opts.outcome; pub.outcome == nil {
		pub.outcome = pub.resume.outcome
	}
	if to.embedded() {
		pub.ledger = newLedger(opts.keep)
	}
	options := &eventhubs.Options{
		OnBatchSucceeded: pub.batchSucceeded,
		OnBatchFailed:    pub.batchFailed,
		Connection:       eventhubs.ConnectionOptions{ApplicationID: "eventhubs-" + opts.command},
		Logger:           newTroubleLog(func(text string) { pub.progress.line(p.plain(text)) }),

		EnableIdempotentRetries: opts.idempotent,
		StopPartitionOnFailure:  opts.gapless,
	}
	pub.useJournal(options)
	width := terminalWidth(p.stderr)
	if pub.typed() {
		width = 0 // The bar would be drawn over what is typed.
	}
	pub.progress = newProgress(p.stderr, width, pub.look)
	err := pub.startMetrics(options)
	if err != nil {
		return pub, err
	}
	if pub.producer, err = to.newProducer(options); err != nil {
		return pub, opts.journalFault(err)
	}
	return pub, nil
}

// typed reports whether the input is typed at a terminal.
func (pub *publication) typed() bool {
	return slices.Contains(pub.options.files, "-") && isTerminal(pub.process.stdin)
}

// look returns the state of the publication. It runs on the progress's goroutine.
func (pub *publication) look() situation {
	stored, failed := pub.tally.counts()
	s := situation{at: time.Now(), stored: stored, failed: failed, buffered: pub.producer.Stats().BufferedEvents}
	if health := pub.producer.Health(); health.State > eventhubs.HealthReady {
		s.reason = health.State.String()
		if health.Err != nil {
			s.reason += ": " + printable(pub.process.message(health.Err))
		}
	}
	return s
}

// begin finds the input and connects to the hub. Then it checks the input against the hub's limits,
// and makes the file of --undelivered.
func (pub *publication) begin(ctx context.Context) (src *source, err error) {
	if src, err = openSource(ctx, pub.process.stdin, pub.options); err != nil {
		return nil, err
	}
	from, err := pub.goOn(src)
	if err != nil {
		return nil, err
	}
	pub.describeMetrics()
	if src.partitions, err = pub.connect(ctx); err != nil {
		return nil, err
	}
	stats := pub.producer.Stats()
	src.largest = largestEvent(stats)
	for _, note := range src.notes {
		pub.progress.line(note)
	}
	if err = pub.check(ctx, src); err != nil {
		return nil, err
	}
	if from != "" {
		pub.progress.line(from)
	}
	if stats.Journal != nil && !pub.options.noCheck && (pub.progress.total > 0 || src.readsTwice()) {
		pub.progress.total += stats.Journal.Recovered
	}
	if pub.undelivered, err = createUndelivered(pub.process, pub.options.undelivered); err != nil {
		return nil, err
	}
	if pub.typed() {
		fmt.Fprintln(pub.process.stderr, "Each line that you type is published; Ctrl-D ends the input.")
	}
	return src, nil
}

// check reads the input before the first event is sent, unless --no-check is given. On a terminal a
// bar shows how far it is.
func (pub *publication) check(ctx context.Context, src *source) (err error) {
	if pub.options.noCheck {
		return nil
	}
	stop := pub.progress.watch(src.checking)
	defer stop()
	pub.progress.total, err = src.check(ctx)
	return err
}

// connect asks for the hub's partitions, and opens the links. So a wrong hub or a missing right is
// known at once, instead of after all tries of the first batch. Of a hub that cannot be reached yet,
// the partitions are unknown.
func (pub *publication) connect(ctx context.Context) (partitions []string, err error) {
	timeout := lookTimeout
	if pub.options.journal != nil {
		timeout = offlineLook
	}
	properties, err := hubProperties(ctx, pub.producer, timeout)
	if err != nil {
		return nil, pub.offline(ctx, err)
	}
	pub.tally.expect(properties.PartitionIDs)
	if id := pub.options.partition; id != "" && !slices.Contains(properties.PartitionIDs, id) {
		return nil, noPartition(pub.producer.EventHubName(), id, properties.PartitionIDs)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = pub.producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true})
	if e, ok := errors.AsType[*eventhubs.Error](err); ok {
		switch e.Code {
		case eventhubs.CodeUnauthorized:
			return nil, fmt.Errorf("nothing may be sent to event hub %q: %w", pub.producer.EventHubName(), e)
		case eventhubs.CodeNotSupported:
			return nil, fmt.Errorf("the namespace does not offer idempotent publishing, as in the Basic tier: add --at-least-once; events may then be stored twice: %w", e)
		}
	}
	return properties.PartitionIDs, nil // The producer tries again after errors that may pass.
}

// largestEvent returns the limit for an event's body in bytes. The smallest open link and the
// producer's buffer decide, since an event may go to any partition. Without an open link it is the
// limit of most tiers.
func largestEvent(stats eventhubs.Stats) int {
	message := 0
	for _, partition := range stats.Partitions {
		if n := partition.MaxMessageSize; n > 0 && (message == 0 || n < message) {
			message = n
		}
	}
	return min(cmp.Or(message, standardMessageBytes), stats.MaxBufferedBytes) - envelopeBytes
}

// publish sends the events of src.
func (pub *publication) publish(ctx context.Context, src *source) error {
	feed := func(ctx context.Context) error { return pub.feed(ctx, src) }
	return pub.deliver(ctx, feed, func() string {
		if len(src.inputs) == 0 {
			return ""
		}
		return src.last.String()
	})
}

// deliver sends the events that feed enqueues. It returns when each has its outcome. If ctx ends
// first, it returns after the buffered events had their time to leave. The function last names the
// last event that was read; "" for no name.
func (pub *publication) deliver(ctx context.Context, feed func(context.Context) error, last func() string) error {
	pub.progress.start()
	begin := time.Now()
	err := feed(ctx)
	if err == nil && pub.isOffline {
		pub.progress.line(fmt.Sprintf("All of the input is in %s; the command waits for the hub. If it is interrupted, the events stay there", pub.options.journal.Directory))
	}
	flushErr := pub.producer.Flush(ctx)
	pub.elapsed = time.Since(begin)
	closeErr := pub.closeProducer(ctx)
	pub.progress.stop()
	if pub.refusal != nil {
		pub.undelivered.write(*pub.refusal)
	}
	var fileErr error
	if pub.left, fileErr = pub.undelivered.close(); fileErr != nil {
		fileErr = fmt.Errorf("--undelivered is not complete: %w", fileErr)
	}
	fileErr = errors.Join(fileErr, pub.resume.close())
	stored, failed := pub.tally.counts()
	var keptErr error
	if pub.kept = kept(closeErr); pub.kept > 0 {
		keptErr, closeErr, flushErr = errors.New(pub.keptText(pub.kept)), nil, nil
	}
	switch {
	case ctx.Err() != nil:
		text := "interrupted; " + pub.tally.told()
		if name := last(); name != "" {
			text += "; the last event that was read is " + name
		}
		return errors.Join(errors.New(text), keptErr, fileErr)
	case failed > 0: // Flush and Close report it too, with less detail.
		return errors.Join(err, fmt.Errorf("%d of %d events could not be published: %s", failed, stored+failed, pub.tally.told()), keptErr, fileErr)
	}
	return errors.Join(err, flushErr, closeErr, keptErr, fileErr)
}

// feed enqueues the events of src. It returns why it stopped before the end.
func (pub *publication) feed(ctx context.Context, src *source) error {
	pace := newPace(pub.options.rate)
	// Enqueue keeps no reference to the event or its body, so both are reused.
	line := &eventhubs.Event{ContentType: pub.options.contentType, PartitionID: pub.options.partition}
	var notes notebook
	var latest *entry
	var offered *eventhubs.Event // not accepted yet
	var stopped error            // of the input
	full := time.AfterFunc(fullAfter, pub.tellFull)
	full.Stop()
	err := pub.enqueueAll(ctx, func(yield func(*eventhubs.Event, error) bool) {
		for e, err := range src.entries() {
			if err == nil && pub.options.journal != nil {
				err = context.Cause(ctx) // a journal does not look at ctx while it has room
			}
			if stopped = err; err != nil {
				return
			}
			latest, offered = e, pub.event(e, line)
			if stopped = pace.wait(ctx); stopped != nil {
				return
			}
			if pub.options.journal != nil {
				full.Reset(fullAfter)
			}
			var part *stretch
			if pub.options.journal == nil {
				part = pub.note(e, offered, &notes).stretch
			}
			accepted := yield(offered, nil)
			if pub.options.journal != nil {
				full.Stop()
			}
			if !accepted {
				pub.resume.refused(0, part)
				return
			}
			if pub.resume != nil {
				pub.resume.accepted(0, part, *e.after)
			}
			if e.hadDelivery {
				pub.leftOut++
			}
			if pub.ledger != nil {
				pub.ledger.sent(pub.ledger.ordered(e.key, e.partition), e.body)
			}
			offered = nil
		}
	})
	if err = cmp.Or(stopped, err); err == nil || offered == nil {
		return err
	}
	pub.refused(latest, offered, err)
	return fmt.Errorf("reading stopped at %v: %w", latest.place, err)
}

// event makes the event of an entry. A line's event is in line, which is used again.
func (pub *publication) event(e *entry, line *eventhubs.Event) *eventhubs.Event {
	event := line
	if e.event != nil {
		event = e.event
		pub.options.complement(event)
		if event.PartitionID = pub.options.partition; pub.options.keep {
			sendTo(e.partition, event)
		}
	} else {
		event.Body = e.body
		e.set(event, pub.options.properties)
		if event.PartitionID == "" {
			event.PartitionKey = e.key
		}
	}
	if pub.options.journal != nil && e.after != nil {
		event.Checkpoint = e.after.append(nil)
	}
	return event
}

// sendTo sends an event to a partition. A key then chooses nothing, and travels as an annotation.
func sendTo(partition string, event *eventhubs.Event) {
	event.PartitionID = partition
	if event.PartitionKey == "" {
		return
	}
	if event.AMQP == nil {
		event.AMQP = &eventhubs.AMQPMessage{}
	}
	if event.AMQP.MessageAnnotations == nil {
		event.AMQP.MessageAnnotations = map[any]any{}
	}
	event.AMQP.MessageAnnotations[eventjson.KeyAnnotation] = event.PartitionKey
	event.PartitionKey = ""
}

// note gives an event the note of its entry.
func (pub *publication) note(e *entry, event *eventhubs.Event, from *notebook) *note {
	if e.event == nil && e.key == "" && pub.resume == nil {
		n := from.plain(len(e.body))
		event.Tag = n
		return n
	}
	n := from.next()
	n.bytes, n.record, n.stretch = len(e.body), e.event, pub.resume.offer(0)
	if e.key != "" {
		n.keyed, n.key = true, pub.tally.hash(e.key)
	}
	event.Tag = n
	return n
}

// refused notes the event that the producer did not accept, which ends the reading. The event goes
// into the file of --undelivered after all earlier ones. With a journal a later run reads the line
// of a file again.
func (pub *publication) refused(e *entry, event *eventhubs.Event, cause error) {
	if pub.options.journal != nil && e.after != nil {
		return
	}
	pub.tally.refused()
	pub.refusal = new(newUndeliveredRecord(event, eventhubs.NotStored, pub.process.message(cause)))
}

// batchSucceeded runs on the producer's senders.
func (pub *publication) batchSucceeded(_ context.Context, b *eventhubs.Batch) {
	pub.tally.succeeded(b)
	pub.outcome(b, true)
	b.Release()
}

// batchFailed runs on the producer's senders.
func (pub *publication) batchFailed(_ context.Context, b *eventhubs.Batch) {
	const shown = 5
	batches := pub.tally.failed(b)
	pub.outcome(b, pub.undelivered.batch(b))
	if batches > shown {
		return // The report has the number of all failed events.
	}
	pub.progress.line(fmt.Sprintf("A batch of %s failed: %s", counted(b.Count, "event", "events"), pub.process.message(b.Outcome.Err)))
}

// closeProducer closes the producer. Its buffered events may be sent for the time of --grace, even
// if ctx has ended.
func (pub *publication) closeProducer(ctx context.Context) error {
	over := fmt.Errorf("events were still buffered %v after the end (--grace)", pub.options.grace)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), pub.options.grace, over)
	defer cancel()
	return pub.producer.Close(ctx)
}

// leave closes the producer of a publication that did not begin. Closing loses no event: none was
// enqueued, and a journal keeps those of earlier runs.
func (pub *publication) leave(ctx context.Context) error {
	if pub.options.journal == nil {
		return pub.closeProducer(ctx)
	}
	ctx, cancel := closing(ctx)
	defer cancel()
	err := pub.producer.Abandon(ctx)
	if n := kept(err); n > 0 {
		return errors.New(pub.keptText(n))
	}
	return err
}
