package emulatorhttp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
)

func TestEventsAreReadFromAStart(t *testing.T) {
	p := newPage(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}}, nil)
	begin := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	for i := range 6 {
		p.seed(t, fmt.Sprint(i%2), emulator.Event{Body: fmt.Appendf(nil, "body %d", i), EnqueuedTime: begin.Add(time.Duration(i) * time.Minute)})
	}
	second, _ := p.server.Event("events", "0", 1)
	for query, want := range map[string]string{
		"from=newest":                                   "1/2 0/2 1/1 0/1 1/0 0/0",
		"from=start":                                    "0/0 1/0 0/1 1/1 0/2 1/2",
		"from=start&partition=1":                        "1/0 1/1 1/2",
		"from=start&limit=2":                            "0/0 1/0",
		"from=start&q=BODY+4":                           "0/2",
		"from=sequence:1&partition=0":                   "0/1 0/2",
		"from=sequence:3&partition=0":                   "",
		"from=sequence:99&partition=0":                  "",
		"from=offset:" + second.Offset + "&partition=0": "0/1 0/2",
		"from=offset:0&partition=0":                     "0/0 0/1 0/2",
		"from=" + url.QueryEscape(begin.Add(3*time.Minute).Format(time.RFC3339)):                           "1/1 0/2 1/2",
		"from=time:" + url.QueryEscape(begin.Add(3*time.Minute+time.Millisecond).Format(time.RFC3339Nano)): "0/2 1/2",
		"from=-1s":                      "",
		"from=-2h":                      "0/0 1/0 0/1 1/1 0/2 1/2",
		"from=time:-57m30s&partition=1": "1/1 1/2",
	} {
		answer := decode[emulatorhttp.Events](t, p.get(t, "/api/events?hub=events&"+query, http.StatusOK))
		var got []string
		for _, e := range answer.Events {
			got = append(got, fmt.Sprintf("%s/%d", e.Partition, e.Sequence))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
		if all := !strings.Contains(query, "limit"); answer.All != all {
			t.Errorf("%s: all is %v, want %v", query, answer.All, all)
		}
	}
	for query, field := range map[string]string{
		"from=sequence:1": "partition", "from=offset:1": "partition", "from=sequence:-1&partition=0": "from", "from=sequence&partition=0": "from",
		"from=offset:x&partition=0": "from", "from=yesterday": "from", "from=latest": "from", "from=time:x": "from", "from=2026-01-02": "from", "from=15m": "from", "from=time:1s": "from",
		"limit=0": "limit", "limit=501": "limit",
	} {
		for _, path := range []string{"/api/events?hub=events&", "/api/records?hub=events&"} {
			if got := decode[problem](t, p.get(t, path+query, http.StatusBadRequest)); got.Field != field || got.Error == "" {
				t.Errorf("%s%s: %+v, want the field %s", path, query, got, field)
			}
		}
	}
}

func TestRecordsAreAFileOfEvents(t *testing.T) {
	p := newPage(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}}, &emulatorhttp.Options{Hidden: []string{"secret"}})
	if err := p.server.AddHub(emulator.Hub{Name: "secret"}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	long := strings.Repeat("x", 100_000)
	p.seed(t, "1", emulator.Event{Body: []byte(long), PartitionKey: "k", EnqueuedTime: at, Properties: map[string]any{"n": int32(7)}},
		emulator.Event{Body: []byte("\x00\xff"), EnqueuedTime: at}, emulator.Event{Message: []byte("\x00\x53\x77\xa1\x02hi"), EnqueuedTime: at})
	p.seed(t, "0", emulator.Event{Body: []byte("other"), EnqueuedTime: at.Add(time.Second)})
	lines := map[string]string{
		"1:0": `{"partition":"1","sequenceNumber":0,"offset":"0","enqueuedTime":"2026-01-02T03:04:05.006Z","key":"k","properties":{"n":7},"body":"` + long + `","types":{"properties":{"n":"int"}}}`,
		"1:1": `"enqueuedTime":"2026-01-02T03:04:05.006Z","key":null,"properties":{},"bodyBase64":"AP8="}`,
		"1:2": `"key":null,"properties":{},"bodyValue":"hi"}`,
		"0:0": `"sequenceNumber":0,"offset":"0","enqueuedTime":"2026-01-02T03:04:06.006Z","key":null,"properties":{},"body":"other"}`,
	}
	for query, want := range map[string]string{
		"events=1:0,0:0,1:1,1:2":              "1:0 0:0 1:1 1:2",
		"events=0:0,0:1,7:0":                  "0:0", // what is gone is left out
		"":                                    "0:0 1:2 1:1 1:0",
		"q=OTHER":                             "0:0",
		"from=sequence:1&partition=1&limit=1": "1:1",
	} {
		w := p.get(t, "/api/records?hub=events&"+query, http.StatusOK)
		if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="events.ndjson"` || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: the headers are %v", query, w.Header())
		}
		got := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
		places := strings.Fields(want)
		if len(got) != len(places) {
			t.Errorf("%s: %d lines, want %d", query, len(got), len(places))
			continue
		}
		for i, place := range places {
			if !strings.HasSuffix(got[i], lines[place]) {
				t.Errorf("%s: line %d is %.300s, want …%.300s", query, i, got[i], lines[place])
			}
		}
	}
	for query, status := range map[string]int{
		"hub=secret": 404, "hub=x&events=0:0": 404, "hub=events&events=": 400, "hub=events&events=0": 400, "hub=events&events=0:x": 400,
		"hub=events&events=" + strings.Repeat("0:0,", 500) + "0:0": 400,
	} {
		p.get(t, "/api/records?"+query, status)
	}
}
