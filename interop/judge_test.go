package main

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// seed returns a world in which a check's hub holds events with these bodies in one partition.
func seed(t *testing.T, check, partition string, bodies ...string) *world {
	t.Helper()
	w, err := newWorld(t.Context(), clients[0], io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	for _, body := range bodies {
		if err := w.server.Seed(hubOf(check), partition, emulator.Event{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// wantJudgement fails unless the judge returns text; an empty text means no error.
func wantJudgement(t *testing.T, w *world, o *observation, text string) {
	t.Helper()
	err := checkNamed(o.Check).judge(w, o)
	switch {
	case text == "" && err != nil:
		t.Errorf("judged: %v; want no complaint", err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("judged: %v; want %q", err, text)
	}
}

func TestEveryEventMustBeStoredOnce(t *testing.T) {
	const check = "publish"
	o := &observation{Check: check}
	wantJudgement(t, seed(t, check, "1", numbered(10)...), o, "")
	wantJudgement(t, seed(t, check, "1", numbered(9)...), o, "holds 9 events, want 10")
	wantJudgement(t, seed(t, check, "1", append(numbered(10), "event-3")...), o, `"event-3", which is too many`)
	wantJudgement(t, seed(t, check, "1", append(numbered(9), "event_9")...), o, `"event_9", which is too many`)
}

func TestEventsMustBeWhereTheirKeySays(t *testing.T) {
	const check = "publish by key"
	w := seed(t, check, partitionOf("a", 4))
	right, wrong := seed(t, check, "0"), seed(t, check, "0")
	for _, body := range numbered(10) {
		event := emulator.Event{Body: []byte(body), PartitionKey: "a"}
		for world, partition := range map[*world]string{w: partitionOf("a", 4), right: "", wrong: partitionOf("7", 4)} {
			if err := world.server.Seed(hubOf(check), partition, event); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantJudgement(t, w, &observation{Check: check, Key: "a"}, "")
	wantJudgement(t, right, &observation{Check: check, Key: "a"}, "")
	wantJudgement(t, right, &observation{Check: check, Key: "b"}, `has key "a", want "b"`)
	wantJudgement(t, wrong, &observation{Check: check, Key: "a"}, `with key "a" is in partition 3, want 0`)
}

func TestClientsMustReceiveWhatLiesBehindTheStart(t *testing.T) {
	const check = "consume from a sequence number"
	w := seed(t, check, "0", numbered(20)...)
	var all []received
	for e := range w.server.Events(hubOf(check), "0") {
		all = append(all, asReceived(e))
	}
	from := start{By: "sequence", Sequence: 7}
	wantJudgement(t, w, &observation{Check: check, Start: from, Received: all[8:]}, "")
	wantJudgement(t, w, &observation{Check: check, Start: from, Received: all[7:]}, "the client received")
	wantJudgement(t, w, &observation{Check: check, Start: from, Received: all[9:]}, "the client received")
	from.Inclusive = true
	wantJudgement(t, w, &observation{Check: check, Start: from, Received: all[7:]}, "")
	wantJudgement(t, w, &observation{Check: check, Start: start{By: "sequence", Sequence: -1}, Received: all}, "is no test")
}

func TestWhatClientsSayOfARefusalMustTellWhy(t *testing.T) {
	told, timedOut := refusal{"amqp:link:stolen", ""}, refusal{"TimeoutError", "no answer"}
	w := seed(t, "epoch stealing", "0")
	wantJudgement(t, w, &observation{Check: "epoch stealing", Stolen: told, Refused: told}, "")
	wantJudgement(t, w, &observation{Check: "epoch stealing", Stolen: told, Refused: timedOut}, "TimeoutError")
	denied := refusal{"UnauthorizedError", ""}
	wantJudgement(t, w, &observation{Check: "SAS refused", WrongKey: denied, ListenOnly: denied}, "")
	wantJudgement(t, w, &observation{Check: "SAS refused", WrongKey: denied}, "does not say why")
	w = seed(t, "SAS refused", "0", "event-0")
	wantJudgement(t, w, &observation{Check: "SAS refused", WrongKey: denied, ListenOnly: denied}, "1 events")
}

func TestKeysAreTheSameEveryTime(t *testing.T) {
	keys := partitionKeys()
	if len(keys) != routedKeys || keys[0] != partitionKeys()[0] {
		t.Errorf("%d keys that begin with %q and then with %q", len(keys), keys[0], partitionKeys()[0])
	}
	o := &observation{Check: nameRouting, Routes: make([]string, routedKeys)}
	wantJudgement(t, seed(t, nameRouting, ""), o, "the client chooses partition  for key")
}

func TestAClientThatIsMissingOrFailsIsAFailure(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"silence", "exit 0", "it was not reported"},
		{"nonsense", "echo hello", `the script printed "hello"`},
		{"an error", `echo '{"check":"publish","error":"broken"}'`, "publish: broken"},
		{"a status", "exit 3", "exit status 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &result{client: &client{name: "sh", prepare: scripted(test.script)}}
			r.run(t.Context(), regexp.MustCompile("^publish$"), io.Discard)
			var out strings.Builder
			r.complain(&out)
			if r.ok() || !strings.Contains(out.String(), test.want) {
				t.Errorf("ok: %t; %s; want %q", r.ok(), out.String(), test.want)
			}
		})
	}
	if err := setup.Need("a thing", "no-such-program"); err == nil || !strings.Contains(err.Error(), "install a thing") {
		t.Errorf("Need: %v", err)
	}
}

// scripted is a client that is a line of shell.
func scripted(script string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return []string{"sh", "-c", script}, nil }
}

func TestOurEventsMustArriveByteForByteAndInTheOrderOfTheirKey(t *testing.T) {
	w := &world{client: clientNamed(t, "javascript"), earthquakes: []earthquake{{"a", "1"}, {"b", "2"}, {"a", "3"}}}
	seen := func(events ...received) *observation { return &observation{Check: nameOurs, Received: events} }
	a1, b2, a3 := received{Key: "a", Body: "1"}, received{Key: "b", Body: "2"}, received{Key: "a", Body: "3"}
	wantJudgement(t, w, seen(b2, a1, a3), "")
	wantJudgement(t, w, seen(a1, b2), "received 2 events, want 3")
	wantJudgement(t, w, seen(a3, a1, b2), `is "3", want "1"`)
	wantJudgement(t, w, seen(a1, received{Key: "b", Body: "x"}, a3), `is "x", want "2"`)
	wantJudgement(t, w, seen(a1, received{Key: "c", Body: "2"}, a3), `key "c"`)
}

// idleWorld returns a world with only the hub of one check, and without any operation so far.
func idleWorld(t *testing.T, check string) *world {
	t.Helper()
	w := &world{client: clientNamed(t, "javascript"), transfers: make(map[string][]int)}
	t.Cleanup(w.close)
	for _, server := range []**emulator.Server{&w.server, &w.reporting} {
		var err error
		if *server, err = emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: hubOf(check), Partitions: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestALostAcknowledgementMustNotStoreABatchTwiceUnlessNumbersAreReported(t *testing.T) {
	number := func(n int64) publishing {
		return publishing{IsIdempotentPublishingEnabled: true, LastPublishedSequenceNumber: &n}
	}
	once := numbered(15)
	twice := append(append(numbered(9), once[6:9]...), once[9:]...)
	for _, test := range []struct {
		check     string
		stored    []string
		counted   int64
		transfers int
		complaint string
	}{
		{nameIdempotent, once, 15, 6, ""},
		{nameIdempotent, twice, 18, 6, "want it to be 15 more"},
		{nameIdempotent, twice, 15, 6, "stored are"},
		{nameIdempotent, once, 15, 5, "sent 5 batches, want 5 and one of them again"},
		{nameIdempotentReported, twice, 18, 6, ""},
		{nameIdempotentReported, once, 15, 6, "want it to be 18 more"},
		{nameIdempotentReported, once, 18, 6, "stored are"},
	} {
		w := idleWorld(t, test.check)
		w.transfers[hubOf(test.check)] = make([]int, test.transfers)
		o := &observation{Check: test.check, Events: 15, Batches: 5, Before: number(0), After: number(test.counted)}
		for _, body := range test.stored {
			if err := w.serverOf(test.check).Seed(hubOf(test.check), "0", emulator.Event{Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		for e := range w.serverOf(test.check).Events(hubOf(test.check), "0") {
			o.Received = append(o.Received, asReceived(e))
		}
		wantJudgement(t, w, o, test.complaint)
		if test.complaint == "" {
			o.Received[0], o.Received[1] = o.Received[1], o.Received[0]
			wantJudgement(t, w, o, "the client received")
			wantJudgement(t, w, &observation{Check: test.check, Events: 15, Batches: 5}, "not enabled")
		}
	}
}

func TestAProducerThatWasReplacedMustBeTold(t *testing.T) {
	w := idleWorld(t, nameReplaced)
	for _, body := range numbered(9) {
		if err := w.server.Seed(hubOf(nameReplaced), "0", emulator.Event{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	o := &observation{Check: nameReplaced, Events: 9, Stolen: refusal{Code: "ProducerDisconnectedError"}, Refused: refusal{Message: "… the higher epoch 1 exists"}}
	o.Before, o.After = publishing{ProducerGroupID: 7}, publishing{ProducerGroupID: 7, OwnerLevel: 1}
	for e := range w.server.Events(hubOf(nameReplaced), "0") {
		o.Received = append(o.Received, asReceived(e))
	}
	wantJudgement(t, w, o, "")
	for want, spoil := range map[string]func(*observation){
		"which does not mention the other one": func(o *observation) { o.Stolen.Code = "TimeoutError" },
		"when it came back":                    func(o *observation) { o.Refused.Message = "no answer" },
		"the next epoch":                       func(o *observation) { o.After.OwnerLevel = 0 },
		"stored are":                           func(o *observation) { o.Events = 10 },
	} {
		spoilt := *o
		spoil(&spoilt)
		wantJudgement(t, w, &spoilt, want)
	}
}

func clientNamed(t *testing.T, name string) *client {
	t.Helper()
	i := slices.IndexFunc(clients, func(c *client) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no client %q", name)
	}
	return clients[i]
}

func TestAClientWithKnownRacesRunsOnlyByItsName(t *testing.T) {
	for _, c := range choose(t) {
		if c.name == "rust" {
			t.Error("rust runs without its name, want it to run only if it is named")
		}
	}
	if got, want := len(choose(t)), len(clients)-1; got != want {
		t.Errorf("%d clients run if none is named, want %d", got, want)
	}
	var all []string
	for _, c := range clients {
		all = append(all, c.name)
	}
	if got := choose(t, all...); !slices.Equal(got, clients) {
		t.Errorf("%d clients run if all are named, want all %d", len(got), len(clients))
	}
}

// choose returns the clients that run with these arguments.
func choose(t *testing.T, args ...string) []*client {
	t.Helper()
	request, ok := choice.Parse(args, t.Output())
	if !ok {
		t.Fatalf("the arguments %q are refused", args)
	}
	return request.Chosen
}
