package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A wireFault is a row of the table in docs/wire.md, with the code that makes it happen.
type wireFault struct {
	name    string // the name of the subtest
	what    string // what goes wrong
	service string // what the service does, as far as a client can tell
	we      string // what the producer does

	options eventhubs.Options // options that matter
	setup   func(r *rig)      // before the producer is made; nil: its key, without TLS
	quiet   bool              // there is no stream: strike alone enqueues
	// strike brings the fault about, and returns when it is over, so that an event could be stored.
	strike func(r *rig)

	// These are the expected results. The time runs from the return of strike until the victim's
	// next event is stored.
	least, most time.Duration
	states      string         // as logged
	code        eventhubs.Code // of the victim's last error, and its condition
	condition   string
	all         bool // every partition waits
	repeats     bool // some events may be stored twice, unless with EnableIdempotentRetries
	failed      int  // that many events are reported as failed
	dials       int  // in all; 0: not checked
	quietToo    bool // the try ends after a wait of 10 s, so that the state silent may show before
}

// run makes the row happen, in virtual time.
func (f *wireFault) run(t *testing.T, idempotent bool) {
	synctest.Test(t, func(t *testing.T) {
		options := f.options
		options.EnableIdempotentRetries = idempotent
		r := newRig(t, options)
		if f.setup != nil {
			f.setup(r)
		}
		r.open()
		if !f.quiet {
			r.stream()
			time.Sleep(time.Second) // every link is open
		}
		struck := time.Now()
		f.strike(r)
		over := time.Now()
		stored := r.storedAfter(victim, over, f.most+10*time.Second)
		took := stored.Sub(over)
		t.Logf("the next event was stored after %v", took)
		if stored.IsZero() || took < f.least || took > f.most {
			t.Errorf("the next event was stored after %v, want %v to %v", took, f.least, f.most)
		}
		r.wellAgain(2*f.most + time.Minute) // others may have longer pauses
		time.Sleep(time.Second)
		f.check(r, struck)
		r.judge(f.repeats && !idempotent, f.failed)
	})
}

// check compares what the producer reports with the row.
func (f *wireFault) check(r *rig, struck time.Time) {
	r.Helper()
	h := r.p.Health()
	got := r.log.line()
	if f.quietToo {
		got = strings.Replace(got, "silent ", "", 1)
	}
	if got != f.states || h.State != eventhubs.HealthReady {
		r.Errorf("the log says %q and Health %v, want %q", got, h.State, f.states)
	}
	if last := r.trouble.err(); f.code == "" {
		if last != nil || h.LastErr != nil {
			r.Errorf("the last errors are %v and %v, want none", last, h.LastErr)
		}
	} else if e, ok := errors.AsType[*eventhubs.Error](last); !ok || e.Code != f.code || e.Condition != f.condition || (e.TrackingID == "") != (f.condition == "") {
		r.Errorf("the last error is %v, want %q, %q: %#v", last, f.code, f.condition, e)
	}
	if got := len(r.network.Dialled()); f.dials != 0 && got != f.dials {
		r.Errorf("%d connections were dialled, want %d", got, f.dials)
	}
	if f.all || f.quiet {
		return
	}
	for _, id := range wirePartitions {
		if gap := r.longestGap(id, struck); id != victim && gap > 2*pace {
			r.Errorf("partition %s, which it does not concern, waited for %v", id, gap)
		}
	}
}

// longestGap returns the longest time between two consecutive stored events since then.
func (r *rig) longestGap(partition string, since time.Time) (longest time.Duration) {
	for e := range r.server.Events("hub", partition) {
		if e.EnqueuedTime.After(since) {
			longest = max(longest, e.EnqueuedTime.Sub(since))
			since = e.EnqueuedTime
		}
	}
	return longest
}

// A wireChapter is a part of the table, with the test that makes its rows happen.
type wireChapter struct {
	title, test string
	faults      []wireFault
}

var wireChapters = []wireChapter{
	{"Silence", "TestWhatWasSilentGoesOnAtOnce", silences},
	{"Links and connections that break", "TestWhatBreaksIsOpenedAgain", losses},
	{"Batches that are not taken", "TestWhatIsNotTakenIsSentAgain", outcomes},
	{"Links that are refused", "TestWhatIsRefusedIsAskedAgain", refusals},
	{"Tokens", "TestTokensThatFailLoseNothing", authorizations},
	{"Names and places", "TestAServiceThatIsAwayIsFoundAgain", places},
}

func TestWhatWasSilentGoesOnAtOnce(t *testing.T)      { runChapter(t) }
func TestWhatBreaksIsOpenedAgain(t *testing.T)        { runChapter(t) }
func TestWhatIsNotTakenIsSentAgain(t *testing.T)      { runChapter(t) }
func TestWhatIsRefusedIsAskedAgain(t *testing.T)      { runChapter(t) }
func TestTokensThatFailLoseNothing(t *testing.T)      { runChapter(t) }
func TestAServiceThatIsAwayIsFoundAgain(t *testing.T) { runChapter(t) }

func runChapter(t *testing.T) {
	i := slices.IndexFunc(wireChapters, func(c wireChapter) bool { return c.test == t.Name() })
	if i < 0 {
		t.Fatal("no chapter of the table is this test's")
	}
	for _, f := range wireChapters[i].faults {
		t.Run(f.name, func(t *testing.T) {
			t.Run("at least once", func(t *testing.T) { f.run(t, false) })
			t.Run("idempotent", func(t *testing.T) { f.run(t, true) })
		})
	}
}

const (
	// relink is the time to replace a link that the service has just ended. The news takes half a
	// trip, begin and attach one, and the batch half.
	relink = 2 * world.Trip
	// reconnect is the time to replace a connection that has just broken. The news takes half a
	// trip and the batch half. Each of these takes one trip: TCP, SASL, open and begin, both links
	// of $cbs, put-token, begin and attach.
	reconnect = 7 * world.Trip

	uponReady = "ready unreachable ready"
)

// silences are the service's actions against clients that send nothing for long.
var silences = []wireFault{
	{
		name: "idle-link", what: "a link is idle for 30 minutes", service: "detaches it, `amqp:link:detach-forced`", we: "attach another within the same try",
		quiet: true, strike: func(r *rig) { afterSilence(r, 31*time.Minute) },
		least: relink - world.OneWay, most: relink - world.OneWay, states: "ready", dials: 1,
	},
	{
		name: "idle-connection", what: "every link is idle for 30 minutes, and 5 more", service: "detaches them, then closes the connection, `amqp:connection:forced`",
		we: "connect for the next event, within its first try", quiet: true, strike: afterSilenceOfAll(36 * time.Minute),
		least: reconnect - world.OneWay, most: reconnect - world.OneWay, states: "ready", dials: 3,
	},
	{
		name: "two-hours-of-silence", what: "nothing is sent for 2 hours, and the token expires", service: "the same", we: "the same, with a new token: one connection, without a pause",
		quiet: true, strike: afterSilenceOfAll(2*time.Hour + time.Minute),
		least: reconnect - world.OneWay, most: reconnect - world.OneWay, states: "ready", dials: 3,
	},
}

// afterSilence enqueues an event for each partition, then nothing for that long, then one for the
// victim.
func afterSilence(r *rig, d time.Duration) {
	for _, id := range wirePartitions {
		r.enqueue(id, id+"-before")
	}
	time.Sleep(d)
	r.enqueue(victim, victim+"-after")
}

// afterSilenceOfAll is afterSilence on a connection that has never asked for the list of
// partitions. To the emulator, the link of an answered question stays active for ever.
func afterSilenceOfAll(d time.Duration) func(r *rig) {
	return func(r *rig) {
		if err := r.p.Connect(r.Context(), nil); err != nil {
			r.Error(err)
		}
		r.server.CutAll()
		time.Sleep(time.Second)
		afterSilence(r, d)
	}
}

// losses are links and connections that break, with or without notice.
var losses = []wireFault{
	{
		name: "detached-under-load", what: "a link is detached while a batch is in flight", service: "`amqp:link:detach-forced`", we: "attach another and send again at once",
		strike: once(emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", world.Tracked("The link is moved."))),
		least:  relink, most: relink, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:link:detach-forced", dials: 1,
	},
	{
		name: "connection-forced", what: "the connection is closed", service: "`amqp:connection:forced`", we: "connect and send again at once, all partitions over one connection",
		strike: once(emulator.KindTransfer, emulator.CloseConnection("amqp:connection:forced", world.Tracked("The service is being upgraded."))),
		least:  reconnect, most: reconnect, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:connection:forced", all: true, repeats: true, dials: 2,
	},
	{
		name: "cut-before-storing", what: "TCP breaks before a batch is stored", service: "nothing", we: "the same",
		strike: once(emulator.KindTransfer, emulator.Cut()),
		least:  reconnect, most: reconnect, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true, dials: 2,
	},
	{
		name: "cut-after-storing", what: "TCP breaks after a batch is stored, before its acknowledgement", service: "has stored it", we: "the same: stored twice, or once with `EnableIdempotentRetries`",
		strike: once(emulator.KindTransfer, emulator.Cut().Stored()),
		least:  reconnect, most: reconnect, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true, dials: 2,
	},
	{
		name: "half-open", what: "the network forgets the connection: written bytes vanish", service: "nothing", we: "connect after 60 s without a keep-alive, unless `TryTimeout`, here 2 minutes, ends before",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 2 * time.Minute}},
		strike:  func(r *rig) { r.network.Swallow() },
		least:   60 * time.Second, most: 61 * time.Second, states: "ready silent unreachable ready", code: eventhubs.CodeConnectionLost, all: true, repeats: true, dials: 2,
	},
	{
		name: "half-open-impatient", what: "the same, with a `TryTimeout` of 5 s", service: "nothing", we: "give up the link after 5 s, and the connection 5 s later, since the detach is not answered either",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}},
		strike:  func(r *rig) { r.network.Swallow() },
		least:   10 * time.Second, most: 12 * time.Second, states: uponReady, quietToo: true, code: eventhubs.CodeTimeout, all: true, repeats: true, dials: 2,
	},
	{
		name: "peer-stops-reading", what: "the service stops reading from the connection", service: "keeps it alive", we: "the same",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}},
		strike:  once(emulator.KindTransfer, emulator.Pass().StallReading(0)),
		least:   10 * time.Second, most: 12 * time.Second, states: uponReady, quietToo: true, code: eventhubs.CodeTimeout, all: true, repeats: true, dials: 2,
	},
	{
		name: "window-closed", what: "the window of a link's session closes and stays closed", service: "keeps the connection alive", we: "give up the link after `TryTimeout`, here 5 s, and attach another",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}},
		strike:  once(emulator.KindTransfer, emulator.Pass().CloseWindow(0)),
		least:   5 * time.Second, most: 7 * time.Second, states: uponReady, code: eventhubs.CodeTimeout, repeats: true, dials: 1,
	},
	{
		name: "window-closed-for-3-seconds", what: "the same, for 3 s", service: "opens it again", we: "go on",
		strike: func(r *rig) {
			r.once(emulator.KindTransfer, emulator.Pass().CloseWindow(3*time.Second))
			time.Sleep(3 * time.Second)
		},
		least: 0, most: 2 * world.Trip, states: "ready", dials: 1,
	},
	{
		name: "credit-withheld-for-3-seconds", what: "a new link gets no credit for 3 s", service: "then grants it", we: "wait",
		strike: func(r *rig) {
			r.sequence(step{emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", world.Tracked("The link is moved."))}, step{emulator.KindAttach, emulator.WithholdCredit(3 * time.Second)})
			time.Sleep(3 * time.Second)
		},
		least: 0, most: 2 * world.Trip, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:link:detach-forced", dials: 1,
	},
	{
		name: "credit-withheld", what: "a new link never gets any credit", service: "nothing", we: "give up the link after `TryTimeout`, here 5 s, and attach another",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}},
		strike: func(r *rig) {
			r.sequence(step{emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", world.Tracked("The link is moved."))}, step{emulator.KindAttach, emulator.WithholdCredit(0)})
		},
		least: 5 * time.Second, most: 8 * time.Second, states: uponReady, code: eventhubs.CodeTimeout, dials: 1,
	},
	{
		name: "detach-unanswered", what: "neither a batch nor the detach of its link is ever answered", service: "nothing", we: "give up the link after `TryTimeout`, here 5 s, and the connection 5 s later",
		options: eventhubs.Options{Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}},
		strike:  once(emulator.KindTransfer, emulator.Silence().IgnoreDetach()),
		least:   10 * time.Second, most: 12 * time.Second, states: uponReady, quietToo: true, code: eventhubs.CodeTimeout, all: true, repeats: true, dials: 2,
	},
}

// once is a strike: see rig.once.
func once(kind emulator.Kind, action emulator.Action) func(r *rig) {
	return func(r *rig) { r.once(kind, action) }
}
