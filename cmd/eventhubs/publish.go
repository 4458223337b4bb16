package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
)

const publishHelp = `Publishes each line of a file, or of standard input, as one event: the line's bytes without its end.

Usage:
  eventhubs publish [options] FILE
  eventhubs publish [options] -

Options:
  --key PATH                each line is a JSON object; the string, number or boolean at this dotted
                            path in it is the event's partition key. Without it, events go to the
                            partitions in turn and lines may be any text
  --hub NAME                event hub (default: the connection string's EntityPath, else events)
  --connection-string CS    namespace to publish to; better given in EVENTHUBS_CONNECTION_STRING,
                            since other users of a machine can see command lines
  --tls-ca FILE             certificates (PEM) of authorities to trust besides the system's, for a
                            namespace over TLS: that of "eventhubs emulator --tls"
  --skip-bad                leave bad lines out and count them, instead of stopping at the first
  --output text|json        what to print in the end (default text). json: one object on standard
                            output with hub, events, batches, bytes (of the lines), seconds,
                            verified and partitions; all else goes to standard error
  --partitions N            partitions of the embedded emulator's hub (default 8)

Without a connection string, an emulator inside this command stands for the namespace; then
everything is read back with the official SDK and compared: each event once, byte for byte, in the
input's order within its key. From a real namespace nothing is read back.

A bad line is one that is longer than 1045504 bytes or not UTF-8 and, with --key, one that is not a
JSON object or whose field is missing, empty, longer than 128 characters, null, an object or an array.
Empty lines are no events. A file is checked whole before its first event is sent; from standard
input, the events before a bad line are published.

Exit status: 0 all published (and verified); 1 events failed, or what was read back differs, or
interrupted; 2 wrong command line or input, or no such hub.

Examples:
  eventhubs publish --key properties.net examples/data/earthquakes.ndjson
  tail -f app.log | eventhubs publish -
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs publish --hub orders --key id orders.ndjson
`

const (
	defaultPartitions = 8

	// closeTimeout bounds how long closing may take, and so the sending of what is still buffered after an interrupt.
	closeTimeout = 10 * time.Second
)

func runPublish(ctx context.Context, p *process, args []string) error {
	opts, err := parsePublish(p, args)
	if err != nil {
		return err
	}
	to, err := openTarget(opts)
	if err != nil {
		return err
	}
	defer to.close()
	pub, err := newPublication(p, to)
	if err != nil {
		return err // What is wrong with the command line is told before a file is read, which may take its time.
	}
	src, err := pub.begin(ctx, opts)
	if err != nil {
		return errors.Join(err, closeProducer(ctx, pub.producer)) // Nothing was enqueued that closing could lose.
	}
	defer src.close()
	err = pub.publish(ctx, src)
	if to.embedded() && ctx.Err() == nil {
		err = errors.Join(err, pub.verify(ctx))
	}
	if src.skipped > 0 {
		fmt.Fprintf(p.stderr, "%d bad lines were left out; the first: %s\n", src.skipped, p.message(src.firstSkipped))
	}
	write := newReport(pub, src.skipped).writeText
	if opts.json {
		write = newReport(pub, src.skipped).writeJSON
	}
	return errors.Join(err, write(p.stdout))
}

// A publication is one run of publish.
type publication struct {
	// Immutable after newPublication; tally and progress guard themselves.
	process  *process
	target   *target
	tally    *tally
	progress *progress
	producer *eventhubs.BufferedProducer

	// Owned by runPublish's goroutine.
	ledger   *ledger       // nil unless what was sent will be read back
	elapsed  time.Duration // from the first event to the last outcome
	verified bool
}

// newPublication makes the producer, without reaching for the network.
func newPublication(p *process, to *target) (*publication, error) {
	pub := &publication{process: p, target: to, tally: newTally()}
	pub.progress = newProgress(p.stderr, pub.tally)
	if to.embedded() {
		pub.ledger = newLedger()
	}
	var err error
	pub.producer, err = to.newProducer(&eventhubs.Options{
		OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { pub.tally.succeeded(b) },
		OnBatchFailed:    pub.batchFailed,
		Connection:       eventhubs.ConnectionOptions{ApplicationID: "eventhubs-publish"},
	})
	return pub, err
}

// begin opens and checks the input, and reaches for the hub.
func (pub *publication) begin(ctx context.Context, opts *publishOptions) (*source, error) {
	src, err := openSource(ctx, pub.process.stdin, opts)
	if err != nil {
		return nil, err
	}
	if pub.progress.total, err = src.check(ctx); err == nil {
		err = pub.connect(ctx)
	}
	if err != nil {
		src.close()
		return nil, err
	}
	return src, nil
}

// connect asks for the hub's properties, so that a hub that does not exist is known at once and not when the first
// batch has been retried in vain.
func (pub *publication) connect(ctx context.Context) error {
	properties, err := hubProperties(ctx, pub.producer)
	if err != nil {
		return err
	}
	pub.tally.expect(properties.PartitionIDs)
	return nil
}

// publish sends what src has and returns when all of it has its outcome, or when ctx has ended and
// what was buffered had its chance to leave.
func (pub *publication) publish(ctx context.Context, src *source) error {
	pub.progress.start()
	begin := time.Now()
	err := pub.feed(ctx, src)
	flushErr := pub.producer.Flush(ctx)
	pub.elapsed = time.Since(begin)
	closeErr := closeProducer(ctx, pub.producer)
	pub.progress.stop()
	_, failed := pub.tally.counts()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; what is reported is what was published before")
	case failed > 0: // Flush and Close say so too, less well.
		return errors.Join(err, fmt.Errorf("%d events could not be published", failed))
	}
	return errors.Join(err, flushErr, closeErr)
}

func (pub *publication) feed(ctx context.Context, src *source) error {
	var event azeventhubs.EventData
	var options eventhubs.EnqueueOptions
	for l, err := range src.lines() {
		if err != nil {
			return err
		}
		// Enqueue keeps nothing of what it is given, so one event and the line's own memory do.
		event.Body, options.PartitionKey = l.body, l.key
		if err := pub.producer.Enqueue(ctx, &event, &options); err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		if pub.ledger != nil {
			pub.ledger.sent(l)
		}
	}
	return nil
}

// batchFailed runs on the producer's senders.
func (pub *publication) batchFailed(_ context.Context, b *eventhubs.Batch) {
	const shown = 5
	batches := pub.tally.failed(b)
	if batches > shown {
		return // The number of events that failed is told in the end.
	}
	pub.progress.line(fmt.Sprintf("A batch of %d events failed: %s", b.Count, pub.process.message(b.Outcome.Err)))
}

// closeProducer closes a producer. What it still has may be sent until closeTimeout, even if ctx
// has ended.
func closeProducer(ctx context.Context, producer *eventhubs.BufferedProducer) error {
	ctx, cancel := closing(ctx)
	defer cancel()
	return producer.Close(ctx)
}
