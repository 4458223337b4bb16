package emulator_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// operations are the transfers and attaches of some links, in an order that shuffle changes.
func operations(shuffle bool) []emulator.Operation {
	var all []emulator.Operation
	for n := range 2000 {
		for _, kind := range []emulator.Kind{emulator.KindTransfer, emulator.KindAttach, emulator.KindPutToken, emulator.KindManagement, emulator.KindConnection} {
			id := fmt.Sprint(n % 4)
			all = append(all, emulator.Operation{Kind: kind, Connection: n, Hub: "events", PartitionID: id})
		}
	}
	if shuffle {
		// Operations of one node keep their order; those of different nodes do not.
		slices.SortStableFunc(all, func(a, b emulator.Operation) int { return int(a.PartitionID[0]) - int(b.PartitionID[0]) })
	}
	return all
}

// fates are the actions of a hook, by operation and node.
func fates(hook emulator.Hook, operations []emulator.Operation) map[string][]emulator.Action {
	all := make(map[string][]emulator.Action)
	for _, op := range operations {
		node := op.Kind.String() + " " + op.PartitionID
		all[node] = append(all[node], hook(context.Background(), op))
	}
	return all
}

func TestRandomFaultsAreTheSameForTheSameSeed(t *testing.T) {
	rates := emulator.Rates{Busy: 0.1, LostAcknowledgement: 0.1, CutBefore: 0.1, CutAfter: 0.1, Detach: 0.1, Close: 0.1, Refuse: 0.1, Delay: 0.2}
	for name, hook := range map[string]func(seed uint64) emulator.Hook{
		"faults":  func(seed uint64) emulator.Hook { return emulator.RandomFaults(seed, rates) },
		"latency": func(seed uint64) emulator.Hook { return emulator.Latency(seed, time.Second, time.Second) },
	} {
		first, again, other := fates(hook(1), operations(false)), fates(hook(1), operations(true)), fates(hook(2), operations(false))
		for node := range first {
			if !slices.Equal(first[node], again[node]) {
				t.Errorf("%s: the fate of %s depends on what else happens", name, node)
			}
			if slices.Equal(first[node], other[node]) && node[:3] != "con" {
				t.Errorf("%s: the fate of %s does not depend on the seed", name, node)
			}
		}
		if slices.Equal(first["transfer 0"], first["transfer 1"]) {
			t.Errorf("%s: two partitions have the same fate", name)
		}
	}
}

func TestRandomFaultsHappenAsOftenAsAsked(t *testing.T) {
	rates := emulator.Rates{Busy: 0.3, CutBefore: 0.2, Delay: 0.1, Refuse: 0.4, MaxDelay: time.Minute}
	counts := make(map[string]int)
	for node, actions := range fates(emulator.RandomFaults(7, rates), operations(false)) {
		for _, action := range actions {
			switch action {
			case emulator.Pass():
			case emulator.Cut():
				counts[node[:3]+" cut"]++
			default:
				counts[node[:3]+" other"]++
			}
		}
	}
	for sort, want := range map[string]int{
		"tra cut": 400, "tra other": 800, // busy and delayed
		"att cut": 400, "att other": 1000, // refused and delayed
		"put cut": 0, "put other": 1000,
		"man cut": 0, "man other": 1000,
		"con cut": 0, "con other": 200,
	} {
		if got := counts[sort]; got < want*8/10 || got > want*12/10 {
			t.Errorf("%s: %d of 2000, want about %d", sort, got, want)
		}
	}
	for node, actions := range fates(emulator.RandomFaults(7, emulator.Rates{}), operations(false)) {
		if slices.ContainsFunc(actions, func(a emulator.Action) bool { return a != emulator.Pass() }) {
			t.Errorf("something happens to %s without any rate", node)
		}
	}
}

func TestLatencyDoesNotHoldUpTransfers(t *testing.T) {
	inBubble(t, emulator.Latency(1, time.Second, 0), func(t *testing.T, server *emulator.Server) {
		if got := timeTwoSends(t, server); got != time.Second {
			t.Errorf("two sends at once took %v", got)
		}
	})
}

func TestLatencyVariesWithinItsJitter(t *testing.T) {
	hook := emulator.Latency(1, time.Second, time.Second)
	seen := make(map[emulator.Action]bool)
	for _, op := range operations(false)[:100] {
		seen[hook(t.Context(), op)] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d different delays in 100", len(seen))
	}
	if seen[emulator.Pass()] {
		t.Error("an operation is not delayed")
	}
}
