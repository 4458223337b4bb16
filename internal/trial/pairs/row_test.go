package pairs

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// This file says what a row means for the producer's options, for their promises, and for the
// service.

// options returns the row's options. The rules of the ledger hold their promises.
func (r *pairRun) options() *eventhubs.Options {
	row := r.row
	o := &eventhubs.Options{
		MaxWaitTime: get[time.Duration](row, "wait"), MaxBufferedEvents: get[int](row, "events"), MaxBufferedBytes: get[int](row, "bytes"),
		MaxConcurrentSendsPerPartition: get[int](row, "sends"), Partitioning: get[eventhubs.Partitioning](row, "partitioning"),
		DeliveryTimeout: get[time.Duration](row, "delivery"), FailFast: get[bool](row, "fail fast"), PartitionRefreshInterval: get[time.Duration](row, "refresh"),
		StopPartitionOnFailure:  get[string](row, "stop") != "no",
		EnableIdempotentRetries: get[string](row, "idempotence") != "off",
		Retry:                   eventhubs.RetryOptions{TryTimeout: get[time.Duration](row, "try"), RetryDelay: 100 * time.Millisecond},
		Logger:                  slog.New(slog.DiscardHandler),
	}
	switch get[string](row, "retries") {
	case "fixed":
		o.Retry.Mode = eventhubs.RetryFixed
	case "none":
		o.Retry.MaxRetries = -1
	case "policy":
		o.Retry.Policy = func(f eventhubs.FailedTry) (time.Duration, bool) {
			if r.chance(3) {
				runtime.Goexit()
			}
			return time.Duration(f.Failures) * 50 * time.Millisecond, f.Failures < 6
		}
	}
	switch get[string](row, "idempotence") {
	case "state":
		o.ProducerStore = &pairState{}
	case "bad state":
		o.ProducerStore = &pairState{run: r}
	}
	if sync, ok := journalSync[get[string](row, "journal")]; ok {
		o.Journal = &eventhubs.JournalOptions{Directory: r.directory, KeepFree: -1, Sync: sync, Interval: 100 * time.Millisecond}
		testseam.JournalOn(o.Journal, nil, 512<<10) // the largest event has 200 KB
		o.DeliveryTimeout = -1                      // it does not apply
	}
	if get[string](row, "route") == "own hash" {
		o.KeyPartitioner = func(k eventhubs.KeyPlacement) int { return ownHash(k.Key, k.Partitions) }
	}
	handlers := get[string](row, "handler") != "none"
	if handlers {
		o.OnBatchSucceeded, o.OnBatchFailed = r.handle, r.handle
	}
	if get[string](row, "trace") != "none" {
		o.Trace = r.trace(get[string](row, "trace") == "exits")
	}
	r.book.rules = r.rules(handlers, get[string](row, "route") == "own hash", o.MaxBufferedBytes)
	rules := &r.book.rules
	rules.ordered, rules.idempotent, rules.anywhere = o.MaxConcurrentSendsPerPartition == 1, o.EnableIdempotentRetries, o.Partitioning == eventhubs.ServiceAssigned
	rules.patient, rules.journal = o.DeliveryTimeout < 0, o.Journal != nil
	rules.stops, rules.link = o.StopPartitionOnFailure, get[int](row, "link")
	// A handler that hangs uses up the delivery timeout.
	hangs := get[string](row, "handler") == "hangs"
	rules.faults = get[string](row, "faults") != "none" || get[string](row, "idempotence") == "bad state" || hangs
	rules.hangs = hangs
	if get[string](row, "handler") == "clears" || get[string](row, "meanwhile") == "clears" {
		rules.reasons = append(rules.reasons, eventhubs.ErrCleared)
	}
	switch get[string](row, "end") {
	case "Abandon":
		rules.reasons = append(rules.reasons, eventhubs.ErrAbandoned, eventhubs.ErrClosed)
	case "impatient", "early and impatient":
		rules.reasons = append(rules.reasons, eventhubs.ErrClosed)
	}
	if slow := slices.Contains([]string{"slow", "hangs"}, get[string](row, "handler")); o.DeliveryTimeout > 0 && o.MaxWaitTime != eventhubs.UntilFull && !slow {
		// A silent peer has 10 s to answer when its link is given up.
		rules.within = o.DeliveryTimeout + 20*time.Second
	}
	return o
}

// journalSync has the rows' journals.
var journalSync = map[string]eventhubs.JournalSync{"each": eventhubs.SyncEach, "interval": eventhubs.SyncInterval, "system": eventhubs.SyncOS}

func (r *pairRun) rules(handlers, own bool, bytes int) pairRules {
	return pairRules{ordered: true, handlers: handlers, partitions: r.grown[0], bytes: bytes, mapping: func(key string) map[string]bool {
		to := map[string]bool{}
		for _, n := range r.grown {
			i := partitionkey.Index(key, n)
			if own {
				i = ownHash(key, n)
			}
			to[fmt.Sprint(i)] = true
		}
		return to
	}}
}

func ownHash(key string, partitions int) int { return (7*len(key) + int(key[len(key)-1])) % partitions }

// fate returns the service's answer to an operation.
func (r *pairRun) fate(op emulator.Operation) emulator.Action {
	if r.calm.Load() {
		return emulator.Pass()
	}
	kind := get[string](r.row, "faults")
	if kind == "mixed" {
		kind = []string{"none", "none", "lost", "refused", "throttled", "given back", "cut", "detached", "silent", "list", "attach"}[r.below(11)]
	}
	pass := emulator.Pass()
	switch {
	case op.Kind == emulator.KindManagement && kind == "list" && r.chance(50):
		return []emulator.Action{emulator.Reject("amqp:internal-error", "failing"), emulator.Silence(), pass.After(3 * time.Second), emulator.Reject("com.microsoft:server-busy", "busy"), emulator.Cut()}[r.below(5)]
	case op.Kind == emulator.KindAttach && kind == "attach" && r.chance(30):
		return []emulator.Action{emulator.Reject("amqp:internal-error", "failing"), emulator.WithholdCredit(2 * time.Second), emulator.Detach("amqp:link:detach-forced", "moved"), emulator.Silence(),
			emulator.Reject("amqp:unauthorized-access", "no")}[r.below(5)]
	case op.Kind == emulator.KindPutToken && kind == "attach" && r.chance(20):
		return []emulator.Action{emulator.Reject("amqp:unauthorized-access", "no"), pass.After(time.Second), emulator.Silence()}[r.below(3)]
	case op.Kind != emulator.KindTransfer:
		return pass
	case r.chance(80):
		return pass.AnswerAfter(r.upTo(20 * time.Millisecond))
	}
	switch kind {
	case "lost":
		return []emulator.Action{emulator.Cut().Stored(), emulator.Silence().Stored(), emulator.Detach("amqp:link:detach-forced", "moved").Stored(), emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored()}[r.below(4)]
	case "refused":
		return []emulator.Action{emulator.Reject("amqp:not-allowed", "never"), emulator.Reject("amqp:internal-error", "failing"), emulator.Reject("amqp:resource-limit-exceeded", "quota")}[r.below(3)]
	case "throttled":
		return emulator.Reject("com.microsoft:server-busy", "Please wait 1 seconds and try again.")
	case "given back":
		return []emulator.Action{emulator.Release(), emulator.Modify()}[r.below(2)]
	case "cut":
		return []emulator.Action{emulator.Cut(), emulator.CloseConnection("amqp:connection:forced", "upgrade")}[r.below(2)]
	case "detached":
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case "silent":
		return []emulator.Action{emulator.Silence(), pass.CloseWindow(2 * time.Second), pass.StallReading(3 * time.Second)}[r.below(3)]
	}
	return pass
}
