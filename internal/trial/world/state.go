package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A SharedState is the store that all lives of a model share, as if it were a file. Now and then it
// is slow, or fails.
type SharedState struct {
	severity int
	calm     *atomic.Bool // nothing fails any more

	mu      sync.Mutex // guards the fields below
	random  *rand.Rand
	saved   map[string]eventhubs.ProducerID
	Claimed map[string][]int // the lives that have saved something, by partition
}

func NewSharedState(random *rand.Rand, severity int, calm *atomic.Bool) *SharedState {
	return &SharedState{severity: severity, calm: calm, random: random, saved: map[string]eventhubs.ProducerID{}, Claimed: map[string][]int{}}
}

func (s *SharedState) Of(life int) eventhubs.ProducerStore { return &livesState{s, life} }

func (s *SharedState) All() map[string]eventhubs.ProducerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.saved)
}

var ErrDisk = errors.New("the disk is full")

// hazard may take some time, and fail.
func (s *SharedState) hazard(ctx context.Context) error {
	if s.calm.Load() {
		return nil
	}
	s.mu.Lock()
	fails, slow := s.random.IntN(200) < s.severity, s.random.IntN(200) < s.severity
	wait := time.Duration(s.random.IntN(10_000)) * time.Millisecond
	s.mu.Unlock()
	if slow {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fails {
		return ErrDisk
	}
	return nil
}

type livesState struct {
	*SharedState
	life int
}

func (s *livesState) Load(ctx context.Context, key eventhubs.ProducerKey) (eventhubs.ProducerID, error) {
	if err := s.hazard(ctx); err != nil {
		return eventhubs.ProducerID{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[key.PartitionID], nil
}

func (s *livesState) Save(ctx context.Context, key eventhubs.ProducerKey, old, id eventhubs.ProducerID) error {
	if err := s.hazard(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved[key.PartitionID] != old {
		return fmt.Errorf("%w: another epoch", eventhubs.ErrProducerStateChanged)
	}
	s.saved[key.PartitionID] = id
	s.Claimed[key.PartitionID] = append(s.Claimed[key.PartitionID], s.life)
	return nil
}

// NewMemoryState returns a state that never fails.
func NewMemoryState() eventhubs.ProducerStore { return NewSharedState(nil, 0, calm()).Of(1) }

// calm returns the flag of a state that does not fail.
func calm() *atomic.Bool {
	b := new(atomic.Bool)
	b.Store(true)
	return b
}

func KeyOf(partition string) eventhubs.ProducerKey {
	return eventhubs.ProducerKey{FullyQualifiedNamespace: "name.servicebus.windows.net", EventHubName: "hub", PartitionID: partition}
}

// A BrittleState first runs the test's function, and then does its work.
type BrittleState struct {
	eventhubs.ProducerStore
	OnLoad func(ctx context.Context) error
	OnSave func(ctx context.Context, key eventhubs.ProducerKey, old, id eventhubs.ProducerID) error
}

func (s *BrittleState) Load(ctx context.Context, key eventhubs.ProducerKey) (eventhubs.ProducerID, error) {
	if s.OnLoad != nil {
		if err := s.OnLoad(ctx); err != nil {
			return eventhubs.ProducerID{}, err
		}
	}
	return s.ProducerStore.Load(ctx, key)
}

func (s *BrittleState) Save(ctx context.Context, key eventhubs.ProducerKey, old, id eventhubs.ProducerID) error {
	if s.OnSave != nil {
		if err := s.OnSave(ctx, key, old, id); err != nil {
			return err
		}
	}
	return s.ProducerStore.Save(ctx, key, old, id)
}
