package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

func TestPublishesTheEarthquakesAndVerifiesThem(t *testing.T) {
	got := program{}.run(t, "publish", "--key", "properties.net", "--output", "json", earthquakes)
	got.want(t, exitOK)
	if got.stderr != "" {
		t.Errorf("standard error: got %q want nothing", got.stderr)
	}
	r := got.report(t)
	content, err := os.ReadFile(earthquakes)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes := len(content) - bytes.Count(content, []byte("\n"))
	if r.Hub != "events" || r.Events != 1707 || !r.Verified || r.Bytes != wantBytes || r.Seconds <= 0 {
		t.Errorf("got %+v, want 1707 events with %d bytes in hub events, verified", r, wantBytes)
	}
	want := map[string]int{"0": 294, "1": 28, "2": 370, "3": 0, "4": 442, "5": 230, "6": 343, "7": 0}
	batches := 0
	for _, p := range r.Partitions {
		if p.Events != want[p.ID] {
			t.Errorf("partition %s: got %d events want %d", p.ID, p.Events, want[p.ID])
		}
		if (p.Batches == 0) != (p.Events == 0) {
			t.Errorf("partition %s: %d events in %d batches", p.ID, p.Events, p.Batches)
		}
		batches += p.Batches
	}
	if len(r.Partitions) != len(want) || r.Batches != batches {
		t.Errorf("got %d partitions and %d batches, want %d and %d", len(r.Partitions), r.Batches, len(want), batches)
	}
}

func TestJSONHasExactlyThePromisedFields(t *testing.T) {
	got := program{stdin: strings.NewReader("a\n\xff\n")}.run(t, "publish", "--output", "json", "--skip-bad", "-")
	got.want(t, exitOK)
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.stdout), &object); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for name := range object {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	want := []string{"batches", "bytes", "events", "hub", "notStored", "partitions", "possiblyStored", "seconds", "skipped", "verified"}
	if !slices.Equal(fields, want) {
		t.Errorf("fields: got %v want %v", fields, want)
	}
	var partitions []map[string]any
	if err := json.Unmarshal(object["partitions"], &partitions); err != nil || len(partitions) != 8 {
		t.Fatalf("partitions: %v: %s", err, object["partitions"])
	}
	if p := partitions[0]; len(p) != 4 || p["id"] == nil || p["events"] == nil || p["batches"] == nil || p["bytes"] == nil {
		t.Errorf("fields of a partition: got %v want id, events, batches and bytes", p)
	}
}

func TestTextReportSaysWhatHappened(t *testing.T) {
	got := program{}.run(t, "publish", "--key", "properties.net", earthquakes)
	got.want(t, exitOK)
	for _, text := range []string{
		"partition  events  batches", "total    1707", "1707 events in", "events/s", "events per batch",
		"All read back", "inside this command", connectionEnv,
	} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the report does not say %q:\n%s", text, got.stdout)
		}
	}
	if strings.ContainsAny(got.stdout+got.stderr, "\r\x1b") {
		t.Error("there is a progress bar, and no terminal")
	}
}

func TestLineIsTheBodyByteForByte(t *testing.T) {
	server := startServer(t)
	input := " {\"a\" : 1} \r\n\n\r\n\ttext, not JSON\nünïcødé\nlast line without its end"
	p := program{stdin: strings.NewReader(input)}
	p.run(t, "publish", "--connection-string", server.ConnectionString(""), "-").want(t, exitOK)
	want := []string{" {\"a\" : 1} ", "\ttext, not JSON", "ünïcødé", "last line without its end"}
	got := stored(server, "events")
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("bodies: got %q want %q", got, want)
	}
}

func TestLongestLineIsPublishedAndALongerOneIsBad(t *testing.T) {
	longest := strings.Repeat("x", maxEventBytes)
	for _, end := range []string{"", "\n", "\r\n"} {
		file := writeFile(t, "first\n"+longest+end)
		got := program{}.run(t, "publish", "--output", "json", file)
		got.want(t, exitOK)
		if r := got.report(t); r.Events != 2 || !r.Verified {
			t.Errorf("with line end %q: unexpected report %+v", end, r)
		}
		program{}.run(t, "publish", writeFile(t, "first\n"+longest+"x"+end)).
			want(t, exitBadInput, "line 2: longer than")
	}
}

func TestLongestLineFitsWithTheLongestKey(t *testing.T) {
	key := strings.Repeat("字", partitionkey.MaxLength)
	object := fmt.Sprintf(`{"key":%q,"text":""}`, key)
	object = strings.Replace(object, `""`, `"`+strings.Repeat("x", maxEventBytes-len(object))+`"`, 1)
	got := program{}.run(t, "publish", "--key", "key", "--output", "json", writeFile(t, object))
	got.want(t, exitOK)
	if r := got.report(t); r.Events != 1 || r.Bytes != maxEventBytes || !r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}

var badLines = []struct {
	name string
	line string
	want string
}{
	{"not JSON", `{"id":`, "not a JSON object"},
	{"two objects", `{"id":"x"} {"id":"y"}`, "not a JSON object"},
	{"not an object", `["id"]`, "not a JSON object"},
	{"not UTF-8", "{\"id\":\"\xff\"}", "not text in UTF-8"},
	{"no such field", `{"ID":"x"}`, `no field "id"`},
	{"null", `null`, "not a JSON object"},
	{"field is null", `{"id":null}`, `field "id" is an object, an array or null`},
	{"field is an object", `{"id":{"a":1}}`, `field "id" is an object`},
	{"field is empty", `{"id":""}`, `field "id" is an empty string`},
	{"key too long", `{"id":"` + strings.Repeat("x", partitionkey.MaxLength+1) + `"}`, `field "id" has 129 characters`},
	{"blank", " ", "not a JSON object"},
}

func TestNothingOfAFileIsSentWhenALineIsBad(t *testing.T) {
	server := startServer(t)
	for _, test := range badLines {
		t.Run(test.name, func(t *testing.T) {
			file := writeFile(t, "{\"id\":\"a\"}\n\n"+test.line+"\n{\"id\":\"b\"}\n")
			got := program{}.run(t, "publish", "--key", "id", "--connection-string", server.ConnectionString(""), file)
			got.want(t, exitBadInput, file+": line 3: "+test.want)
			if got.stdout != "" {
				t.Errorf("standard output: got %q want nothing", got.stdout)
			}
		})
	}
	if got := stored(server, "events"); len(got) != 0 {
		t.Errorf("events were sent: %q", got)
	}
}

func TestWhatCameBeforeABadLineOfAStreamIsPublished(t *testing.T) {
	for _, test := range badLines {
		t.Run(test.name, func(t *testing.T) {
			p := program{stdin: strings.NewReader("{\"id\":\"a\"}\n\n" + test.line + "\n{\"id\":\"b\"}\n")}
			got := p.run(t, "publish", "--key", "id", "--output", "json", "-")
			got.want(t, exitBadInput, "standard input: line 3: "+test.want)
			if r := got.report(t); r.Events != 1 || r.Bytes != len(`{"id":"a"}`) || !r.Verified {
				t.Errorf("unexpected report %+v", r)
			}
		})
	}
}

func TestSkipBadGoesOnAndCounts(t *testing.T) {
	var input strings.Builder
	for _, test := range badLines {
		fmt.Fprintf(&input, "{\"id\":\"a\"}\n%s\n", test.line)
	}
	fmt.Fprintf(&input, "%s\n{\"id\":\"last\"}", strings.Repeat("x", 2*maxEventBytes))
	for name, run := range map[string]func() result{
		"file": func() result {
			return program{}.run(t, "publish", "--key", "id", "--skip-bad", "--output", "json", writeFile(t, input.String()))
		},
		"standard input": func() result {
			p := program{stdin: strings.NewReader(input.String())}
			return p.run(t, "publish", "-", "--key", "id", "--skip-bad", "--output", "json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := run()
			got.want(t, exitOK, fmt.Sprintf("Left out: %d bad lines; the first: ", len(badLines)+1), "line 2: ")
			if r := got.report(t); r.Events != len(badLines)+1 || r.Skipped != len(badLines)+1 || !r.Verified {
				t.Errorf("unexpected report %+v", r)
			}
		})
	}
}

func TestKeysAreTheFieldsText(t *testing.T) {
	server := startServer(t)
	input := `{"a":{"b":"text"}}
{"a":{"b":"\u00e9"}}
{"a":{"b":1.50}}
{"a":{"b":true}}
{"a":{"c":0,"b":"second"}}
`
	p := program{stdin: strings.NewReader(input)}
	p.run(t, "publish", "--key=a.b", "--connection-string", server.ConnectionString(""), "-").want(t, exitOK)
	var keys []string
	for _, id := range server.PartitionIDs("events") {
		for e := range server.Events("events", id) {
			keys = append(keys, e.PartitionKey)
		}
	}
	slices.Sort(keys)
	if want := []string{"1.50", "second", "text", "true", "é"}; !slices.Equal(keys, want) {
		t.Errorf("keys: got %q want %q", keys, want)
	}
}

func TestEventsWithoutAKeyGoToThePartitionsInTurn(t *testing.T) {
	got := program{}.run(t, "publish", "--output", "json", "--partitions", "3", writeFile(t, strings.Repeat("same line\n", 300)))
	got.want(t, exitOK)
	r := got.report(t)
	for _, p := range r.Partitions {
		if p.Events != 100 {
			t.Errorf("partition %s: got %d events want 100", p.ID, p.Events)
		}
	}
	if len(r.Partitions) != 3 || !r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}

func TestNoEventsIsNoError(t *testing.T) {
	got := program{}.run(t, "publish", writeFile(t, "\n\n"))
	got.want(t, exitOK)
	if !strings.Contains(got.stdout, "0 events in") {
		t.Errorf("the report does not say that there were no events:\n%s", got.stdout)
	}
	if !strings.Contains(got.stdout, "nothing was published") || strings.Contains(got.stdout, "read back") {
		t.Errorf("the report says that nothing was read back:\n%s", got.stdout)
	}
}

func TestFailedBatchesAreCountedAndTold(t *testing.T) {
	server := startServer(t)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.PartitionID == "2" {
			return emulator.Reject("amqp:not-allowed", "partition 2 is not having any")
		}
		return emulator.Pass()
	})
	got := program{}.run(t, "publish", "--output", "json", "--connection-string", server.ConnectionString(""),
		writeFile(t, strings.Repeat("line\n", 40)))
	got.want(t, exitFailed, "10 of 40 events could not be published: 30 stored, 10 not stored, 0 possibly stored", "A batch of 10 events failed: partition 2: ", "partition 2 is not having any")
	if r := got.report(t); r.Events != 30 || r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}

func TestInterruptPublishesWhatWasReadBefore(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdin, lines := io.Pipe()
	defer lines.Close() // Ends the goroutine that still reads.
	var stdout, stderr bytes.Buffer
	status := make(chan int, 1)
	args := []string{"publish", "--output", "json", "--connection-string", server.ConnectionString(""), "-"}
	// The goroutine ends when ctx does; the test waits for its status.
	go func() { status <- program{stdin: stdin}.process(&stdout, &stderr).run(ctx, args) }()
	// Each write returns when the program has asked for the line before, so the first line is an
	// event by then.
	for _, text := range []string{"first\n", "second\n", "third\n"} {
		if _, err := io.WriteString(lines, text); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	got := result{<-status, stdout.String(), stderr.String()}
	got.want(t, exitFailed, "interrupted")
	r := got.report(t)
	if n := len(stored(server, "events")); r.Events < 1 || r.Events != n {
		t.Errorf("%d events were reported and %d are stored; want the same, at least 1", r.Events, n)
	}
}

func TestInterruptEndsTheCheckOfAFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	status := program{}.process(&stdout, &stderr).run(ctx, []string{"publish", earthquakes})
	result{status, stdout.String(), stderr.String()}.want(t, exitFailed, "eventhubs: interrupted\n")
}
