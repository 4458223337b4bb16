package apptest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/eventhubstest"
)

var _ Publisher = (*eventhubs.BufferedProducer)(nil)

// A fake accepts and refuses events as a producer does, and gives each Delivery its outcome.
type fake struct {
	outcome  eventhubs.Outcome
	accepted []*eventhubs.Event
}

func (f *fake) Enqueue(_ context.Context, event *eventhubs.Event) error {
	accepted, err := eventhubstest.Accept(event)
	if err != nil {
		return err
	}
	f.accepted = append(f.accepted, accepted)
	if f.outcome.Storage != eventhubs.Pending {
		eventhubstest.Settle(event.Delivery, f.outcome)
	}
	return nil
}

var errOff = errors.New("the event hub is switched off")

func TestAnOrderIsConfirmedWhenItIsStored(t *testing.T) {
	producer := &fake{outcome: eventhubs.Outcome{Storage: eventhubs.Stored}}
	shop := &Shop{Publisher: producer}
	got, err := shop.Order(t.Context(), "ann", "tea")
	if want := "tea for ann: stored"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if event := producer.accepted[0]; string(event.Body) != "tea" || event.PartitionKey != "ann" {
		t.Errorf("got %s for %s in the event, want tea for ann", event.Body, event.PartitionKey)
	}
}

func TestAnOrderIsNotConfirmedOtherwise(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx     context.Context
		key     string
		outcome eventhubs.Outcome
		want    error
	}{
		"not stored":            {t.Context(), "ann", eventhubs.Outcome{Storage: eventhubs.NotStored, Err: errOff}, errOff},
		"the customer has left": {gone, "ann", eventhubs.Outcome{}, eventhubs.ErrPending},
		"not a key":             {t.Context(), "\xff", eventhubs.Outcome{}, eventhubs.ErrInvalidArgument},
	} {
		shop := &Shop{Publisher: &fake{outcome: test.outcome}}
		if got, err := shop.Order(test.ctx, test.key, "tea"); got != "" || !errors.Is(err, test.want) {
			t.Errorf("%s: got %q, %v, want an error that matches %v", name, got, err, test.want)
		}
	}
}

func TestWhatIsNotStoredIsKept(t *testing.T) {
	shop := new(Shop)
	batch := eventhubstest.NewBatch(eventhubs.Outcome{Storage: eventhubs.NotStored, Err: errOff},
		&eventhubs.Event{Body: []byte("tea"), PartitionKey: "ann"},
		&eventhubs.Event{Body: []byte("milk"), PartitionKey: "bob"})
	shop.Failed(t.Context(), batch)
	if got, want := shop.Kept(), []string{"ann: tea", "bob: milk"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	if again := eventhubstest.EnqueuedAgain(batch); len(again) > 0 {
		t.Errorf("%d were enqueued again, want none", len(again))
	}
}

func TestWhatIsPossiblyStoredIsEnqueuedAgain(t *testing.T) {
	shop := new(Shop)
	batch := eventhubstest.NewBatch(eventhubs.Outcome{Storage: eventhubs.PossiblyStored, Err: errors.New("the network was cut")},
		&eventhubs.Event{Body: []byte("tea"), PartitionKey: "ann"})
	shop.Failed(t.Context(), batch)
	if again := eventhubstest.EnqueuedAgain(batch); len(again) != 1 || string(again[0].Body) != "tea" || again[0].PartitionKey != "ann" {
		t.Errorf("got %v enqueued again, want ann's tea", again)
	}
	if kept := shop.Kept(); len(kept) > 0 {
		t.Errorf("kept %q, want nothing", kept)
	}
}
