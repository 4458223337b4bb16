package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// metricsAt matches publish's line with the address of its metrics.
var metricsAt = regexp.MustCompile(`(?m)^Metrics: (http://127\.0\.0\.1:\d+/metrics)$`)

// scrape asks for metrics as Prometheus does.
func scrape(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}

func TestMetricsAreScrapedWhileItPublishes(t *testing.T) {
	server := startServer(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	server.SetHook(func(ctx context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			arrived <- struct{}{}
			<-answer
		}
		return emulator.Pass()
	})
	stdin, lines := io.Pipe()
	p := program{stdin: stdin, env: map[string]string{connectionEnv: server.ConnectionString("events")}}
	publish := p.start(t, "publish", "--metrics", ":0", "--partition", "1", "-")
	defer publish.stop()
	for _, line := range []string{"first\n", "second\n"} {
		if _, err := io.WriteString(lines, line); err != nil {
			t.Fatal(err)
		}
		<-arrived
		if line == "first\n" {
			answer <- struct{}{}
		}
	}
	// The first event has its outcome, since the second is in flight in the same partition.
	said, _ := publish.stderr.get()
	found := metricsAt.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("standard error does not say where the metrics are: %q", said)
	}
	text := scrape(t, found[1])
	for _, want := range []string{
		`messaging_client_sent_messages_total\{.*messaging_destination_name="events",messaging_destination_partition_id="1",.*\} 1`,
		`eventhubs_producer_settled_events_total\{.*eventhubs_storage="stored",.*\} 1`,
		`eventhubs_producer_buffered_events\{.*messaging_destination_partition_id="1".*\} 1`,
		`eventhubs_producer_inflight_batches\{.*messaging_destination_partition_id="1".*\} 1`,
		`eventhubs_producer_health\{.*eventhubs_health_state="ready".*\} 1`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text) {
			t.Errorf("no line is %s\n%s", want, text)
		}
	}
	answer <- struct{}{}
	if err := lines.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := io.ReadAll(publish.stdout)
	if err != nil || !strings.Contains(string(report), "2 events in ") {
		t.Errorf("the report is %q, %v", report, err)
	}
	if status := publish.stop(); status != exitOK {
		t.Errorf("status: got %d want 0", status)
	}
	if response, err := http.Get(found[1]); err == nil {
		_ = response.Body.Close()
		t.Error("the metrics are there when the command has ended")
	}
}

func TestMetricsAreThereWithTheEmbeddedEmulatorToo(t *testing.T) {
	got := program{}.run(t, "publish", "--metrics", "127.0.0.1:0", "--output", "json", earthquakes)
	got.want(t, exitOK)
	if !metricsAt.MatchString(got.stderr) {
		t.Errorf("standard error does not say where the metrics are: %q", got.stderr)
	}
	if r := got.report(t); r.Events != 1707 || !r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}
