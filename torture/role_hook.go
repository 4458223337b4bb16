package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A hook makes the faults of the service. Each waits for the next operation of its kind of its
// producer.
type hook struct {
	server   *emulator.Server
	messages *line[message]

	mu        sync.Mutex // guards the fields below
	armed     map[int][]arm
	producers map[int]int // by the number of their connection; -1 for clients that are none
}

func (h *hook) arm(a arm) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed[a.Producer] = append(h.armed[a.Producer], a)
}

func (h *hook) disarm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.armed)
}

// decide has the oldest fault that fits act. The judge is left in peace.
func (h *hook) decide(_ context.Context, op emulator.Operation) emulator.Action {
	if op.Receiver || op.ConsumerGroup != "" || op.Kind == emulator.KindConnection {
		return emulator.Pass()
	}
	a, k, ok := h.take(op)
	if !ok {
		return emulator.Pass()
	}
	partition := -1
	if n, err := strconv.Atoi(op.PartitionID); err == nil {
		partition = n
	}
	h.messages.send(message{Acted: &acted{
		ID: a.ID, At: time.Now(), Partition: partition,
		What: fmt.Sprintf("the emulator did so to the %v of %d events on connection %d", op.Kind, op.Events, op.Connection),
	}})
	return k.action(a.For)
}

func (h *hook) take(op emulator.Operation) (a arm, k *kind, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.armed) == 0 {
		return a, nil, false
	}
	producer := h.producerLocked(op.Connection)
	for i, a := range h.armed[producer] {
		if k := kindOf(a.Kind); k.op == op.Kind {
			h.armed[producer] = append(h.armed[producer][:i:i], h.armed[producer][i+1:]...)
			return a, k, true
		}
	}
	return a, nil, false
}

// identifierPrefix begins the identifier of each producer, by which the emulator knows its
// connections.
const identifierPrefix = "torture-"

func identifier(producer int, life uint32) string {
	return fmt.Sprintf("%s%d-%d", identifierPrefix, producer, life)
}

// producerLocked is the producer of a connection.
func (h *hook) producerLocked(connection int) int {
	if p, ok := h.producers[connection]; ok {
		return p
	}
	clear(h.producers) // those that are gone; the others are found again
	for _, c := range h.server.Snapshot().Connections {
		h.producers[c.Number] = -1
		if rest, ok := strings.CutPrefix(c.Container, identifierPrefix); ok {
			number, _, _ := strings.Cut(rest, "-")
			if p, err := strconv.Atoi(number); err == nil {
				h.producers[c.Number] = p
			}
		}
	}
	p, ok := h.producers[connection]
	if !ok {
		return -1
	}
	return p
}
