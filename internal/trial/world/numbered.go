package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

const (
	Stolen     = "com.microsoft:producer-epoch-stolen"
	OutOfOrder = "com.microsoft:out-of-order-sequence"
)

// Publish returns an event's outcome.
func (w *World) Publish(p *eventhubs.BufferedProducer, partition, body string) eventhubs.Outcome {
	var d eventhubs.Delivery
	_, _ = p.Publish(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition, Delivery: &d})
	synctest.Wait() // until no Flush would cover its batch
	return d.Outcome()
}

// WantFailure checks an outcome's code and storage.
func (w *World) WantFailure(what string, o eventhubs.Outcome, code eventhubs.Code, storage eventhubs.Storage) {
	w.Helper()
	if e, ok := errors.AsType[*eventhubs.Error](o.Err); !ok || e.Code != code || e.Transient || o.Storage != storage {
		w.Errorf("%s: the outcome is %v, %v; want %s, final, %v", what, o.Storage, o.Err, code, storage)
	}
}

// Overtake attaches as the producer of a partition, with a higher epoch.
func (w *World) Overtake(p *eventhubs.BufferedProducer, partition string) {
	w.Helper()
	w.Must(p.Flush(w.Context()))
	var id eventhubs.ProducerID
	for e := range w.Server.Events("hub", partition) {
		id.ID, id.Epoch = e.Annotations["com.microsoft:producer-id"].(int64), e.Annotations["com.microsoft:producer-epoch"].(int16)+1
	}
	f, err := AttachForeigner(w.Context(), w.Server.Dial, partition, id, -1)
	w.Must(err)
	w.Must(f.Conn.Close())
}

// Raised makes the producer raise its epoch at the next attach, which is answered by an action.
func (w *World) Raised(o eventhubs.Options, attach emulator.Action) (p *eventhubs.BufferedProducer, logged *bytes.Buffer) {
	failed, refused := false, false
	var mu sync.Mutex
	w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op.Kind == emulator.KindTransfer && op.Events == 2 && !failed:
			failed = true
			return emulator.Cut()
		case op.Kind == emulator.KindAttach && op.PartitionID != "" && failed && !refused:
			refused = true
			return attach
		}
		return emulator.Pass()
	})
	logged = new(bytes.Buffer)
	o.EnableIdempotentRetries, o.Logger = true, slog.New(slog.NewTextHandler(logged, nil))
	o.Retry.MaxRetries = -1
	p = w.Producer(o)
	w.Must(w.Publish(p, "0", "a").Err)
	w.Enqueue(p, "0", "b", "b")
	_ = p.Flush(w.Context())
	return p, logged
}

// Modes are the ways in which a service may treat idempotent producers, as far as public facts go.
// A producer must be right with each.
var Modes = map[string]emulator.Idempotence{
	"echoes":             {},
	"reports":            {ReportTracked: true},
	"echoes and trusts":  {TrustNumbers: true},
	"reports and trusts": {ReportTracked: true, TrustNumbers: true},
}

// InEachMode runs a test in virtual time with each kind of service.
func InEachMode(t *testing.T, test func(w *World)) {
	for name, mode := range Modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(&World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: Hubs(4), Idempotence: mode})})
			})
		})
	}
}

// StoredIn returns the bodies of a partition's events.
func (w *World) StoredIn(partition string) (bodies []string) {
	for e := range w.Server.Events("hub", partition) {
		bodies = append(bodies, string(e.Body))
	}
	return bodies
}

// NumbersIn returns the numbers of a partition's events as "epoch/number body". It counts the ids
// in their order: "2:epoch/number body" has the second id.
func (w *World) NumbersIn(partition string) (all []string) {
	var ids []int64
	for e := range w.Server.Events("hub", partition) {
		id, _ := e.Annotations["com.microsoft:producer-id"].(int64)
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		prefix := ""
		if nth := slices.Index(ids, id) + 1; nth > 1 {
			prefix = fmt.Sprint(nth, ":")
		}
		all = append(all, fmt.Sprintf("%s%v/%v %s", prefix, e.Annotations["com.microsoft:producer-epoch"], e.Annotations["com.microsoft:producer-sequence-number"], e.Body))
	}
	return all
}

func (w *World) Enqueue(p *eventhubs.BufferedProducer, partition string, bodies ...string) {
	w.Helper()
	for _, body := range bodies {
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}))
	}
}

func InMemory(t *testing.T, test func(w *World)) {
	synctest.Test(t, func(t *testing.T) {
		test(&World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: Hubs(2)})})
	})
}
