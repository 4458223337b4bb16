package emulatorhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A page is a handler and its server.
type page struct {
	server  *emulator.Server
	handler http.Handler
}

func newPage(t *testing.T, options *emulator.Options, http *emulatorhttp.Options) page {
	t.Helper()
	if options == nil {
		options = &emulator.Options{}
	}
	options.Addr = emulator.InMemory
	server := emulatortest.New(t, options)
	return page{server, emulatorhttp.New(server, http)}
}

func (p page) seed(t *testing.T, partition string, events ...emulator.Event) {
	t.Helper()
	if err := p.server.Seed("events", partition, events...); err != nil {
		t.Fatal(err)
	}
}

// get requests a path as a browser that shows the page does, and checks the status.
func (p page) get(t *testing.T, path string, status int) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = "127.0.0.1:8080"
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code != status {
		t.Fatalf("%s: status %d, want %d: %s", path, w.Code, status, w.Body)
	}
	return w
}

// decode is the JSON of an answer.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("the content type is %q", got)
	}
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestThePageComesWithAllThatItNeeds(t *testing.T) {
	p := newPage(t, nil, nil)
	files, err := os.ReadDir("page")
	if err != nil || len(files) < 10 {
		t.Fatalf("the page has %d files, %v", len(files), err)
	}
	kinds := map[string]string{".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	for _, file := range files {
		path, kind := "/"+strings.TrimPrefix(file.Name(), "index.html"), kinds[filepath.Ext(file.Name())]
		w := p.get(t, path, http.StatusOK)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %q, want %q", path, got, kind)
		}
		for _, foreign := range []string{"http://", "https://", "url("} {
			if text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", ""); strings.Contains(text, foreign) {
				t.Errorf("%s refers to %s", path, foreign)
			}
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Access-Control-Allow-Origin": "",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", path, header, got, want)
			}
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; ") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: the policy is %q", path, got)
		}
	}
	for _, path := range []string{"/nothing", "/api/", "/api/nothing"} {
		p.get(t, path, http.StatusNotFound)
	}
}

func TestOnlyWhoMeansThisServerGetsIn(t *testing.T) {
	p := newPage(t, nil, &emulatorhttp.Options{Hosts: []string{"Build.Example"}})
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200, "[::1]": 200, "localhost": 200, "LOCALHOST:1": 200, "192.0.2.7:8080": 200, "build.example:8080": 200,
		"": 403, "evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "build.example.evil.example": 403, "a\xff": 403,
	} {
		for _, path := range []string{"/", "/api/snapshot"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			p.handler.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("host %q, %s: status %d, want %d", host, path, w.Code, want)
			}
		}
	}
	for site, want := range map[string]int{"same-origin": 200, "none": 200, "": 200, "cross-site": 403} {
		r := httptest.NewRequest(http.MethodGet, "/api/snapshot", nil)
		r.Host = "localhost"
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("asked by %q: status %d, want %d", site, w.Code, want)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		r := httptest.NewRequest(method, "/api/snapshot", nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, w.Code)
		}
	}
}

func TestTheSnapshot(t *testing.T) {
	p := newPage(t, &emulator.Options{
		ThroughputUnits: 2,
		Hubs: []emulator.Hub{
			{Name: "events", Partitions: 2, ConsumerGroups: []string{"g"}, Retention: emulator.Retention{Time: time.Hour, Events: 2}}, {Name: "off", Disabled: true}, {Name: "secret"},
		},
	}, &emulatorhttp.Options{InForce: []string{"All is slow."}, Hidden: []string{"SECRET"}})
	p.seed(t, "1", emulator.Event{Body: []byte("a")}, emulator.Event{Body: []byte("b")}, emulator.Event{Body: []byte("c")})
	got := decode[emulatorhttp.Snapshot](t, p.get(t, "/api/snapshot", http.StatusOK))
	if len(got.Hubs) != 2 || got.Hubs[0].Name != "events" || got.Hubs[0].Retention != "1h0m0s, 2 events" || !got.Hubs[1].Disabled || got.Address != emulator.InMemory {
		t.Fatalf("got %+v", got)
	}
	first, second := got.Hubs[0].Partitions[0], got.Hubs[0].Partitions[1]
	if first.Enqueued != nil || first.First != -1 || second.Events != 3 || second.HeldEvents != 2 || second.First != 1 || second.Last != 2 || second.Enqueued == nil {
		t.Errorf("the partitions are %+v, %+v", first, second)
	}
	if want := "All is slow.|Throughput units: 2. More than 2 MB or 2000 events a second are refused, and so are more than 50 management calls.|Hub off is disabled."; strings.Join(got.InForce, "|") != want {
		t.Errorf("in force is %q", got.InForce)
	}
	p.server.SetHook(emulator.Latency(1, 0, 0))
	if got := decode[emulatorhttp.Snapshot](t, p.get(t, "/api/snapshot", http.StatusOK)); strings.Contains(strings.Join(got.InForce, ""), "hook") {
		t.Errorf("in force is %q, which says the same twice", got.InForce)
	}
	if got.Durable || got.Discard || got.MaxMemory <= 0 {
		t.Errorf("durable %v, discard %v, maxMemory %d; want false, false and the bound", got.Durable, got.Discard, got.MaxMemory)
	}
	// An empty list is an empty array, never null, so the page need not check twice.
	if text := p.get(t, "/api/snapshot", http.StatusOK).Body.String(); strings.Contains(strings.ReplaceAll(text, `"enqueued":null`, ""), "null") {
		t.Errorf("null in %s", text)
	}
	p.get(t, "/api/events?hub=secret", http.StatusNotFound)
	if err := p.server.Seed("secret", "0", emulator.Event{}); err != nil {
		t.Fatal(err)
	}
	p.get(t, "/api/event?hub=secret&partition=0&sequence=0", http.StatusNotFound)
	p.get(t, "/api/body?hub=secret&partition=0&sequence=0", http.StatusNotFound)
}

func TestTheSnapshotIsBounded(t *testing.T) {
	p := newPage(t, nil, nil)
	for range 300 {
		nc, err := p.server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
	}
	got := decode[emulatorhttp.Snapshot](t, p.get(t, "/api/snapshot", http.StatusOK))
	if len(got.Connections) != 200 || got.ConnectionCount != 300 || got.Connections[199].Number != 300 {
		t.Errorf("%d connections of %d", len(got.Connections), got.ConnectionCount)
	}
}

func TestEventsAreFound(t *testing.T) {
	p := newPage(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}}, nil)
	p.seed(t, "0", emulator.Event{Body: []byte("In the Body"), PartitionKey: "the-Key"}, emulator.Event{Body: []byte("b"), MessageID: "the-ID"})
	p.seed(t, "1", emulator.Event{Properties: map[string]any{"Color": "Blue"}, ContentType: "text/Plain"}, emulator.Event{Body: []byte{0xff, 0}, Properties: map[string]any{"n": int64(12345678901234567)}})
	p.seed(t, "1", emulator.Event{Body: append(bytes.Repeat([]byte("x"), 64<<10), "too deep"...)})
	for query, want := range map[string]string{
		"":                        "1/2 1/1 1/0 0/1 0/0",
		"&limit=2&partition=1":    "1/2 1/1",
		"&partition=0":            "0/1 0/0",
		"&q=the":                  "0/1 0/0",
		"&q=THE-KEY":              "0/0",
		"&q=in+the+body":          "0/0",
		"&q=color":                "1/0",
		"&q=bLuE":                 "1/0",
		"&q=plain":                "1/0",
		"&q=12345678901234567":    "1/1",
		"&q=too+deep":             "",
		"&q=the&partition=1":      "",
		"&q=the&limit=1":          "0/1",
		"&partition=1&q=&limit=1": "1/2",
	} {
		e := decode[emulatorhttp.Events](t, p.get(t, "/api/events?hub=EVENTS"+query, http.StatusOK))
		var got []string
		for _, e := range e.Events {
			got = append(got, fmt.Sprintf("%s/%d", e.Partition, e.Sequence))
		}
		// Events of the same millisecond have no fixed order between partitions.
		if !sameEvents(got, want) {
			t.Errorf("%q: found %q, want %q", query, got, want)
		}
		if all := !strings.Contains(query, "limit"); e.All != all {
			t.Errorf("%q: all is %v after %d", query, e.All, e.Searched)
		}
	}
	for query, status := range map[string]int{
		"hub=nowhere": 404, "": 404, "hub=events&partition=2": 404, "hub=events&partition=00": 404, "hub=events&partition=x": 404, "hub=events&limit=0": 400, "hub=events&limit=501": 400, "hub=events&limit=x": 400,
	} {
		p.get(t, "/api/events?"+query, status)
	}
}

// sameEvents compares found events with the expected ones, in order within each partition.
func sameEvents(got []string, want string) bool {
	wanted := strings.Fields(want)
	if len(got) != len(wanted) {
		return false
	}
	for _, partition := range []string{"0/", "1/"} {
		var a, b []string
		for i := range got {
			if strings.HasPrefix(got[i], partition) {
				a = append(a, got[i])
			}
			if strings.HasPrefix(wanted[i], partition) {
				b = append(b, wanted[i])
			}
		}
		if strings.Join(a, " ") != strings.Join(b, " ") {
			return false
		}
	}
	return true
}

func TestASearchEnds(t *testing.T) {
	p := newPage(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}}, nil)
	events := make([]emulator.Event, 20_001)
	for i := range events {
		events[i].Body = []byte("hay")
	}
	events[0].Body = []byte("needle")
	p.seed(t, "0", events...)
	got := decode[emulatorhttp.Events](t, p.get(t, "/api/events?hub=events&q=needle", http.StatusOK))
	if len(got.Events) != 0 || got.Searched != 20_000 || got.All {
		t.Errorf("got %d events among %d, all %v", len(got.Events), got.Searched, got.All)
	}
	large := newPage(t, nil, nil)
	for range 1100 {
		large.seed(t, "0", emulator.Event{Body: make([]byte, 64<<10)})
	}
	if got := decode[emulatorhttp.Events](t, large.get(t, "/api/events?hub=events&q=needle", http.StatusOK)); got.Searched != 1025 || got.All {
		t.Errorf("%d events of 64 KiB are searched, all %v, want 64 MiB of them", got.Searched, got.All)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/events?hub=events&q=needle", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if got := decode[emulatorhttp.Events](t, w); got.Searched != 0 {
		t.Errorf("for a client that has gone %d events are searched", got.Searched)
	}
}

func TestBodiesAreShown(t *testing.T) {
	long := strings.Repeat("ä", 100_000)
	for _, test := range []struct {
		name, body         string
		kind, brief, whole string // the texts; an ellipsis at the end stands for more
		truncated          bool   // in whole
	}{
		{"text", "hello\tworld\n", "text", "hello\tworld\n", "hello\tworld\n", false},
		{"nothing", "", "text", "", "", false},
		{"JSON", `{"a":[1,12345678901234567890]}`, "json", `{"a":[1,12345678901234567890]}`, "{\n  \"a\": [\n    1,\n    12345678901234567890\n  ]\n}", false},
		{"almost JSON", `{"a":`, "text", `{"a":`, `{"a":`, false},
		{"a number", `1`, "text", `1`, `1`, false},
		{"binary", "\x00\xff", "binary", "00 ff", "00 ff", false},
		{"control characters", "a\x1b[31m", "binary", "61 1b 5b 33 31 6d", "61 1b 5b 33 31 6d", false},
		{"long text", long, "text", strings.Repeat("ä", 120), strings.Repeat("ä", 32<<10), true},
		{"long text cut in a character", "x" + long, "text", "x" + strings.Repeat("ä", 119), "x" + strings.Repeat("ä", 32<<10-1), true},
		{"long JSON", `["` + long + `"]`, "json", `["` + strings.Repeat("ä", 119), `["` + strings.Repeat("ä", 32<<10-1), true},
		{"HTML", `<script>alert(1)</script>`, "text", `<script>alert(1)</script>`, `<script>alert(1)</script>`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPage(t, nil, nil)
			p.seed(t, "0", emulator.Event{Body: []byte(test.body)})
			brief := decode[emulatorhttp.Events](t, p.get(t, "/api/events?hub=events", http.StatusOK)).Events[0].Body
			if brief.Kind != test.kind || brief.Text != test.brief || brief.Bytes != len(test.body) || brief.Truncated != (len(test.body) > 240) {
				t.Errorf("in the list it is %+v", brief)
			}
			whole := decode[emulatorhttp.Event](t, p.get(t, "/api/event?hub=events&partition=0&sequence=0", http.StatusOK)).Body
			if whole.Kind != test.kind || whole.Text != test.whole || whole.Bytes != len(test.body) || whole.Truncated != test.truncated {
				t.Errorf("by itself it is %s, %d bytes, truncated %v, %.200q", whole.Kind, whole.Bytes, whole.Truncated, whole.Text)
			}
			w := p.get(t, "/api/body?hub=events&partition=0&sequence=0", http.StatusOK)
			if w.Body.String() != test.body || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Disposition") != `attachment; filename="event-0-0.bin"` {
				t.Errorf("the file is %.200q, %v", w.Body, w.Header())
			}
		})
	}
}

func TestABodyThatIsAValue(t *testing.T) {
	p := newPage(t, nil, nil)
	p.seed(t, "0", emulator.Event{Message: []byte("\x00\x53\x77\xa1\x02hi")})
	got := decode[emulatorhttp.Event](t, p.get(t, "/api/event?hub=events&partition=0&sequence=0", http.StatusOK))
	if got.Body.Kind != "value" || got.Body.Text != "00 53 77 a1 02 68 69" || got.Body.Bytes != 7 || got.Body.Truncated {
		t.Errorf("got %+v", got.Body)
	}
	p.get(t, "/api/body?hub=events&partition=0&sequence=0", http.StatusNotFound)
}

// TestEventsOfAnyTimeAreShown has times that JSON of package time refuses. Browsers read years of
// six digits.
func TestEventsOfAnyTimeAreShown(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC):              "2026-01-02T03:04:05.006Z",
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC):           "9999-12-31T23:59:59Z",
		time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC):              "+010000-01-01T00:00:00Z",
		time.Date(12_345, 6, 7, 8, 9, 10, 5e6, time.UTC):           "+012345-06-07T08:09:10.005Z",
		time.Date(250_000_000, 1, 1, 0, 0, 0, 0, time.UTC):         "+250000000-01-01T00:00:00Z",
		time.Date(12_345, 1, 1, 0, 0, 0, 0, time.FixedZone("", 1)): "+012344-12-31T23:59:59Z",
	} {
		p := newPage(t, nil, nil)
		p.seed(t, "0", emulator.Event{Body: []byte("x"), EnqueuedTime: at})
		for _, path := range []string{"/api/events?hub=events", "/api/event?hub=events&partition=0&sequence=0", "/api/snapshot"} {
			w := p.get(t, path, http.StatusOK)
			if !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), `"enqueued":"`+want+`"`) {
				t.Errorf("%s of an event of %v: %q, want the time %s", path, at, w.Body, want)
			}
		}
	}
	p := newPage(t, nil, nil)
	if err := p.server.Seed("events", "0", emulator.Event{EnqueuedTime: time.Date(300_000_000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil || !strings.Contains(err.Error(), "Event.EnqueuedTime is 300000000-01-01") {
		t.Errorf("Seed with a time that AMQP cannot hold: %v", err)
	}
	p.seed(t, "1", emulator.Event{EnqueuedTime: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)})
	p.get(t, "/api/snapshot", http.StatusOK)
}

func TestAnEventIsToldAsAWhole(t *testing.T) {
	p := newPage(t, nil, nil)
	id := [16]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8}
	properties := map[string]any{"text": strings.Repeat("long ", 2000), "bytes": []byte{1, 0xab}, "when": time.Unix(1, 5e6), "int": int64(1) << 60, "yes": true}
	p.seed(t, "2", emulator.Event{Body: []byte("x"), PartitionKey: "k", MessageID: id, ContentType: "text/plain", Properties: properties})
	got := decode[emulatorhttp.Event](t, p.get(t, "/api/event?hub=events&partition=2&sequence=0", http.StatusOK))
	if got.Partition != "2" || got.Offset != "0" || got.Key == nil || *got.Key != "k" || got.MessageID != "12345678-9abc-def0-0102-030405060708" || got.ContentType != "text/plain" || got.Bytes < 10_000 {
		t.Errorf("got %+v", got)
	}
	values := make(map[string]emulatorhttp.Property)
	for _, property := range got.Properties {
		values[property.Name] = property
	}
	for name, want := range map[string]string{
		"bytes binary": "01ab", "when timestamp": "1970-01-01T00:00:01.005Z", "int long": "1152921504606846976", "yes boolean": "true",
	} {
		name, kind, _ := strings.Cut(name, " ")
		if values[name].Value != want || values[name].Type != kind {
			t.Errorf("%s is %+v, want %s, a %s", name, values[name], want, kind)
		}
	}
	if n := len([]rune(values["text"].Value)); n != 4<<10+1 {
		t.Errorf("the long property is told with %d characters", n)
	}
	brief := decode[emulatorhttp.Events](t, p.get(t, "/api/events?hub=events", http.StatusOK)).Events[0]
	if len(brief.Properties) != 5 || len([]rune(brief.Properties[2].Value)) != 81 {
		t.Errorf("the list tells %+v", brief.Properties)
	}
	for query, status := range map[string]int{
		"hub=events&partition=2&sequence=1": 404, "hub=events&partition=9&sequence=0": 404, "hub=no&partition=2&sequence=0": 404, "hub=events&partition=2&sequence=x": 400, "hub=events&partition=2": 400, "hub=events&partition=2&sequence=-1": 404,
	} {
		p.get(t, "/api/event?"+query, status)
		p.get(t, "/api/body?"+query, status)
	}
}

func TestNoSecretIsTold(t *testing.T) {
	const secret = "c2VjcmV0LW9mLXRoZS1wYWdl"
	p := newPage(t, &emulator.Options{Authentication: &emulator.Authentication{Keys: []emulator.Key{{Name: "RootManageSharedAccessKey", Value: secret, Rights: emulator.RightManage}}}}, nil)
	for _, path := range []string{"/", "/page.js", "/api/snapshot", "/api/events?hub=events"} {
		if text := p.get(t, path, http.StatusOK).Body.String(); strings.Contains(text, secret) || strings.Contains(text, "SAS_KEY_VALUE") {
			t.Errorf("%s tells the key", path)
		}
	}
}

func TestALargeEventIsCheapToList(t *testing.T) {
	p := newPage(t, nil, nil)
	p.seed(t, "0", emulator.Event{Body: bytes.Repeat([]byte("large "), 10<<20/6)}, emulator.Event{Body: make([]byte, 10<<20)})
	for _, path := range []string{"/api/events?hub=events", "/api/events?hub=events&q=nothing", "/api/event?hub=events&partition=0&sequence=0", "/api/event?hub=events&partition=0&sequence=1"} {
		if n := p.get(t, path, http.StatusOK).Body.Len(); n > 100_000 {
			t.Errorf("%s answers with %d bytes", path, n)
		}
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			p.get(t, "/api/events?hub=events", http.StatusOK)
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Errorf("a list with two events of 10 MB allocates %d bytes", allocated)
	}
}

func FuzzQueries(f *testing.F) {
	f.Add("hub=events&partition=0&sequence=0&q=x&limit=3", []byte(`{"a":1}`))
	f.Add("hub=events&partition=0&from=offset:0&events=0:0,1:2", []byte("x"))
	f.Add("hub=events&from=2026-01-02T03:04:05Z", []byte{})
	f.Add("hub=events&partition=00&sequence=99999999999999999999", []byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		if err := server.Seed("events", "0", emulator.Event{Body: body}); err != nil {
			t.Fatal(err)
		}
		handler := emulatorhttp.New(server, nil)
		for _, path := range []string{"/api/events", "/api/event", "/api/body", "/api/records"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host, r.URL.RawQuery = "localhost", query
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s?%s: %q is not JSON", path, query, w.Body)
			}
		}
	})
}

func Example() {
	server, err := emulator.New(nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()
	_ = server.Seed("events", "0", emulator.Event{Body: []byte("hello")})

	page := httptest.NewServer(emulatorhttp.New(server, nil)) // http.ListenAndServe, in a program
	defer page.Close()
	response, err := http.Get(page.URL + "/api/body?" + url.Values{"hub": {"events"}, "partition": {"0"}, "sequence": {"0"}}.Encode())
	if err != nil {
		panic(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	fmt.Printf("%s\n", body)
	// Output: hello
}
