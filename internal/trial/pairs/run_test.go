package pairs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A pairRun is the run of one row: a producer, and perhaps another one on the same connection.
type pairRun struct {
	*testing.T
	row     pairRow
	server  *emulator.Server
	p       *eventhubs.BufferedProducer
	sibling *pairRun // the other producer, with default options and without a row
	shared  *eventhubs.Connection
	hub     string
	count   atomic.Int64 // the moments of the ledger
	stop    context.CancelFunc
	over    context.Context // ends when the streams are to end
	resting atomic.Bool     // nothing is to happen
	calm    atomic.Bool     // the service has no faults any more
	second  atomic.Bool     // the second life has begun: handlers only note

	directory string                                      // of the journal
	former    *eventhubs.Stats                            // of the first life, after its Close; nil before
	produce   func() (*eventhubs.BufferedProducer, error) // makes a producer with the row's options

	mu     sync.Mutex // guards the fields below
	random *rand.Rand
	book   pairLedger
	ids    int
	ended  map[int]int // for each event, how many of its handler calls have ended
	budget int         // the cost that handlers may still spend
	grown  []int       // the numbers of partitions so far
	faults []string    // faults that the run itself has seen
}

func newPairRun(t *testing.T, row pairRow, seed uint64, k int, directory string) *pairRun {
	r := &pairRun{T: t, row: row, hub: "hub", directory: directory, random: rand.New(rand.NewPCG(seed, uint64(k)+1)), ended: map[int]int{}, budget: 60, grown: []int{get[int](row, "partitions")}}
	r.over, r.stop = context.WithCancel(t.Context())
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, MaxMessageSize: get[int](row, "link"), Logger: slog.New(slog.DiscardHandler),
		Hubs: []emulator.Hub{{Name: "hub", Partitions: r.grown[0]}, {Name: "other", Partitions: 3}},
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action { return r.fate(op) }})
	if err != nil {
		t.Fatal(err)
	}
	r.server = server
	o := r.options()
	reach := eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }}
	switch get[string](row, "connection") {
	case "shared":
		if r.shared, err = eventhubs.NewConnectionFromConnectionString(server.ConnectionString(""), &reach); err != nil {
			t.Fatal(err)
		}
		s := &pairRun{T: t, hub: "other", server: server, random: rand.New(rand.NewPCG(seed, uint64(k)+1_000_000)), ended: map[int]int{}, grown: []int{3}}
		s.book.rules = s.rules(true, false, 64<<20)
		s.book.rules.link, s.book.rules.faults = get[int](row, "link"), get[string](row, "faults") != "none"
		if s.p, err = r.shared.NewBufferedProducer("other", &eventhubs.Options{OnBatchSucceeded: s.note, OnBatchFailed: s.note, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		r.sibling = s
		r.produce = func() (*eventhubs.BufferedProducer, error) { return r.shared.NewBufferedProducer("hub", o) }
	case "websocket":
		o.Connection.NewWebSocketConn = func(ctx context.Context, _ string) (net.Conn, error) {
			return server.Dial(ctx)
		}
	default:
		o.Connection = reach
	}
	if r.produce == nil {
		r.produce = func() (*eventhubs.BufferedProducer, error) {
			return eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", o)
		}
	}
	if r.p, err = r.produce(); err != nil {
		t.Fatal(err)
	}
	return r
}

// chance is true in that many of a hundred cases.
func (r *pairRun) chance(percent int) bool { return r.below(100) < percent }

// below returns a random number below n. Any goroutine may call it.
func (r *pairRun) below(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

// upTo returns a random time below d.
func (r *pairRun) upTo(d time.Duration) time.Duration {
	return time.Duration(r.below(int(d/time.Millisecond))) * time.Millisecond
}

// saw notes a fault.
func (r *pairRun) saw(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// run enqueues, disturbs and closes, and fills the ledger.
func (r *pairRun) run() {
	if get[string](r.row, "stop") != "no" {
		r.book.rules.gapless = r.connect() && get[string](r.row, "stop") == "yes"
	}
	var others sync.WaitGroup
	if r.sibling != nil {
		others.Go(r.sibling.runSibling) // ends with its Close
	}
	disturbing, quiet := context.WithCancel(r.Context())
	others.Go(func() { r.disturb(disturbing) })
	others.Go(func() { r.grow(disturbing) })
	var streams sync.WaitGroup
	r.enqueueFrom(&streams, 200)
	end := get[string](r.row, "end")
	if strings.HasPrefix(end, "early") {
		time.Sleep(r.upTo(3 * time.Second))
	} else {
		streams.Wait()
		if get[bool](r.row, "idle") {
			r.resting.Store(true)
			time.Sleep(40 * time.Minute)
			r.resting.Store(false)
			r.enqueueFrom(&streams, 30)
			streams.Wait()
		}
	}
	switch end {
	case "impatient", "early and impatient":
		r.close("Close", r.upTo(2*time.Second))
	case "Abandon":
		r.close("Abandon", 30*time.Second)
	default:
		r.close("Close", time.Hour)
	}
	r.stop()
	streams.Wait()
	quiet()
	others.Wait()
	r.afterClose()
	time.Sleep(10 * time.Minute) // for handlers that hang
	if r.book.rules.journal {
		r.liveAgain()
	}
	r.collect()
	if r.shared != nil {
		if err := r.shared.Close(r.Context()); err != nil {
			r.saw("the shared connection's Close returned %v", err)
		}
	}
	if err := r.server.Close(); err != nil {
		r.saw("the server's Close returned %v", err)
	}
}

// liveAgain is another life of the program, with the same journal. It enqueues nothing, and the
// service has no faults any more: so it ends when the journal is empty.
func (r *pairRun) liveAgain() {
	s, left := r.p.Stats(), 0
	r.former = &s
	for _, w := range r.book.waits {
		if u, ok := errors.AsType[*eventhubs.UndeliveredError](w.err); ok && (w.call == "Close" || w.call == "Abandon") {
			left = u.Kept
		}
	}
	if s.Journal.Events != left && !r.book.rules.hangs || s.Journal.Err != nil {
		r.saw("Close has kept %d events, and the journal has %d: %v", left, s.Journal.Events, s.Journal.Err)
	}
	r.calm.Store(true)
	r.second.Store(true)
	p, err := r.produce()
	if err != nil {
		r.saw("the second life: %v", err)
		return
	}
	r.p = p
	if n := p.Journal().Recovered; n != left {
		r.saw("the second life recovers %d events of %d", n, left)
	}
	r.book.kept = left
	r.wait("Close", "", p.Close, time.Hour)
	if n := p.Journal().Events; n != 0 {
		r.saw("the second life leaves %d events in the journal", n)
	}
}

// enqueueFrom has the row's goroutines enqueue that many events.
func (r *pairRun) enqueueFrom(streams *sync.WaitGroup, events int) {
	n := get[int](r.row, "goroutines")
	for i := range n {
		streams.Go(func() { // ends with its events, or when the streams are to end
			for range events/n + 1 {
				if r.one(i); r.over.Err() != nil {
					return
				}
			}
		})
	}
}

// runSibling is the whole life of the other producer.
func (r *pairRun) runSibling() {
	for i := range 30 {
		o := r.offer(storedEvent{key: fmt.Sprint("k", i%3)}, "Enqueue", 50, time.Time{})
		r.enqueue(r.Context(), o, func() error { return r.p.Enqueue(r.Context(), world.With(o.data(), o.options())) })
		time.Sleep(r.upTo(200 * time.Millisecond))
		if i == 15 {
			r.wait("Flush", "", r.p.Flush, time.Hour)
		}
	}
	r.close("Close", time.Hour)
	r.collect()
}

// connect gets the list of partitions. It reports whether it could.
func (r *pairRun) connect() bool {
	for range 20 {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		err := r.p.Connect(ctx, nil)
		cancel()
		if err == nil {
			return true
		}
		time.Sleep(time.Second)
	}
	return false
}

// offer returns a new event.
func (r *pairRun) offer(e storedEvent, call string, size int, expires time.Time) *pairOffer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	e.id, e.note, e.contentType = r.ids, fmt.Sprint("note ", r.ids), "type"
	e.body = fmt.Sprintf("%d ", e.id) + strings.Repeat(string(rune('a'+e.id%26)), size)
	o := &pairOffer{id: e.id, call: call, event: e, size: len(e.body) + len(e.key), expires: expires}
	if d := "all"; r.row != nil {
		if d = get[string](r.row, "deliveries"); d == "all" || d == "some" && r.random.IntN(2) == 0 || call == "Publish" {
			o.delivery = new(eventhubs.Delivery)
		}
	}
	return o
}

func (o *pairOffer) properties() map[string]any {
	return map[string]any{"id": int64(o.id), "note": o.event.note}
}

func (o *pairOffer) data() *eventhubs.Event {
	return &eventhubs.Event{Body: []byte(o.event.body), ContentType: o.event.contentType, Properties: o.properties()}
}

// message has the body's bytes in two data sections.
func (o *pairOffer) message() *eventhubs.Event {
	body := []byte(o.event.body)
	return &eventhubs.Event{Properties: o.properties(), ContentType: o.event.contentType, AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{body[:1], body[1:]}}}}
}

func (o *pairOffer) options() *eventhubs.Event {
	return &eventhubs.Event{PartitionID: o.event.partition, PartitionKey: o.event.key, ExpiresAt: o.expires, Delivery: o.delivery, Tag: o.id}
}

// enter notes that calls begin to enqueue offers.
func (r *pairRun) enter(offers ...*pairOffer) {
	began := r.count.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range offers {
		o.began = began
		r.book.offers = append(r.book.offers, o)
	}
}

// leave notes that an offer has been enqueued or refused.
func (r *pairRun) leave(ctx context.Context, o *pairOffer, err error) {
	ended := r.count.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	o.ended, o.at, o.err, o.context = ended, time.Now(), err, ctx.Err()
	o.accepted = err == nil || o.call == "Publish" && (errors.Is(err, eventhubs.ErrPending) || errors.Is(err, eventhubs.ErrKept) || o.delivery.Outcome().Storage != 0)
}

// enqueue calls the producer for one offer.
func (r *pairRun) enqueue(ctx context.Context, o *pairOffer, call func() error) {
	r.enter(o)
	r.leave(ctx, o, call())
}

// one enqueues one event, or a small set, in the row's way.
func (r *pairRun) one(stream int) {
	if r.chance(30) {
		time.Sleep(r.upTo(300 * time.Millisecond))
	}
	call := get[string](r.row, "call")
	if call == "mixed" {
		call = []string{"Enqueue", "TryEnqueue", "Publish", "EnqueueAll", "message"}[r.below(5)]
	}
	ctx, cancel := r.Context(), func() {}
	switch r.below(4) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, r.upTo(2*time.Second))
	case 1, 2:
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
	}
	defer cancel()
	if call == "EnqueueAll" {
		r.set(ctx, stream)
	} else {
		o := r.offer(r.route(stream), call, r.size(), r.expires())
		r.enqueue(ctx, o, func() error {
			switch call {
			case "TryEnqueue":
				return r.p.TryEnqueue(ctx, world.With(o.data(), o.options()))
			case "Publish":
				return world.OutcomeErr(r.p.Publish(ctx, world.With(o.data(), o.options())))
			case "EnqueueMessage":
				return r.p.Enqueue(ctx, world.With(o.message(), o.options()))
			default:
				return r.p.Enqueue(ctx, world.With(o.data(), o.options()))
			}
		})
	}
	r.bounds()
}

// bounds checks that the buffer holds no more than it may. Events that handlers enqueue may exceed
// the bounds.
func (r *pairRun) bounds() {
	if h := get[string](r.row, "handler"); h == "again" || h == "enqueues" || h == "looks" {
		return
	}
	s := r.p.Stats()
	if s.Journal != nil {
		s.BufferedEvents = 0 // the disk has them
	}
	if s.BufferedEvents > s.MaxBufferedEvents || s.BufferedBytes > s.MaxBufferedBytes || s.BufferedEvents < 0 || s.BufferedBytes < 0 {
		r.saw("the buffer holds %d events and %d bytes", s.BufferedEvents, s.BufferedBytes)
	}
}

// set enqueues up to four events with the same options.
func (r *pairRun) set(ctx context.Context, stream int) {
	route, expires := r.route(stream), r.expires()
	var set []*pairOffer
	for range 1 + r.below(4) {
		set = append(set, r.offer(route, "EnqueueAll", r.size(), expires))
	}
	r.enter(set...)
	accepted, err := r.p.EnqueueAll(ctx, datas(set))
	if (err == nil) != (accepted == len(set)) {
		r.saw("EnqueueAll of %d events accepted %d and returned %v", len(set), accepted, err)
	}
	for i, o := range set {
		switch {
		case i < accepted:
			r.leave(ctx, o, nil)
		case i == accepted:
			r.leave(ctx, o, err)
		default:
			r.leave(ctx, o, errNotReached)
		}
	}
}

func datas(set []*pairOffer) iter.Seq2[*eventhubs.Event, error] {
	return func(yield func(*eventhubs.Event, error) bool) {
		for _, o := range set {
			if !yield(world.With(o.data(), o.options()), nil) {
				return
			}
		}
	}
}

func (r *pairRun) route(stream int) storedEvent {
	n := get[int](r.row, "partitions")
	id := storedEvent{partition: fmt.Sprint(stream % n)}
	key := storedEvent{key: fmt.Sprintf("key %d", stream)}
	switch get[string](r.row, "route") {
	case "id":
		return id
	case "key", "own hash":
		return key
	case "none":
		return storedEvent{}
	}
	if r.chance(1) {
		return storedEvent{partition: "nowhere"}
	}
	return []storedEvent{id, key, {}, {partition: fmt.Sprint(r.below(n))}}[r.below(4)]
}

func (r *pairRun) size() int {
	switch size := get[string](r.row, "size"); {
	case size == "large" && r.chance(2):
		return 100_000 + r.below(100_000)
	case size == "large", size == "mixed" && r.chance(20):
		return r.below(6000)
	}
	return r.below(100)
}

func (r *pairRun) expires() time.Time {
	switch e := get[string](r.row, "expires"); {
	case e == "all", e == "some" && r.chance(30):
		return time.Now().Add(time.Millisecond + r.upTo(2*time.Second))
	}
	return time.Time{}
}

// close ends the producer.
func (r *pairRun) close(call string, patience time.Duration) {
	r.mu.Lock()
	r.book.closed = r.count.Add(1)
	r.mu.Unlock()
	f := r.p.Close
	if call == "Abandon" {
		f = r.p.Abandon
	}
	r.wait(call, "", f, patience)
}

// wait makes a call that waits for outcomes, and notes the events that it should have waited for.
func (r *pairRun) wait(call, partition string, f func(context.Context) error, patience time.Duration) {
	w := pairWait{call: call, partition: partition, most: patience + 20*time.Second}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	r.mu.Lock()
	w.began = r.count.Add(1)
	r.mu.Unlock()
	w.at = time.Now()
	w.err = f(ctx)
	w.took, w.ended = time.Since(w.at), r.count.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.book.offers {
		told := r.ended[o.id] > 0
		if !r.book.rules.handlers {
			told = o.delivery == nil || o.delivery.Outcome().Storage != 0 || r.second.Load()
		}
		if o.ended != 0 && o.ended < w.began && o.accepted && o.again == 0 && !told && (partition == "" || o.event.partition == partition) {
			w.missing = append(w.missing, o.id)
		}
	}
	r.book.waits = append(r.book.waits, w)
}

// afterClose checks that a closed producer reports that it is closed.
func (r *pairRun) afterClose() {
	ctx := r.Context()
	for call, err := range map[string]error{
		"Enqueue": r.p.Enqueue(ctx, world.Event("x")), "TryEnqueue": r.p.TryEnqueue(ctx, world.Event("x")), "Publish": world.OutcomeErr(r.p.Publish(ctx, world.Event("x"))),
		"Flush": r.p.Flush(ctx), "FlushPartition": r.p.FlushPartition(ctx, "0"), "Connect": r.p.Connect(ctx, nil), "ResumePartition": r.p.ResumePartition("0"),
	} {
		if !errors.Is(err, eventhubs.ErrClosed) {
			r.saw("after Close %s returned %v", call, err)
		}
	}
	r.mu.Lock()
	first := r.book.waits[len(r.book.waits)-1].err
	for _, w := range r.book.waits {
		if w.call == "Close" || w.call == "Abandon" {
			first = w.err
		}
	}
	r.mu.Unlock()
	if again := r.p.Close(ctx); again != first {
		r.saw("a second Close returned %v, the first %v", again, first)
	}
}

// collect fills in the ledger at the end.
func (r *pairRun) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.book.offers {
		if o.delivery != nil {
			o.outcome = o.delivery.Outcome()
			o.accepted = o.accepted || o.call == "Publish" && (o.outcome.Storage != 0 || errors.Is(o.outcome.Err, eventhubs.ErrKept))
		}
	}
	s := r.p.Stats()
	if f := r.former; f != nil {
		s.StoredEvents += f.StoredEvents
		s.NotStoredEvents += f.NotStoredEvents
		s.PossiblyStoredEvents += f.PossiblyStoredEvents
	}
	r.book.left = [3]int{s.BufferedEvents, s.BufferedBytes, s.WaitingCallers}
	r.book.statsStored, r.book.statsFailed, r.book.statsPossibly = s.StoredEvents, s.NotStoredEvents, s.PossiblyStoredEvents
	for _, p := range s.Partitions {
		if p.BufferedEvents != 0 || p.BufferedBytes != 0 || p.BatchesInFlight != 0 {
			r.faults = append(r.faults, fmt.Sprintf("partition %s has %d events, %d bytes and %d batches left", p.ID, p.BufferedEvents, p.BufferedBytes, p.BatchesInFlight))
		}
	}
	for _, id := range r.server.PartitionIDs(r.hub) {
		for e := range r.server.Events(r.hub, id) {
			n, _ := e.Properties["id"].(int64)
			note, _ := e.Properties["note"].(string)
			r.book.stored = append(r.book.stored, storedEvent{partition: id, key: e.PartitionKey, id: int(n), body: string(e.Body), contentType: e.ContentType, note: note})
		}
	}
}

// judge returns the faults of the run.
func (r *pairRun) judge() []string {
	faults := append(judgeLedger(&r.book), r.faults...)
	if r.sibling != nil {
		for _, fault := range r.sibling.judge() {
			faults = append(faults, "the other producer on the connection: "+fault)
		}
	}
	return faults
}
