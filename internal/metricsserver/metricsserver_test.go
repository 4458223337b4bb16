package metricsserver_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(body)
}

func TestPrometheusReadsTheMetrics(t *testing.T) {
	server := emulatortest.New(t, nil)
	options := &eventhubs.Options{}
	metrics, err := metricsserver.Start("127.0.0.1:0", options, nil)
	if err != nil {
		t.Fatal(err)
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", options)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := producer.Publish(t.Context(), &eventhubs.Event{PartitionID: "0"}); err != nil {
			t.Fatal(err)
		}
	}
	text := get(t, "http://"+metrics.Addr()+"/")
	for _, want := range []string{
		"# TYPE messaging_client_sent_messages_total counter", "# TYPE eventhubs_producer_buffered_bytes gauge", "go_goroutines",
		`messaging_destination_partition_id="0"`, `eventhubs_health_state="ready"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if !strings.Contains(text, "messaging_client_sent_messages_total{") || !strings.Contains(text, "} 3\n") {
		t.Errorf("the three events are not counted in\n%s", text)
	}
	if err := producer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := metrics.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if response, err := http.Get("http://" + metrics.Addr() + "/metrics"); err == nil {
		_ = response.Body.Close()
		t.Error("it answers after Close")
	}
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	first, err := metricsserver.Start("127.0.0.1:0", &eventhubs.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := first.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := metricsserver.Start(first.Addr(), &eventhubs.Options{}, nil); err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("got %v, want an error that names %s", err, first.Addr())
	}
}
