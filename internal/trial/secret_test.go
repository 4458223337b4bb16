package trial

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAKeyIsReplacedWhileTheConnectionRuns(t *testing.T) {
	t.Run("of a key", func(t *testing.T) {
		testAKeyIsReplaced(t, func(options *eventhubs.ConnectionOptions) (*eventhubs.Connection, error) {
			return eventhubs.NewConnectionFromKey(world.Contoso, "send", "wrong", options)
		})
	})
	t.Run("of a connection string", func(t *testing.T) {
		testAKeyIsReplaced(t, func(options *eventhubs.ConnectionOptions) (*eventhubs.Connection, error) {
			return eventhubs.NewConnectionFromConnectionString("Endpoint=sb://"+world.Contoso+"/;SharedAccessKeyName=send;SharedAccessKey=wrong", options)
		})
	})
}

func testAKeyIsReplaced(t *testing.T, made func(*eventhubs.ConnectionOptions) (*eventhubs.Connection, error)) {
	synctest.Test(t, func(t *testing.T) {
		_, options := world.Guarded(t)
		connection, err := made(options)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(t.Context())
		p, err := connection.NewBufferedProducer("hub", world.Impatient)
		if err != nil {
			t.Fatal(err)
		}
		published := make(chan error)
		go func() { published <- world.OutcomeErr(p.Publish(t.Context(), &eventhubs.Event{})) }()
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
		server, options := world.Guarded(t)
		connection, err := eventhubs.NewConnectionFromSAS(world.Contoso, world.Signature(time.Hour), options)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(t.Context())
		p, err := connection.NewBufferedProducer("hub", world.Impatient)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := p.Publish(t.Context(), &eventhubs.Event{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Minute)
			if err := connection.ReplaceSAS(world.Signature(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour) // now the connection has forgotten it
		published := make(chan error)
		go func() { published <- world.OutcomeErr(p.Publish(t.Context(), &eventhubs.Event{})) }()
		time.Sleep(time.Minute)
		if p.Health().Err == nil {
			t.Error("with a signature that has expired Health is good")
		}
		if err := connection.ReplaceSAS(world.Signature(time.Hour)); err != nil {
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
		server, options := world.Guarded(t)
		p, err := eventhubs.NewBufferedProducer(world.Contoso, "hub", server.Credential(emulator.RightSend), &eventhubs.Options{Connection: *options})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		refused, err := eventhubs.NewBufferedProducer(world.Contoso, "hub", server.Credential(emulator.RightListen), &eventhubs.Options{Connection: *options, FailFast: true,
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
