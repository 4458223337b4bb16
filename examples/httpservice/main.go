// A web service publishes an event for each request, and answers with the event's outcome, which
// Publish returns. If the event is not stored and the failure may pass, the service publishes it
// once more. That makes no duplicate. An event that is possibly stored, or pending at the request's
// end, is not published again. The answer says so, since only the caller knows whether a duplicate
// does harm. Here the emulator refuses the first order once, and loses the acknowledgement of the
// second.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// patience bounds a request. After that time its event is pending. It is longer than the producer's
// own tries usually take.
const patience = time.Minute

// orders answers an order when its outcome is known.
func orders(producer *eventhubs.BufferedProducer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		event := &eventhubs.Event{Body: body, PartitionKey: r.Header.Get("Customer")}
		outcome, err := producer.Publish(ctx, event)
		if failure, ok := errors.AsType[*eventhubs.Error](err); ok && failure.Transient && outcome.Storage == eventhubs.NotStored {
			outcome, err = producer.Publish(ctx, event)
		}
		switch {
		case err == nil:
			fmt.Fprintln(w, outcome.Storage)
		case outcome.Storage == eventhubs.NotStored:
			http.Error(w, "not stored: order again", http.StatusServiceUnavailable)
		default: // possibly stored, or pending
			http.Error(w, outcome.Storage.String()+": an order now may be the second", http.StatusGatewayTimeout)
		}
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		// The example causes the failures itself.
		Logger: slog.New(slog.DiscardHandler),
		// For a short demonstration; otherwise keep the default, 15.
		Retry: eventhubs.RetryOptions{MaxRetries: -1},
		// Each request reports its failure, so Close need not.
		FlushOmitsTold: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()
	service := httptest.NewServer(orders(producer))
	defer service.Close()

	tries := 0
	h.OnTransfer(func(emulator.Operation) emulator.Action {
		switch tries++; tries {
		case 1:
			return emulator.Reject("amqp:internal-error", "once")
		case 3:
			return emulator.Cut().Stored()
		}
		return emulator.Pass()
	})
	for _, what := range []string{"tea", "milk", "bread"} {
		fmt.Printf("%s: %s\n", what, order(service.URL, what))
	}
	fmt.Println("in the event hub:", h.Stored("0"))
	return nil
}

// order acts as a customer.
func order(url, what string) string {
	reply, err := http.Post(url, "text/plain", strings.NewReader(what))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d, %s", reply.StatusCode, strings.TrimSpace(string(text)))
}
