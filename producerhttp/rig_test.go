package producerhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// Texts that must not be in any answer.
const (
	secretBody = "body-do-not-show"
	secretKey  = "key-do-not-show"
	signingKey = "c2lnbmluZy1rZXktZG8tbm90LXNob3c="
)

var discard = slog.New(slog.DiscardHandler)

func dialer(server *emulator.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }
}

// newServer starts an emulator in memory, whose hub "orders" has that many partitions.
func newServer(t *testing.T, partitions int, options emulator.Options) *emulator.Server {
	t.Helper()
	options.Addr, options.Hubs = emulator.InMemory, []emulator.Hub{{Name: "orders", Partitions: partitions}}
	options.Authentication = &emulator.Authentication{Keys: []emulator.Key{{Name: "RootManageSharedAccessKey", Value: signingKey, Rights: emulator.RightManage}}}
	return emulatortest.New(t, &options)
}

// newProducer makes a producer for the hub of a server. The test closes it.
func newProducer(t *testing.T, server *emulator.Server, options eventhubs.Options) *eventhubs.BufferedProducer {
	t.Helper()
	options.Connection.DialContext = dialer(server)
	options.Identifier, options.Logger = "shop-1", discard
	p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("orders"), "", &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // if the test has not ended it
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

// stream enqueues an event a second for each of the partitions, for that time. It does not wait for
// room: then it skips the event, as a source that cannot wait does.
func stream(t *testing.T, p *eventhubs.BufferedProducer, partitions int, lasts time.Duration) {
	t.Helper()
	for range lasts / time.Second {
		for i := range partitions {
			err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte(secretBody), PartitionID: fmt.Sprint(i), Properties: map[string]any{"p": secretKey}})
			if err != nil && !errors.Is(err, eventhubs.ErrBufferFull) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
	}
}

// ask sends a request to a handler as curl does, unless the edits change it.
func ask(t *testing.T, h http.Handler, target string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.Host = "127.0.0.1:8080"
	r.Header.Set("Accept", "*/*")
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// get returns an answer of status 200.
func get(t *testing.T, h http.Handler, target string) string {
	t.Helper()
	w := ask(t, h, target)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", target, w.Code, w.Body)
	}
	for _, secret := range []string{secretBody, secretKey, signingKey, "SharedAccessKey", "SharedAccessSignature", "sig="} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("%s shows %q:\n%s", target, secret, w.Body)
		}
	}
	return w.Body.String()
}

// An answer is the JSON of a report, as a program reads it.
type answer struct {
	Time      time.Time
	Producers []struct {
		Name, FullyQualifiedNamespace, EventHub, Identifier string
		Closed                                              bool
		Health                                              struct {
			State, Error, Code string
			Since              time.Time
			Partitions, Full   []string
		}
		Stats struct {
			BufferedEvents, WaitingCallers, StoredEvents, NotStoredEvents, ThrottledTries int
			Partitions                                                                    []partition
			Journal                                                                       *journal
		}
		Rates   []map[string]float64
		Changes []struct {
			At                          time.Time
			State, Message, Error, Code string
			Partitions                  []string
		}
	}
}

type partition struct {
	ID, State, Waiting, Error, LastError, LastCode string
	BufferedEvents, BufferedBytes, BatchesInFlight int
	OldestEventAgeSeconds                          float64
	Since, LastFailure                             time.Time
}

type journal struct {
	Events, Recovered         int
	Bytes, MaxBytes, DiskFree int64
	Oldest, LastSync          time.Time
	SlowestSyncSeconds        float64
	Error, Code               string
}

// read returns the JSON of a handler.
func read(t *testing.T, h http.Handler, target string) (a answer) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, h, target)), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// wantAll checks that an answer has all texts.
func wantAll(t *testing.T, what, answer string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(answer, text) {
			t.Errorf("the %s has no %q:\n%s", what, text, answer)
		}
	}
}
