package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/azevents"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

const (
	defaultPartitions = 8

	// closeTimeout bounds how long closing may take; for publish, unless --grace says otherwise.
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
		return err // What is wrong with the command line is told before a file is read, which may take its time.
	}
	src, err := pub.begin(ctx)
	if err != nil {
		return errors.Join(err, pub.closeProducer(ctx)) // Nothing was enqueued that closing could lose.
	}
	err = pub.publish(ctx, src)
	if to.embedded() && ctx.Err() == nil {
		err = errors.Join(err, pub.verify(ctx))
	}
	if src.skipped > 0 {
		fmt.Fprintf(p.stderr, "Left out: %s; the first: %s\n", opts.format.bad(src.skipped), p.message(src.firstSkipped))
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
	// Immutable after begin; tally, progress and undelivered guard themselves.
	process     *process
	options     *publishOptions
	target      *target
	tally       *tally
	progress    *progress
	undelivered *undelivered // nil without --undelivered
	producer    *eventhubs.BufferedProducer
	metrics     *metricsserver.Server // nil without --metrics

	// Owned by runPublish's goroutine.
	ledger   *ledger       // nil unless what was sent will be read back
	elapsed  time.Duration // from the first event to the last outcome
	verified bool
	refusal  *undeliveredRecord // the event that was not accepted; nil if all that were read were
	left     int                // events in the file of --undelivered
}

// newPublication makes the producer, without reaching for the network. The publication is there with an error, too, for its metrics to be closed.
func newPublication(p *process, to *target, opts *publishOptions) (*publication, error) {
	pub := &publication{process: p, options: opts, target: to, tally: newTally()}
	if to.embedded() {
		pub.ledger = newLedger()
	}
	options := &eventhubs.Options{
		OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { pub.tally.succeeded(b) },
		OnBatchFailed:    pub.batchFailed,
		Connection:       eventhubs.ConnectionOptions{ApplicationID: "eventhubs-publish"},
		Logger:           slog.New(&troubleLog{func(text string) { pub.progress.line(p.redact(text)) }}),
	}
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
		return pub, err
	}
	return pub, nil
}

// typed tells whether the input is what somebody types.
func (pub *publication) typed() bool {
	return slices.Contains(pub.options.files, "-") && isTerminal(pub.process.stdin)
}

// look is how far the publication is. It runs on the progress's goroutine.
func (pub *publication) look() situation {
	stored, failed := pub.tally.counts()
	return situation{at: time.Now(), stored: stored, failed: failed, buffered: pub.producer.Stats().BufferedEvents}
}

// begin looks for the input, reaches for the hub, checks the input against what that takes, and makes the file of --undelivered.
func (pub *publication) begin(ctx context.Context) (src *source, err error) {
	if src, err = openSource(ctx, pub.process.stdin, pub.options); err != nil {
		return nil, err
	}
	pub.describeMetrics()
	if err = pub.connect(ctx); err != nil {
		return nil, err
	}
	src.largest = largestEvent(pub.producer.Stats())
	if pub.progress.total, err = src.check(ctx); err != nil {
		return nil, err
	}
	if pub.undelivered, err = createUndelivered(pub.process, pub.options.undelivered); err != nil {
		return nil, err
	}
	if pub.typed() {
		fmt.Fprintln(pub.process.stderr, "Each line that is typed is published; Ctrl-D ends them.")
	}
	return src, nil
}

// connect asks for the hub's properties and opens the links, so that a hub that does not exist, or that nothing may be sent to, is known at once and not
// when the first batch has been retried in vain.
func (pub *publication) connect(ctx context.Context) error {
	properties, err := hubProperties(ctx, pub.producer)
	if err != nil {
		return err
	}
	pub.tally.expect(properties.PartitionIDs)
	if id := pub.options.partition; id != "" && !slices.Contains(properties.PartitionIDs, id) {
		return noPartition(pub.producer.EventHubName(), id, properties.PartitionIDs)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	err = pub.producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true})
	if e, ok := errors.AsType[*eventhubs.Error](err); ok && e.Code == eventhubs.CodeUnauthorized {
		return fmt.Errorf("nothing may be sent to event hub %q: %w", pub.producer.EventHubName(), e)
	}
	return nil // What may pass by itself is tried again for each batch.
}

// largestEvent is how many bytes an event's body may have: what the links take that are open, all of them since an event may go to any, and what the
// producer's buffer holds. If none is open yet, it is what most tiers take.
func largestEvent(stats eventhubs.Stats) int {
	message := 0
	for _, partition := range stats.Partitions {
		if n := partition.MaxMessageSize; n > 0 && (message == 0 || n < message) {
			message = n
		}
	}
	return min(cmp.Or(message, standardMessageBytes), stats.MaxBufferedBytes) - envelopeBytes
}

// publish sends what src has and returns when all of it has its outcome, or when ctx has ended and
// what was buffered had its chance to leave.
func (pub *publication) publish(ctx context.Context, src *source) error {
	pub.progress.start()
	begin := time.Now()
	err := pub.feed(ctx, src)
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
	stored, failed := pub.tally.counts()
	switch {
	case ctx.Err() != nil:
		return errors.Join(fmt.Errorf("interrupted; %s; the last event that was read is %s", pub.tally.told(), src.last), fileErr)
	case failed > 0: // Flush and Close say so too, less well.
		return errors.Join(err, fmt.Errorf("%d of %d events could not be published: %s", failed, stored+failed, pub.tally.told()), fileErr)
	}
	return errors.Join(err, flushErr, closeErr, fileErr)
}

func (pub *publication) feed(ctx context.Context, src *source) error {
	pace := newPace(pub.options.rate)
	// Enqueue keeps nothing of what it is given, so one event and the line's own memory do.
	line := &eventhubs.Event{Properties: pub.options.properties, ContentType: pub.options.contentType, PartitionID: pub.options.partition}
	for e, err := range src.entries() {
		if err != nil {
			return err
		}
		event := line
		if e.message != nil {
			pub.options.complement(e.message)
			event = azevents.FromMessage(e.message)
			event.PartitionID = pub.options.partition
			event.Tag = e.message // Batch.Events does not tell all types as they were
		} else {
			event.Body = e.body
			if event.PartitionID == "" {
				event.PartitionKey = e.key
			}
		}
		err := pace.wait(ctx)
		if err == nil {
			err = pub.producer.Enqueue(ctx, event)
		}
		if err != nil {
			if e.message == nil {
				e.message = messageOf(event)
			}
			pub.refused(e, err)
			return fmt.Errorf("reading stopped at %v: %w", e.place, err)
		}
		if pub.ledger != nil {
			pub.ledger.sent(event.PartitionKey, e.body)
		}
	}
	return nil
}

// refused notes an event that the producer has not accepted, which ends the reading. It goes into the file of --undelivered when all those before it have.
func (pub *publication) refused(e entry, cause error) {
	pub.tally.refused()
	pub.refusal = new(newUndeliveredRecord(e.message, e.key, eventhubs.NotStored, pub.process.message(cause)))
}

// batchFailed runs on the producer's senders.
func (pub *publication) batchFailed(_ context.Context, b *eventhubs.Batch) {
	const shown = 5
	batches := pub.tally.failed(b)
	pub.undelivered.batch(b)
	if batches > shown {
		return // The number of events that failed is told in the end.
	}
	pub.progress.line(fmt.Sprintf("A batch of %s failed: %s", counted(b.Count, "event", "events"), pub.process.message(b.Outcome.Err)))
}

// closeProducer closes the producer. What it still has may be sent for as long as --grace says, even if ctx has ended.
func (pub *publication) closeProducer(ctx context.Context) error {
	over := fmt.Errorf("it was not through %v after the end (--grace)", pub.options.grace)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), pub.options.grace, over)
	defer cancel()
	return pub.producer.Close(ctx)
}
