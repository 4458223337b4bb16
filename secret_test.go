package eventhubs_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// guarded is an emulator that verifies tokens, and the options that reach it under a production name: over TLS, in memory.
func guarded(t *testing.T) (*emulator.Server, *eventhubs.ConnectionOptions) {
	server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(2), Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "send", Value: "right", Rights: emulator.RightSend}},
	}})
	return server, &eventhubs.ConnectionOptions{
		TLSConfig:   server.TLSConfig(),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) },
	}
}

const contoso = "contoso.servicebus.windows.net"

// signature is what somebody who has the key hands out.
func signature(lifetime time.Duration) string {
	return sas.Sign("amqps://"+contoso+"/hub", "send", "right", time.Now().Add(lifetime))
}

// impatient retries soon, so that a test need not count pauses.
var impatient = &eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1000, RetryDelay: time.Second, MaxRetryDelay: time.Second},
	OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}

func TestAKeyIsReplacedWhileTheConnectionRuns(t *testing.T) {
	t.Run("of a key", func(t *testing.T) {
		testAKeyIsReplaced(t, func(options *eventhubs.ConnectionOptions) (*eventhubs.Connection, error) {
			return eventhubs.NewConnectionFromKey(contoso, "send", "wrong", options)
		})
	})
	t.Run("of a connection string", func(t *testing.T) {
		testAKeyIsReplaced(t, func(options *eventhubs.ConnectionOptions) (*eventhubs.Connection, error) {
			return eventhubs.NewConnectionFromConnectionString("Endpoint=sb://"+contoso+"/;SharedAccessKeyName=send;SharedAccessKey=wrong", options)
		})
	})
}

func testAKeyIsReplaced(t *testing.T, made func(*eventhubs.ConnectionOptions) (*eventhubs.Connection, error)) {
	synctest.Test(t, func(t *testing.T) {
		_, options := guarded(t)
		connection, err := made(options)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(t.Context())
		p, err := connection.NewBufferedProducer("hub", impatient)
		if err != nil {
			t.Fatal(err)
		}
		published := make(chan error)
		go func() { published <- outcomeErr(p.Publish(t.Context(), &eventhubs.Event{})) }()
		time.Sleep(10 * time.Second)
		if e, ok := errors.AsType[*eventhubs.Error](p.Health().Err); !ok || e.Code != eventhubs.CodeUnauthorized {
			t.Errorf("with the wrong key Health is %v", p.Health().Err)
		}
		if err := connection.ReplaceKey("send", "right"); err != nil {
			t.Fatal(err)
		}
		if err := <-published; err != nil {
			t.Errorf("with the right key Publish returned %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestASignatureIsReplacedBeforeOrAfterItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, options := guarded(t)
		connection, err := eventhubs.NewConnectionFromSAS(contoso, signature(time.Hour), options)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(t.Context())
		p, err := connection.NewBufferedProducer("hub", impatient)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := p.Publish(t.Context(), &eventhubs.Event{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Minute)
			if err := connection.ReplaceSAS(signature(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour) // and now it is forgotten
		published := make(chan error)
		go func() { published <- outcomeErr(p.Publish(t.Context(), &eventhubs.Event{})) }()
		time.Sleep(time.Minute)
		if p.Health().Err == nil {
			t.Error("with a signature that has expired Health is good")
		}
		if err := connection.ReplaceSAS(signature(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := <-published; err != nil {
			t.Errorf("with another signature Publish returned %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := server.Counts("hub", "").Events; got != 6 {
			t.Errorf("%d events are stored, want 6", got)
		}
	})
}

func TestACredentialLetsTheProductionConstructorIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, options := guarded(t)
		p, err := eventhubs.NewBufferedProducer(contoso, "hub", server.Credential(emulator.RightSend), &eventhubs.Options{Connection: *options})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		refused, err := eventhubs.NewBufferedProducer(contoso, "hub", server.Credential(emulator.RightListen), &eventhubs.Options{Connection: *options, FailFast: true,
			OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = refused.Publish(t.Context(), &eventhubs.Event{})
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeUnauthorized {
			t.Errorf("with the right to listen only Publish returned %v", err)
		}
		_ = refused.Close(t.Context())
	})
}
