package eventhubs

import (
	"context"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const aParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// FuzzTraceParent checks that our code and OpenTelemetry's propagator read a traceparent as the
// same, and write the same.
func FuzzTraceParent(f *testing.F) {
	for _, text := range []string{
		"", aParent, "00-01000000000000000000000000000000-0200000000000000-00", "00-00000000000000000000000000000000-0200000000000000-01",
		"00-01000000000000000000000000000000-0000000000000000-01", "01-01000000000000000000000000000000-0200000000000000-01",
		"00-0100000000000000000000000000000A-0200000000000000-03", "00-01000000000000000000000000000000_0200000000000000-01",
		"00-01000000000000000000000000000000-0200000000000000-0g", "00-01000000000000000000000000000000-0200000000000000-010",
		"00-01000000000000000000000000000000-0200000000000000-01-", // OpenTelemetry 1.47 takes it
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": text})
		want, got := trace.SpanContextFromContext(ctx), parseTraceParent(text)
		if fromBytes := parseTraceParent([]byte(text)); fromBytes != got {
			t.Errorf("%q: the bytes are read as %v, the string as %v", text, fromBytes, got)
		}
		if !strings.HasPrefix(text, parentPrefix) || len(text) != len(aParent) {
			if got.IsValid() {
				t.Errorf("%q, of another version or length, is read as %v", text, got)
			}
			return
		}
		if !want.IsValid() {
			return // a flag that version 00 does not define, or malformed
		}
		if got.TraceID != want.TraceID() || got.SpanID != want.SpanID() || got.IsSampled() != want.IsSampled() {
			t.Errorf("%q is read as %v, want %v", text, got, want)
		}
		written := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, written)
		if got.String() != written["traceparent"] {
			t.Errorf("%q is written as %q, want %q", text, got, written["traceparent"])
		}
	})
}

func TestAMalformedTraceParentIsNone(t *testing.T) {
	for _, text := range []string{
		"", aParent[1:], aParent + "0", strings.ToUpper(aParent), strings.Replace(aParent, "-", "_", 3), "00" + strings.Repeat("-", 53),
		strings.Replace(aParent, "0af7651916cd43dd8448eb211c80319c", strings.Repeat("0", 32), 1), "|old.style.",
	} {
		if got := parseTraceParent(text); got != (TraceParent{}) {
			t.Errorf("%q is read as %v, want none", text, got)
		}
	}
	if got := parseTraceParent(aParent).String(); got != aParent {
		t.Errorf("got %s, want %s", got, aParent)
	}
}

// Headers of Kafka producers arrive as bytes, and their names in any case. Older Azure SDKs write
// Diagnostic-Id.
var carriers = map[string]struct {
	properties map[string]any
	has        bool
	want       string // empty: no valid one
}{
	"nothing":               {nil, false, ""},
	"others":                {map[string]any{"traceparents": aParent, "diagnostic_id": aParent, "other-names": aParent}, false, ""},
	"traceparent":           {map[string]any{"traceparent": aParent, "other": 5}, true, aParent},
	"bytes":                 {map[string]any{"traceparent": []byte(aParent)}, true, aParent},
	"another case":          {map[string]any{"TraceParent": aParent}, true, aParent},
	"bytes in another case": {map[string]any{"TRACEPARENT": []byte(aParent)}, true, aParent},
	"Diagnostic-Id":         {map[string]any{"Diagnostic-Id": aParent}, true, aParent},
	"diagnostic-id":         {map[string]any{"diagnostic-id": []byte(aParent)}, true, aParent},
	"the W3C's is believed": {map[string]any{"Diagnostic-Id": strings.Replace(aParent, "b7", "c8", 1), "traceparent": aParent}, true, aParent},
	"an old Diagnostic-Id":  {map[string]any{"Diagnostic-Id": "|old.style."}, true, ""},
	"the exact name":        {map[string]any{"TraceParent": strings.Replace(aParent, "-0", "-1", 1), "traceparent": aParent, "Traceparent": "malformed"}, true, aParent},
	"no text":               {map[string]any{"traceparent": int64(5)}, true, ""},
}

func TestAnEventsOwnTraceParentIsFound(t *testing.T) {
	for name, c := range carriers {
		t.Run(name, func(t *testing.T) {
			got, has := parentOf(c.properties)
			if got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want || has != c.has {
				t.Errorf("got %v, %v, want %q, %v", got, has, c.want, c.has)
			}
			var w wireEvent
			if err := w.encode(&Event{Properties: c.properties, Body: []byte("body")}, "a key"); err != nil {
				t.Fatal(err)
			}
			if got := parentIn(append(w.head, w.body...)); got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want {
				t.Errorf("encoded: got %v, want %q", got, c.want)
			}
			added := Properties{own: c.properties}
			if parent := (TraceParent{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Flags: 1}); added.AddTraceParent(parent) == c.has {
				t.Errorf("added %v, want the other", !c.has)
			}
		})
	}
}

// Several Traces may add to one event's properties.
func TestAddedPropertiesCarryOneTraceParent(t *testing.T) {
	second := TraceParent{TraceID: [16]byte{1}, SpanID: [8]byte{2}}
	for name, c := range map[string]struct {
		add  func(p *Properties)
		want []string // names
		is   TraceParent
	}{
		"as text":             {func(p *Properties) { p.Add("TraceParent", aParent); p.AddTraceParent(second) }, []string{"TraceParent"}, parseTraceParent(aParent)},
		"as text later":       {func(p *Properties) { p.AddTraceParent(second); p.Add("traceparent", aParent) }, []string{"traceparent"}, second},
		"twice":               {func(p *Properties) { p.AddTraceParent(second); p.AddTraceParent(parseTraceParent(aParent)) }, []string{"traceparent"}, second},
		"Diagnostic-Id first": {func(p *Properties) { p.Add("Diagnostic-Id", aParent); p.AddTraceParent(second) }, []string{"Diagnostic-Id"}, parseTraceParent(aParent)},
		"Diagnostic-Id, then as text": {func(p *Properties) { p.Add("Diagnostic-Id", aParent); p.seek(); p.Add("traceparent", second.String()) },
			[]string{"Diagnostic-Id", "traceparent"}, second},
		"after a look":      {func(p *Properties) { p.seek(); p.Add("traceparent", aParent) }, []string{"traceparent"}, parseTraceParent(aParent)},
		"an invalid one":    {func(p *Properties) { p.AddTraceParent(TraceParent{}) }, nil, TraceParent{}},
		"none, after a few": {func(p *Properties) { p.Add("a", "1"); p.Add("b", "") }, []string{"a", "b"}, TraceParent{}},
	} {
		var p Properties
		p.reset(nil)
		c.add(&p)
		var names []string
		for _, a := range p.added {
			names = append(names, a.name)
		}
		if p.ours {
			names = append(names, "traceparent")
		}
		if p.count() != len(names) {
			t.Errorf("%s: got %d, want %d", name, p.count(), len(names))
		}
		if has := p.seek(); !slices.Equal(names, c.want) || has != c.is.IsValid() || has && p.parent != c.is {
			t.Errorf("%s: got %q with %v, want %q with %v", name, names, p.parent, c.want, c.is)
		}
		if has := p.contains("traceparent"); has != slices.Contains(names, "traceparent") {
			t.Errorf("%s: contains says %v", name, has)
		}
	}
}

// FuzzParentIn checks that an event's TraceParent is found where decoding the event finds it, and
// that no event crashes it.
func FuzzParentIn(f *testing.F) {
	for _, c := range carriers {
		var w wireEvent
		if err := w.encode(&Event{Properties: c.properties, Body: []byte("body")}, "a key"); err != nil {
			f.Fatal(err)
		}
		f.Add(append(w.head, w.body...))
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		got := parentIn(encoded)
		message, err := amqp.ParseMessage(encoded)
		if err != nil {
			return
		}
		if len(message.ApplicationProperties) != 1 {
			return
		}
		own := map[string]any{}
		for _, pair := range message.ApplicationProperties {
			if name, ok := pair.Key.(string); ok {
				own[name] = pair.Value
			}
		}
		if want, _ := parentOf(own); len(own) == 1 && want != got {
			t.Errorf("%x: got %v, want %v", encoded, got, want)
		}
	})
}

// A TraceParent stays with its event when batches are cut, and when their events move.
func TestATraceParentStaysWithItsEvent(t *testing.T) {
	parents := func(b *batch) (ids []byte) {
		for parent := range (TracedBatch{batch: b}).TraceParents() {
			ids = append(ids, parent.SpanID[0])
		}
		return ids
	}
	b := newBatch()
	for i := range byte(8) {
		var x extra
		if i%3 != 0 {
			x.parent = TraceParent{TraceID: [16]byte{1}, SpanID: [8]byte{i}}
		}
		b.append([]byte{i}, nil, &x, b.first)
	}
	if got := parents(b); !slices.Equal(got, []byte{1, 2, 4, 5, 7}) {
		t.Errorf("got the spans %v, want 1 2 4 5 7", got)
	}
	s := b.split(func(i int) bool { return i == 2 || i == 3 || i == 7 }, 1<<20)
	s.leaveLocked()
	if got, left := parents(b), parents(s.pieces[0]); !slices.Equal(got, []byte{1, 4, 5}) || !slices.Equal(left, []byte{2, 7}) {
		t.Errorf("got %v and %v, want 1 4 5 and 2 7", got, left)
	}
	b.reset()
	if got := parents(b); got != nil {
		t.Errorf("an empty batch has the spans %v", got)
	}
	if got := parents(nil); got != nil {
		t.Errorf("the zero TracedBatch has the spans %v", got)
	}
}

func TestATraceParentAllocatesNothing(t *testing.T) {
	v := &observer{parents: true, trace: &Trace{Encoding: func(_ context.Context, e TracedEncoding) {
		e.Properties.AddTraceParent(TraceParent{TraceID: [16]byte{1}, SpanID: [8]byte{2}})
	}}}
	event, found := &Event{Body: []byte("body")}, 0
	var w wireEvent // a pool may drop what it is given
	if n := testing.AllocsPerRun(1000, func() {
		var x extra
		v.encoding(t.Context(), &w, event.Properties)
		if err := w.encode(event, ""); err != nil {
			t.Fatal(err)
		}
		if v.parentOf(&w, &x.parent); x.parent.IsValid() {
			found++
		}
	}); n != 0 || found != 1001 {
		t.Errorf("%v allocations for an event, and %d of 1001 have a TraceParent; want 0 and all", n, found)
	}
}
