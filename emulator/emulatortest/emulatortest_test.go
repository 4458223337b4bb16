package emulatortest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

func TestServerIsClosedWhenItsTestEnds(t *testing.T) {
	var server *emulator.Server
	t.Run("inner", func(t *testing.T) {
		server = emulatortest.New(t, nil)
		if _, err := server.Dial(t.Context()); err != nil {
			t.Errorf("Dial while the test runs: %v", err)
		}
	})
	if _, err := server.Dial(t.Context()); !errors.Is(err, emulator.ErrClosed) {
		t.Errorf("Dial when the test has ended: %v, want ErrClosed", err)
	}
}

// sendOrders stands for the code under test.
func sendOrders(ctx context.Context, connectionString string) {
	client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, "", nil)
	if err != nil {
		return
	}
	defer func() { _ = client.Close(ctx) }()
	for range 2 {
		batch, err := client.NewEventDataBatch(ctx, nil)
		if err != nil || batch.AddEventData(&azeventhubs.EventData{Body: []byte("an order")}, nil) != nil {
			return
		}
		_ = client.SendEventDataBatch(ctx, batch, nil)
	}
}

// TestOrdersAreSent is the example of docs/emulator.md, verbatim.
func TestOrdersAreSent(t *testing.T) {
	server := emulatortest.New(t, nil) // one hub, "events", 4 partitions, a free port; closed when the test ends
	sendOrders(t.Context(), server.ConnectionString("events"))
	if err := server.WaitForEvents(t.Context(), "events", 2); err != nil {
		t.Fatal(err)
	}
	for event := range server.Events("events", "0") {
		t.Logf("%d: %s", event.SequenceNumber, event.Body)
	}
}

// A recorder is a test that fails into a buffer.
type recorder struct {
	testing.TB
	output bytes.Buffer
	failed string
}

func (r *recorder) Output() io.Writer { return &r.output }
func (r *recorder) Fatal(args ...any) { r.failed = args[0].(error).Error(); panic(r) }

func TestServerThatCannotStartFailsTheTest(t *testing.T) {
	r := &recorder{TB: t}
	defer func() {
		if recover() != r || !strings.Contains(r.failed, "Options.MaxMessageSize") {
			t.Errorf("New failed the test with %q", r.failed)
		}
	}()
	emulatortest.New(r, &emulator.Options{MaxMessageSize: 1})
}
