package emulatorhttp_test

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
)

func TestAnEventIsSent(t *testing.T) {
	p := newPage(t, nil, nil)
	send := func(body string) emulator.Event {
		t.Helper()
		place := decode[emulatorhttp.Event](t, p.call(t, http.MethodPost, "/api/events", body, http.StatusCreated))
		e, ok := p.server.Event("events", place.Partition, place.Sequence)
		if !ok || place.Offset != e.Offset {
			t.Fatalf("%s: the answer is %+v, the server has %+v, %v", body, place, e, ok)
		}
		return e
	}
	e := send(`{"hub": "EVENTS", "partition": "2", "body": "käse <&>", "contentType": "text/plain", "messageId": "m-1",
		"properties": {"text": "x", "whole": 9223372036854775807, "double": 1.0, "exponent": 1e3, "yes": true, "none": null}}`)
	if e.PartitionID != "2" || string(e.Body) != "käse <&>" || e.ContentType != "text/plain" || e.MessageID != "m-1" || e.PartitionKey != "" {
		t.Errorf("stored is %+v", e)
	}
	want := map[string]any{"text": "x", "whole": int64(9223372036854775807), "double": 1.0, "exponent": 1e3, "yes": true, "none": nil}
	if !reflect.DeepEqual(e.Properties, want) {
		t.Errorf("the properties are %#v, want %#v", e.Properties, want)
	}
	first, second := send(`{"hub": "events", "key": "k", "bodyBase64": "AP8="}`), send(`{"hub": "events", "key": "k"}`)
	if first.PartitionKey != "k" || string(first.Body) != "\x00\xff" || first.PartitionID != second.PartitionID || second.SequenceNumber != first.SequenceNumber+1 {
		t.Errorf("by key: %+v, then %+v", first, second)
	}
	if a, b := send(`{"hub": "events"}`), send(`{"hub": "events"}`); a.PartitionID == b.PartitionID {
		t.Errorf("without a key both are in partition %s, want turns", a.PartitionID)
	}
	large := strings.Repeat("x", 1<<20)
	if e := send(`{"hub": "events", "body": "` + large + `"}`); string(e.Body) != large {
		t.Errorf("of 1 MiB %d bytes are stored", len(e.Body))
	}
	if e := send(`{"hub": "events", "bodyBase64": "` + base64.StdEncoding.EncodeToString([]byte(large)) + `"}`); string(e.Body) != large {
		t.Errorf("of 1 MiB in base64 %d bytes are stored", len(e.Body))
	}
}

func TestAnEventThatCannotBeSentNamesTheField(t *testing.T) {
	p := newPage(t, nil, &emulatorhttp.Options{Hidden: []string{"secret"}})
	for _, hub := range []emulator.Hub{{Name: "secret"}, {Name: "off", Disabled: true}} {
		if err := p.server.AddHub(hub); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		body   string
		status int
		want   problem // its Error is a part of the text
	}{
		{`{"hub": "x"}`, 404, problem{`there is no hub "x"`, "hub", ""}},
		{`{}`, 404, problem{`there is no hub ""`, "hub", ""}},
		{`{"hub": "secret"}`, 404, problem{`there is no hub "secret"`, "hub", ""}},
		{`{"hub": "off"}`, 409, problem{"hub off is disabled: enable it before you send", "hub", ""}},
		{`{"hub": "events", "partition": "4"}`, 400, problem{`hub events has no partition "4", only 0 to 3`, "partition", ""}},
		{`{"hub": "events", "partition": 0}`, 400, problem{"partition is 0: want a string", "partition", "0"}},
		{`{"hub": "events", "partition": "0", "key": "k"}`, 400, problem{"send only one of partition and key", "key", ""}},
		{`{"hub": "events", "key": "` + strings.Repeat("k", 129) + `"}`, 400, problem{"the key has 129 characters", "key", ""}},
		{`{"hub": "events", "body": "a", "bodyBase64": ""}`, 400, problem{"send only one of body and bodyBase64", "bodyBase64", ""}},
		{`{"hub": "events", "bodyBase64": "?"}`, 400, problem{`bodyBase64 is "?": want bytes in base64`, "bodyBase64", `"?"`}},
		{`{"hub": "events", "body": 7}`, 400, problem{"body is 7: want a string", "body", "7"}},
		{`{"hub": "events", "contentType": "käse"}`, 400, problem{"want ASCII", "contentType", ""}},
		{`{"hub": "events", "properties": []}`, 400, problem{"properties is []: want an object", "properties", "[]"}},
		{`{"hub": "events", "properties": {"n": 9223372036854775808}}`, 400, problem{"the property n is 9223372036854775808: want", "properties", "9223372036854775808"}},
		{`{"hub": "events", "properties": {"n": 1e999}}`, 400, problem{"the property n is 1e999: want", "properties", "1e999"}},
		{`{"hub": "events", "properties": {"n": {"a": 1}}}`, 400, problem{`the property n is {"a": 1}: want`, "properties", `{"a": 1}`}},
		{`{"hub": "events", "data": "x"}`, 400, problem{"there is no field data: send body, bodyBase64, ", "data", ""}},
		{`{"hub": "events", "body": "` + strings.Repeat("x", 9<<20) + `"}`, 413, problem{"the body is too large: send at most 8388608 bytes", "", ""}},
	} {
		got := decode[problem](t, p.call(t, http.MethodPost, "/api/events", test.body, test.status))
		if !strings.Contains(got.Error, test.want.Error) || got.Field != test.want.Field || got.Value != test.want.Value {
			t.Errorf("%.80s: got %+v, want %+v", test.body, got, test.want)
		}
	}
	for _, hub := range []string{"events", "off", "secret"} {
		if n := p.server.Counts(hub, "").Events; n != 0 {
			t.Errorf("%d events are stored in %s, want none", n, hub)
		}
	}
}
