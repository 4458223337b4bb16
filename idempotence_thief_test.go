package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs"
)

// A sharedState is what the lives of a model have in common, as a file would be. Now and then it is slow, or fails.
type sharedState struct {
	severity int
	calm     *atomic.Bool // nothing fails any more

	mu      sync.Mutex // guards the fields below
	random  *rand.Rand
	saved   map[string]eventhubs.ProducerID
	claimed map[string][]int // the lives that have saved something, by partition
}

func newSharedState(random *rand.Rand, severity int, calm *atomic.Bool) *sharedState {
	return &sharedState{severity: severity, calm: calm, random: random, saved: map[string]eventhubs.ProducerID{}, claimed: map[string][]int{}}
}

func (s *sharedState) of(life int) eventhubs.ProducerStore { return &livesState{s, life} }

func (s *sharedState) all() map[string]eventhubs.ProducerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.saved)
}

var errDisk = errors.New("the disk is full")

// hazard may take some time, and fail.
func (s *sharedState) hazard(ctx context.Context) error {
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
		return errDisk
	}
	return nil
}

type livesState struct {
	*sharedState
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
	s.claimed[key.PartitionID] = append(s.claimed[key.PartitionID], s.life)
	return nil
}

// A foreigner is a program of somebody else's: it attaches as a producer whose id it knows, with go-amqp alone.
type foreigner struct {
	conn     *amqp.Conn
	sender   *amqp.Sender
	identity eventhubs.ProducerID
	last     int32
}

// attachForeigner attaches with an identity and, if it is not negative, a last sequence number.
func attachForeigner(ctx context.Context, dial func(context.Context) (net.Conn, error), partition string, id eventhubs.ProducerID, last int32) (*foreigner, error) {
	nc, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := amqp.NewConn(ctx, nc, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "foreign", ContainerID: "foreign"})
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	properties := map[string]any{"com.microsoft:producer-id": id.ID, "com.microsoft:producer-epoch": id.Epoch, "com.microsoft:producer-sequence-number": amqp.Null{}}
	if last >= 0 {
		properties["com.microsoft:producer-sequence-number"] = last
	}
	session, err := conn.NewSession(ctx, nil)
	if err == nil {
		var sender *amqp.Sender
		sender, err = session.NewSender(ctx, "hub/Partitions/"+partition, &amqp.SenderOptions{DesiredCapabilities: []string{"com.microsoft:idempotent-producer"}, Properties: properties})
		if err == nil {
			last, _ := sender.Properties()["com.microsoft:producer-sequence-number"].(int32)
			return &foreigner{conn, sender, id, last}, nil
		}
	}
	_ = conn.Close()
	return nil, err
}

// send sends an event with the next number. It does not take released and modified for success, as go-amqp's Send does.
func (f *foreigner) send(ctx context.Context, name string) error {
	f.last = int32((int64(f.last) + 1) & (1<<31 - 1))
	receipt, err := f.sender.SendWithReceipt(ctx, &amqp.Message{
		Data:                  [][]byte{body(name, 10)},
		ApplicationProperties: map[string]any{"name": name},
		Annotations: amqp.Annotations{
			"com.microsoft:producer-id": f.identity.ID, "com.microsoft:producer-epoch": f.identity.Epoch, "com.microsoft:producer-sequence-number": f.last,
		},
	}, nil)
	if err != nil {
		return err
	}
	state, err := receipt.Wait(ctx)
	if err != nil {
		return err
	}
	if rejected, ok := state.(*amqp.StateRejected); ok {
		return rejected.Error
	}
	if _, ok := state.(*amqp.StateAccepted); !ok {
		return fmt.Errorf("the outcome is %T", state)
	}
	return nil
}

// steal takes the identity of a partition's latest producer, with an epoch that nobody comes to by counting, and sends an event.
func (m *idempotentModel) steal(random *rand.Rand, n int) {
	if !m.idempotent {
		return
	}
	partition := fmt.Sprint(random.IntN(m.partitions))
	var victim eventhubs.ProducerID
	if m.state != nil {
		victim = m.state.all()[partition]
	} else {
		for e := range m.server.Events("hub", partition) {
			victim.ID, _ = e.Annotations["com.microsoft:producer-id"].(int64)
			victim.Epoch, _ = e.Annotations["com.microsoft:producer-epoch"].(int16)
		}
	}
	if victim == (eventhubs.ProducerID{}) {
		return
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	victim.Epoch += int16(1000 * n)
	thief, err := attachForeigner(ctx, m.server.Dial, partition, victim, -1)
	if err != nil {
		return
	}
	defer thief.conn.Close()
	life, name := -n, fmt.Sprintf("%d/thief-0.", -n)
	outcome := eventhubs.Stored
	if err := thief.send(ctx, name); err != nil {
		outcome = eventhubs.PossiblyStored
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted = append(m.accepted, offer{name, life, ""})
	m.told[place{life, partition}] = append(m.told[place{life, partition}], end{name, outcome})
	m.thieves = append(m.thieves, place{life, partition})
}
