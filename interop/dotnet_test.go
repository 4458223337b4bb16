package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

func TestTheDotnetProgramIsFoundOrBuiltOrNamedAsMissing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "client")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("INTEROP_DOTNET", program)
	if got, err := setup.DotNet(t.Context()); err != nil || len(got) != 1 || got[0] != program {
		t.Errorf("with a program: %q, %v; want %q", got, err, program)
	}
	t.Setenv("INTEROP_DOTNET", program+"2")
	if got, err := setup.DotNet(t.Context()); err == nil || !strings.Contains(err.Error(), "INTEROP_DOTNET") || !strings.Contains(err.Error(), program+"2") {
		t.Errorf("with a program that is not there: %q, %v; want an error with the variable and the path", got, err)
	}

	t.Setenv("INTEROP_DOTNET", "")
	t.Setenv("PATH", t.TempDir())
	if got, err := setup.DotNet(t.Context()); err == nil || !strings.Contains(err.Error(), "the .NET client is missing: set INTEROP_DOTNET") {
		t.Errorf("with nothing: %q, %v; want an error that says what is missing", got, err)
	}

	// A script stands in for the missing SDK. It checks the command and the sources.
	sdk := filepath.Join(os.Getenv("PATH"), "dotnet")
	script := "#!/bin/sh\ntest \"$*\" = 'publish --configuration Release --output out' && test -f client.csproj && test -f Program.cs && test -f Processor.cs\n"
	if err := os.WriteFile(sdk, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	t.Setenv("INTEROP_CACHE", cache)
	got, err := setup.DotNet(t.Context())
	if err != nil || len(got) != 2 || got[0] != "dotnet" || !strings.HasPrefix(got[1], filepath.Join(cache, "dotnet-")) {
		t.Errorf("with an SDK: %q, %v; want dotnet and what it has built", got, err)
	}
	if err := os.WriteFile(sdk, []byte("#!/bin/sh\necho broken >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("INTEROP_CACHE", t.TempDir())
	if got, err := setup.DotNet(t.Context()); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("with an SDK that fails: %q, %v; want its error", got, err)
	}
}

func TestTheDotnetProgramsVersionIsThatOfItsProject(t *testing.T) {
	version, runtime, err := setup.AboutDotNet()
	if err != nil || !regexp.MustCompile(`^5\.\d+\.\d+$`).MatchString(version) || runtime != ".NET 10" {
		t.Errorf("setup.AboutDotNet: %q, %q, %v", version, runtime, err)
	}
}

func TestEveryCheckOfAProgramWithCommandsHasAPerformance(t *testing.T) {
	for _, c := range clients {
		for _, check := range checks {
			p, performs := c.performances[check.name]
			switch {
			case c.performances == nil && c.does(check) && check.judge == nil:
				t.Errorf("nobody judges %s of %s", check.name, c.name)
			case c.performances != nil && performs != c.does(check):
				t.Errorf("%s does %q: %t, and has a performance for it: %t", c.name, check.name, c.does(check), performs)
			case performs && (len(p.commands) == 0 || p.judge == nil):
				t.Errorf("%s has nothing to perform or to judge for %q", c.name, check.name)
			}
		}
	}
}

func TestAProgramThatFailsIsAFailure(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"silence", "exit 0", "publish: the program did []"},
		{"nonsense", "echo hello", `the program printed "hello"`},
		{"an error", `echo '{"what":"error","more":{"message":"broken"}}'; exit 1`, `publish: publish one properties valuebody: the program failed: {"message":"broken"}`},
		{"a status", "exit 3", "exit status 3"},
		{"what it says to standard error", "echo trouble >&2; exit 3", "trouble"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &result{client: &client{
				name: "sh", prepare: scripted(test.script), performances: dotnetPerformances, about: func() (string, string, error) { return "1", "sh", nil },
			}}
			r.run(t.Context(), regexp.MustCompile("^publish$"), io.Discard)
			var out strings.Builder
			r.complain(&out)
			if r.ok() || !strings.Contains(out.String(), test.want) {
				t.Errorf("ok: %t; %s; want %q", r.ok(), out.String(), test.want)
			}
		})
	}
}

func TestAProgramIsToldWhereToConnectAndNothingElse(t *testing.T) {
	for _, variable := range spoken {
		t.Setenv(variable, "of the caller")
	}
	w, err := newWorld(t.Context(), clients[len(clients)-1], io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	environment := func(p performance) (text string) {
		p.judge = func(_ *world, _ string, s said) error {
			for _, value := range s {
				text += string(value.More) + "\n"
			}
			return nil
		}
		script, _ := scripted(`env | sed 's/"//g; s/.*/{"what":"variable","more":"&"}/'`)(t.Context())
		if err := p.perform(t.Context(), w, checkNamed("publish"), script, "sh", io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, test := range []struct {
		name string
		p    performance
		want []string
	}{
		{"plain", performance{commands: []invocation{call()}}, []string{"CONN=" + w.server.ConnectionString("")}},
		{"TLS", performance{commands: dotnetEcho(overTLS)[:1]}, []string{"CUSTOM=sb://" + w.tls.Addr(), "SSL_CERT_FILE=" + w.authoritiesFile()}},
		{"WebSocket", performance{commands: dotnetEcho(overWebSocket)[:1]}, []string{"CUSTOM=sb://" + w.webSocket.Addr(), "WS=1"}},
		{"wrong key", performance{commands: []invocation{refusedWith((*world).wrongKey)}}, []string{"CONN=" + w.wrongKey()}},
	} {
		text := environment(test.p)
		for _, want := range append(test.want, "HUB=publish", "TZ=UTC") {
			if !strings.Contains(text, `"`+want+`"`) {
				t.Errorf("%s: the program is not told %s", test.name, want)
			}
		}
		if strings.Contains(text, "of the caller") {
			t.Errorf("%s: the program hears from the caller's environment:\n%s", test.name, text)
		}
	}
}

// dotnetWorld returns a world for a check of the .NET client, with events in its hub.
func dotnetWorld(t *testing.T, check string, events ...emulator.Event) *world {
	t.Helper()
	w := &world{client: clientNamed(t, "dotnet"), transfers: make(map[string][]int), receivers: make(map[string][]int)}
	t.Cleanup(w.close)
	options := &emulator.Options{Hubs: []emulator.Hub{{Name: hubOf(check), Partitions: checkNamed(check).partitions}}}
	for _, server := range []**emulator.Server{&w.server, &w.reporting, &w.tls} {
		var err error
		if *server, err = emulator.New(options); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := (*server).Seed(hubOf(check), e.PartitionID, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

func withBody(partition, body string) emulator.Event {
	return emulator.Event{PartitionID: partition, Body: []byte(body)}
}

// saying returns a program's output: a name and a value for each line.
func saying(t *testing.T, pairs ...any) (s said) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		more, err := json.Marshal(pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, statement{What: pairs[i].(string), More: more})
	}
	return s
}

type about map[string]any

// wantSaid fails unless the judge of the .NET client returns text; an empty text means no error.
func wantSaid(t *testing.T, w *world, check, text string, pairs ...any) {
	t.Helper()
	err := dotnetPerformances[check].judge(w, check, saying(t, pairs...))
	switch {
	case text == "" && err != nil:
		t.Errorf("%s judged: %v; want no complaint", check, err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("%s judged: %v; want %q", check, err, text)
	}
}

func TestWhatTheDotnetClientPublishesMustBeStoredAsItSays(t *testing.T) {
	ok := []any{"done", "key"}
	a, b := emulator.Event{Body: []byte("k1"), PartitionKey: "alphabet"}, emulator.Event{Body: []byte("k2"), PartitionKey: "alphabet"}
	wantSaid(t, dotnetWorld(t, "publish by key", a, b), "publish by key", "", ok...)
	wantSaid(t, dotnetWorld(t, "publish by key", a), "publish by key", "holds 1 events, want 2", ok...)
	wantSaid(t, dotnetWorld(t, "publish by key", a, withBody("2", "k2")), "publish by key", `has key "", want "alphabet"`, ok...)
	wantSaid(t, dotnetWorld(t, "publish by key", a, b), "publish by key", "and no failure", "done", "key", "failed", about{"what": "key"})

	ok = []any{"done", "id", "done", "batch"}
	right := []emulator.Event{withBody("0", "batch 0"), withBody("0", "batch 1"), withBody("0", "batch 2"), withBody("1", "p1")}
	wantSaid(t, dotnetWorld(t, "publish to a partition", right...), "publish to a partition", "", ok...)
	right[3].PartitionID = "2"
	wantSaid(t, dotnetWorld(t, "publish to a partition", right...), "publish to a partition", "want", ok...)

	body := strings.Repeat("\x00", 1_046_500)
	ok = []any{"biggest", about{"body": len(body), "maximumSizeInBytes": 1_046_528}, "failed", about{"what": "toolarge", "reason": "MessageSizeExceeded", "message": "1046528 bytes"}}
	full := withBody("0", body)
	wantSaid(t, dotnetWorld(t, "publish a full batch", full), "publish a full batch", "", ok...)
	wantSaid(t, dotnetWorld(t, "publish a full batch", withBody("0", body[1:])), "publish a full batch", "too many", ok...)
	wantSaid(t, dotnetWorld(t, "publish a full batch", full), "publish a full batch", `said "failed" 0 times`, ok[:2]...)
	wantSaid(t, dotnetWorld(t, "publish a full batch", full), "publish a full batch", "want MessageSizeExceeded", ok[0], ok[1], "failed", about{"what": "toolarge", "reason": "GeneralError"})

	// Each missing section is noticed.
	wantSaid(t, dotnetWorld(t, "publish", withBody("0", "one"), withBody("0", "properties"), withBody("0", "value"), withBody("0", "sequence")), "publish", "none of the events",
		"done", "one", "done", "properties", "done", "valuebody")

	w := dotnetWorld(t, nameThrottled, withBody("0", "one"))
	wantSaid(t, w, nameThrottled, "sent 0 times, want twice", "done", "one")
	w.transfers[hubOf(nameThrottled)] = []int{1, 1}
	wantSaid(t, w, nameThrottled, "", "done", "one")
	w = dotnetWorld(t, nameProducerReconnects, withBody("0", "one"), withBody("0", "one"), withBody("0", "one"))
	wantSaid(t, w, nameProducerReconnects, "with a new one for the third", "done", "one", "done", "one", "done", "one")
	w.transfers[hubOf(nameProducerReconnects)] = []int{1, 1, 2, 2}
	wantSaid(t, w, nameProducerReconnects, "", "done", "one", "done", "one", "done", "one")
}

func TestWhatTheDotnetClientReadsMustBeWhatIsStored(t *testing.T) {
	const check = "consume from the start"
	w := dotnetWorld(t, check, withBody("0", "one"), withBody("0", "batch 0"), withBody("0", "batch 1"), withBody("0", "batch 2"))
	said := []any{"done", "one", "done", "batch"}
	for e := range w.server.Events(hubOf(check), "0") {
		said = append(said, "event", about{"partition": "0", "body": string(e.Body), "sequenceNumber": e.SequenceNumber, "offset": e.Offset, "enqueuedTime": e.EnqueuedTime, "key": nil})
	}
	wantSaid(t, w, check, "", append(said, "count", 4)...)
	wantSaid(t, w, check, "counts 5 events", append(said, "count", 5)...)
	wantSaid(t, w, check, "the client received", append(said[:10:10], "count", 3)...)
	wantSaid(t, w, check, "the client received", append(append(said, said[10:]...), "count", 5)...)

	w = dotnetWorld(t, "properties", withBody("0", "a"), withBody("0", "b"), withBody("0", "c"))
	ids := w.server.PartitionIDs("properties")
	var last emulator.Event
	for e := range w.server.Events("properties", "0") {
		last = e
	}
	hub := about{"name": "properties", "createdOn": last.EnqueuedTime, "partitionIds": ids}
	empty := about{"beginningSequenceNumber": -1, "lastEnqueuedSequenceNumber": -1, "isEmpty": true, "lastEnqueuedTime": "1970-01-01T00:00:00+00:00"}
	three := about{"beginningSequenceNumber": 0, "lastEnqueuedSequenceNumber": 2, "isEmpty": false, "lastEnqueuedTime": last.EnqueuedTime}
	wantSaid(t, w, "properties", "", "hub", hub, "partition", empty, "done", "info", "done", "batch", "hub", hub, "partition", three, "done", "info")
	wantSaid(t, w, "properties", "saw of partition 0", "hub", hub, "partition", empty, "done", "info", "done", "batch", "hub", hub, "partition", empty, "done", "info")
	hub["partitionIds"] = ids[1:]
	wantSaid(t, w, "properties", "with partitions [0 1 2]", "hub", hub, "partition", empty, "done", "info", "done", "batch", "hub", hub, "partition", three, "done", "info")
}

func TestTheDotnetClientMustBeginWhereItAsks(t *testing.T) {
	const check = "consume from an offset"
	var events []emulator.Event
	for i := range 9 {
		// 4 of these events take 44 bytes.
		events = append(events, withBody("0", "event "+strconv.Itoa(i)+"…"))
		events[i].Body = events[i].Body[:6]
	}
	w := dotnetWorld(t, check, events...)
	from := func(n, first, last any) about { return about{"n": n, "first": first, "last": last} }
	names := []string{"earliest", "latest", "sequence 5, after", "sequence 5, from", "offset 44, after", "offset 44, from", "time", "future"}
	spoken := map[string]about{
		"earliest": from(5, 0, 8), "latest": from(0, nil, nil), "sequence 5, after": from(3, 6, 8), "sequence 5, from": from(4, 5, 8),
		"offset 44, after": from(4, 5, 8), "offset 44, from": from(5, 4, 8), "time": from(1, 0, 8), "future": from(0, nil, nil),
	}
	say := func() []any {
		all := []any{"done", "one", "done", "batch", "done", "types"}
		for _, name := range names {
			all = append(all, name, spoken[name])
		}
		return all
	}
	wantSaid(t, w, check, "", say()...)
	for _, spoil := range []struct {
		name, want string
		said       about
	}{
		{"sequence 5, after", "want number 6 first", from(4, 5, 8)},
		{"sequence 5, from", "want number 5 first", from(3, 6, 8)},
		{"offset 44, after", "want number 5 first", from(5, 4, 8)},
		{"offset 44, from", "want number 4 first", from(4, 5, 8)},
		{"earliest", "the last enqueued number to be 8", from(5, 0, 7)},
		{"time", "want number 0 first", from(0, nil, nil)},
		{"latest", "want none", from(1, 8, 8)},
		{"future", "the client heard ArgumentException: no", about{"type": "ArgumentException", "message": "no"}},
	} {
		before := spoken[spoil.name]
		spoken[spoil.name] = spoil.said
		wantSaid(t, w, check, spoil.want, say()...)
		spoken[spoil.name] = before
	}
	wantSaid(t, dotnetWorld(t, check, withBody("0", "a")), check, "it is no test", say()...)
}

func TestTheDotnetClientMustBeToldOfWhoTookOver(t *testing.T) {
	const check = "epoch stealing"
	w := dotnetWorld(t, check)
	lost := func(message string) about { return about{"reason": "ConsumerDisconnected", "message": message} }
	again, none := lost("a receiver with a higher epoch '2' exists"), lost("… and so non-epoch receiver is not allowed")
	say := func(b int, again any, none about) []any {
		return []any{"a, level 1", 10, "b, level 2", b, "a again", again, "c, no level", none, "b again", 3}
	}
	wantSaid(t, w, check, "", say(10, again, none)...)
	wantSaid(t, w, check, "", say(10, 10, none)...) // it had them before
	wantSaid(t, w, check, `"b, level 2" received nothing`, say(0, again, none)...)
	wantSaid(t, w, check, `"a again" heard`, say(10, none, none)...)
	wantSaid(t, w, check, `"c, no level" heard`, say(10, again, about{"reason": "GeneralError"})...)
	wantSaid(t, w, check, `"a again" heard`, say(10, about{"reason": "ConsumerDisconnected", "message": "higher epoch", "isTransient": true}, none)...)
	denied := about{"type": "UnauthorizedAccessException"}
	w = dotnetWorld(t, "SAS refused")
	wantSaid(t, w, "SAS refused", "", "failed", denied, "failed", denied)
	wantSaid(t, w, "SAS refused", "want two refusals", "failed", denied)
	wantSaid(t, w, "SAS refused", "does not say why", "failed", denied, "failed", about{"type": "TimeoutException"})
}

func TestTheDotnetClientsTypesMustBeThoseThatAreKnown(t *testing.T) {
	var events []emulator.Event
	said := []any{"done", "types"}
	for _, v := range dotnetTypes {
		stored := v.stored
		switch v := stored.(type) {
		case [16]byte:
			stored = amqp.UUID(v)
		case rune: // int32 is the same type
			if v == 'x' {
				stored = amqp.Char(v)
			}
		}
		events = append(events, emulator.Event{PartitionID: "0", Body: []byte(v.name), Properties: map[string]any{"v": stored}})
		var read any
		if v.read != (dotnetValue{}) {
			read = about{"type": v.read.Type, "v": v.read.V}
		}
		said = append(said, "event", about{"body": v.name, "properties": about{"v": read}})
	}
	for _, name := range dotnetRefuses {
		said = append(said, "refused", about{"name": name})
	}
	w := dotnetWorld(t, nameTypes, events...)
	wantSaid(t, w, nameTypes, "", said...)
	wantSaid(t, w, nameTypes, "the client refuses", said[:len(said)-2]...)
	said[3] = about{"body": "int", "properties": about{"v": about{"type": "System.Int64", "v": "5"}}}
	wantSaid(t, w, nameTypes, `read "int" as "int" with {Type:System.Int64`, said...)
	events[0].Properties["v"] = int64(5)
	wantSaid(t, dotnetWorld(t, nameTypes, events...), nameTypes, `event "int" has the properties`, said...)
	wantSaid(t, dotnetWorld(t, nameTypes, events[1:]...), nameTypes, "33 events are stored", said...)

	said = nil
	for _, v := range ourTypes {
		var read any
		if v.read != (dotnetValue{}) {
			read = about{"type": v.read.Type, "v": v.read.V}
		}
		said = append(said, "event", about{"body": v.name, "properties": about{"v": read}})
	}
	wantSaid(t, nil, nameOurTypes, "", said...)
	wantSaid(t, nil, nameOurTypes, "read 17 events, want 18", said[2:]...)
	said[1] = about{"body": "int", "properties": about{"v": about{"type": "System.Int32", "v": "5"}}}
	wantSaid(t, nil, nameOurTypes, `read "int" as "int" with {Type:System.Int32`, said...)
}

func TestTheDotnetBufferedProducerMustLoseNothingAndStoreNothingTwice(t *testing.T) {
	const check = "buffered producer"
	events := []emulator.Event{
		{PartitionID: "0", Body: []byte("mutated"), Properties: map[string]any{"before": int32(1), "after": int32(2)}},
		{Body: []byte("keyed"), PartitionKey: "alphabet"}, withBody("0", "before"), withBody("0", "after"), withBody("0", "opens"),
	}
	for i := range 64 {
		events = append(events, withBody(strconv.Itoa(i%4), "m"+strconv.Itoa(i)))
	}
	for range 17 {
		events = append(events, withBody("1", "f"))
	}
	for range 3000 {
		events = append(events, withBody("0", strings.Repeat("\x00", 1024)))
	}
	tooLarge := about{"n": 1, "reason": "MessageSizeExceeded"}
	said := []any{"succeeded", about{"n": 69}, "succeeded", about{"n": 3000}, "handler done", 17, "failed", tooLarge}
	w := dotnetWorld(t, check, events...)
	wantSaid(t, w, check, "", said...)
	wantSaid(t, w, check, "handlers got 86 events, want 3086", append(said[:2:2], said[4:]...)...)
	wantSaid(t, w, check, `said "failed" 0 times`, said[:6]...)
	wantSaid(t, dotnetWorld(t, check, events[1:]...), check, "events, want", said...)
	wantSaid(t, dotnetWorld(t, check, append(events, events[10])...), check, "too many", said...)
	events[5].PartitionID = "1"
	wantSaid(t, dotnetWorld(t, check, events...), check, "want 16 in each", said...)
	events[5].PartitionID, events[0].Properties = "0", map[string]any{"before": int32(1)}
	wantSaid(t, dotnetWorld(t, check, events...), check, "changed after Enqueue", said...)

	keys := []string{"alphabet", "TheBestParitionEver", "7", "131", "日本語", "😀", strings.Repeat("x", 128)}
	events, said = []emulator.Event{withBody("0", "")}, nil
	for _, key := range keys {
		events = append(events, emulator.Event{Body: []byte(key), PartitionKey: key})
		said = append(said, "key", about{"key": key, "partitionId": partitionOf(key, routedPartitions)})
	}
	said = append(said, "key", about{"key": nil, "partitionId": "0"})
	refused := func(message string) about {
		return about{"ok": false, "type": "InvalidOperationException", "message": message}
	}
	said = append(said, "both", refused("both a partition key and a partition id"), "no such partition", refused("`99`"), "partition 00", refused("`00`"))
	w = dotnetWorld(t, nameRouting, events...)
	wantSaid(t, w, nameRouting, "", said...)
	wantSaid(t, w, nameRouting, "reported the keys", said[2:]...)
	wantSaid(t, w, nameRouting, `"both" ended as`, append(append([]any{}, said[:16]...), "both", about{"ok": true})...)
	said[1] = about{"key": "alphabet", "partitionId": "31"}
	wantSaid(t, w, nameRouting, `for key "alphabet", want`, said...)
}

func TestTheDotnetIdempotentProducerMustStoreAHundredEventsOnce(t *testing.T) {
	for _, check := range []string{nameIdempotent, nameIdempotentReported} {
		numbered := func(change func(i int, id *int64, body *string)) *world {
			w := dotnetWorld(t, check)
			w.transfers[hubOf(check)] = make([]int, 17)
			for i := range 100 {
				id, body := int64(7), "h"+strconv.Itoa(i)
				if change != nil {
					change(i, &id, &body)
				}
				m := amqp.Message{Data: [][]byte{[]byte(body)}, Annotations: amqp.Map{
					{Key: amqp.Symbol("com.microsoft:producer-id"), Value: id}, {Key: amqp.Symbol("com.microsoft:producer-sequence-number"), Value: int32(i + 1)},
				}}
				message, err := m.AppendTo(nil)
				if err == nil {
					err = w.serverOf(check).Seed(hubOf(check), "0", emulator.Event{Message: message})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return w
		}
		said := []any{"succeeded", about{"n": 60}, "succeeded", about{"n": 40}}
		wantSaid(t, numbered(nil), check, "", said...)
		wantSaid(t, numbered(nil), check, "handlers got 60 stored events", said[:2]...)
		wantSaid(t, numbered(nil), check, "got 100 stored events and the failures [{N:10", append(said, "failed", about{"n": 10})...)
		twice := numbered(nil)
		if err := twice.serverOf(check).Seed(hubOf(check), "0", withBody("0", "h99")); err != nil {
			t.Fatal(err)
		}
		wantSaid(t, twice, check, "101 events are stored, want 100", said...)
		wantSaid(t, numbered(func(i int, id *int64, _ *string) {
			if i == 50 {
				*id = 8
			}
		}), check, "event 50 has the annotations", said...)
		wantSaid(t, numbered(func(i int, _ *int64, body *string) {
			if i == 50 {
				*body = "h51"
			}
		}), check, `event 50 is "h51"`, said...)
		few := numbered(nil)
		few.transfers[hubOf(check)] = make([]int, 14)
		wantSaid(t, few, check, "the client sent 14 times, want more than 14", said...)
	}
}

func TestTwoDotnetProcessorsMustShareAllAndSeeEachEvent(t *testing.T) {
	w := dotnetWorld(t, nameProcessor)
	for range 1200 {
		if err := w.server.Seed(hubOf(nameProcessor), "", withBody("", "p")); err != nil {
			t.Fatal(err)
		}
	}
	all := about{}
	for i := range 8 {
		all[fmt.Sprint(i)] = 9
	}
	say := func(alone about, a, b []string, seen, twice int) []any {
		return []any{"a alone", all, "both", about{"a": a, "b": b}, "b alone", alone, "counts", about{"sent": 1200, "seen": seen, "twice": twice}}
	}
	even, odd := []string{"0", "2", "4", "6"}, []string{"1", "3", "5", "7"}
	wantSaid(t, w, nameProcessor, "", say(all, even, odd, 1200, 60)...)
	wantSaid(t, w, nameProcessor, "b alone: events of the partitions map[3:1], want of all 8", say(about{"3": 1}, even, odd, 1200, 0)...)
	wantSaid(t, w, nameProcessor, "want half of them each", say(all, even, even, 1200, 0)...)
	wantSaid(t, w, nameProcessor, "want half of them each", say(all, odd[1:], append(odd[:1:1], even...), 1200, 0)...)
	wantSaid(t, w, nameProcessor, "Seen:1199", say(all, even, odd, 1199, 0)...)
	wantSaid(t, w, nameProcessor, "Twice:600", say(all, even, odd, 1200, 600)...)
}

func TestAPerformanceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("the caller has gone"))
	script, _ := scripted("while true; do read line; done")(ctx)
	p := performance{commands: []invocation{call()}, judge: func(*world, string, said) error { return nil }}
	err := p.perform(ctx, dotnetWorld(t, "publish"), checkNamed("publish"), script, "sh", io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the caller has gone") {
		t.Errorf("perform returned %v, want the reason why it was ended", err)
	}
}
