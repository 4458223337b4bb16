package wire

import (
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

const (
	// again is the pause before the first retry after an answer of the service: RetryDelay of 0.8 s
	// give or take a fifth, and a round trip.
	againLeast = 640*time.Millisecond + world.Trip
	againMost  = 960*time.Millisecond + world.Trip

	textBusy = "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again. TrackingId:1_G0, SystemTracker:t"
)

// outcomes are answers to a batch that do not accept it.
var outcomes = []wireFault{
	{
		name: "released", what: "a batch is released", service: "does not store it", we: "pause for `RetryDelay` and send again; go-amqp's own Send reports success",
		strike: once(emulator.KindTransfer, emulator.Release()),
		least:  againLeast, most: againMost, states: "ready failing ready", code: eventhubs.CodeReleased, dials: 1,
	},
	{
		name: "modified", what: "a batch is returned, modified", service: "does not store it", we: "the same",
		strike: once(emulator.KindTransfer, emulator.Modify()),
		least:  againLeast, most: againMost, states: "ready failing ready", code: eventhubs.CodeReleased, dials: 1,
	},
	{
		name: "internal-error", what: "a batch is rejected for a fault of the service", service: "`amqp:internal-error`", we: "the same, on the same link",
		strike: once(emulator.KindTransfer, emulator.Reject("amqp:internal-error", world.Tracked("The service was unable to process the request."))),
		least:  againLeast, most: againMost, states: "ready failing ready", code: eventhubs.CodeInternal, condition: "amqp:internal-error", dials: 1,
	},
	{
		name: "timeout", what: "the service runs out of time", service: "`com.microsoft:timeout`", we: "the same",
		strike: once(emulator.KindTransfer, emulator.Reject("com.microsoft:timeout", world.Tracked("The operation did not complete within the allotted timeout."))),
		least:  againLeast, most: againMost, states: uponReady, code: eventhubs.CodeTimeout, condition: "com.microsoft:timeout", dials: 1,
	},
	{
		name: "operation-cancelled", what: "the service cancels", service: "`com.microsoft:operation-cancelled`", we: "the same",
		strike: once(emulator.KindTransfer, emulator.Reject("com.microsoft:operation-cancelled", world.Tracked("The operation was cancelled."))),
		least:  againLeast, most: againMost, states: "ready failing ready", code: eventhubs.CodeInternal, condition: "com.microsoft:operation-cancelled", dials: 1,
	},
	{
		name: "unknown-condition", what: "a batch is rejected for an unknown reason", service: "a condition that no document has", we: "the same: treat it as a passing fault",
		strike: once(emulator.KindTransfer, emulator.Reject("com.microsoft:brand-new", world.Tracked("Something new."))),
		least:  againLeast, most: againMost, states: "ready failing ready", code: eventhubs.CodeInternal, condition: "com.microsoft:brand-new", dials: 1,
	},
	{
		name: "rejected-for-good", what: "a batch is rejected for its content", service: "`com.microsoft:argument-error`", we: "report it as failed, and send the next",
		strike: once(emulator.KindTransfer, emulator.Reject("com.microsoft:argument-error", world.Tracked("The message is invalid."))),
		least:  0, most: pace + world.Trip, states: "ready refused ready", code: eventhubs.CodeRejected, condition: "com.microsoft:argument-error", dials: 1, failed: 1,
	},
	{
		name: "too-large", what: "a batch is larger than the service takes, whatever its link says", service: "`amqp:link:message-size-exceeded`", we: "cut it and send the pieces at once; here, report an event that was refused alone as failed, with both sizes",
		strike: once(emulator.KindTransfer, emulator.Reject("amqp:link:message-size-exceeded", world.Tracked("The received message exceeds the limit."))),
		least:  0, most: pace + world.Trip, states: "ready refused ready", code: eventhubs.CodeTooLarge, condition: "amqp:link:message-size-exceeded", dials: 1, failed: 1,
	},
	{
		name: "too-large-detached", what: "the same", service: "detaches the link, with that condition", we: "the same, over a new link; with several batches in flight on the link, the refused one is unknown: cut the largest, and retry the others",
		strike: once(emulator.KindTransfer, emulator.Detach("amqp:link:message-size-exceeded", world.Tracked("The received message exceeds the limit."))),
		least:  0, most: pace + 4*world.Trip, states: "ready refused ready", code: eventhubs.CodeTooLarge, condition: "amqp:link:message-size-exceeded", dials: 1, failed: 1,
	},
	{
		name: "server-busy", what: "the namespace's throughput is used up, once", service: "`com.microsoft:server-busy`, wait 4 seconds", we: "wait as long as it asks, and up to a quarter more",
		strike: once(emulator.KindTransfer, emulator.Reject("com.microsoft:server-busy", textBusy)),
		least:  4*time.Second + world.Trip, most: 5*time.Second + world.Trip, states: "ready throttled ready", code: eventhubs.CodeThrottled, condition: "com.microsoft:server-busy", dials: 1,
	},
	{
		name: "server-busy-for-a-minute", what: "the same, for all partitions and for a minute", service: "the same, each time", we: "wait as long as it asks, and up to four times as much more, so that a fleet spreads; throttling alone never fails a batch",
		strike: func(r *rig) {
			r.during(time.Minute, func(op emulator.Operation) (emulator.Action, bool) {
				return emulator.Reject("com.microsoft:server-busy", textBusy), op.Kind == emulator.KindTransfer
			})
		},
		least: 0, most: 20*time.Second + world.Trip, states: "ready throttled ready", code: eventhubs.CodeThrottled, condition: "com.microsoft:server-busy", all: true, dials: 1,
	},
}

// After a refused attach the producer attaches again after 0.8, 1.6, 3.2, 6.4, 12.8 s and so on,
// each give or take a fifth. So it sees the end of a fault after 10 s at most one pause later.
const refusedMost = 16 * time.Second

// refusals are links that the service refuses to open, for 10 s.
var refusals = []wireFault{
	{
		name: "hub-not-found", what: "the event hub does not exist, for 10 s", service: "refuses the link, `amqp:not-found`", we: "pause longer and longer, up to `MaxRetryDelay`, since names and roles take time to spread; with `FailFast` fail",
		strike: refused("amqp:not-found", "The messaging entity could not be found."),
		least:  0, most: refusedMost, states: uponReady, code: eventhubs.CodeNotFound, condition: "amqp:not-found", dials: 1,
	},
	{
		name: "send-right-missing", what: "the Send right is missing, for 10 s", service: "refuses the link, `amqp:unauthorized-access`", we: "the same, with a new token each time",
		strike: refused("amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation."),
		least:  0, most: refusedMost, states: "ready unreachable unauthorized ready", code: eventhubs.CodeUnauthorized, condition: "amqp:unauthorized-access", dials: 1,
	},
	{
		name: "hub-disabled", what: "the event hub is switched off, for 10 s", service: "refuses the link, `com.microsoft:entity-disabled`", we: "the same",
		strike: refused("com.microsoft:entity-disabled", "The messaging entity is disabled."),
		least:  0, most: refusedMost, states: uponReady, code: eventhubs.CodeDisabled, condition: "com.microsoft:entity-disabled", dials: 1,
	},
	{
		name: "partition-unknown", what: "the partition is unknown, for 10 s", service: "refuses the link, `com.microsoft:argument-out-of-range`", we: "the same, and ask for the list of partitions again",
		strike: refused("com.microsoft:argument-out-of-range", "The specified partition is invalid for an EventHub partition sender or receiver."),
		least:  0, most: refusedMost, states: "ready unreachable failing ready", code: eventhubs.CodePartitionUnknown, condition: "com.microsoft:argument-out-of-range", dials: 1,
	},
	{
		name: "too-many-links", what: "a quota of the namespace is used up, for 10 s", service: "refuses the link, `amqp:resource-limit-exceeded`", we: "the same",
		strike: refused("amqp:resource-limit-exceeded", "Cannot allocate more handles to the current session or connection."),
		least:  0, most: refusedMost, states: "ready unreachable failing ready", code: eventhubs.CodeQuotaExceeded, condition: "amqp:resource-limit-exceeded", dials: 1,
	},
	{
		name: "attach-unanswered", what: "a link is not answered", service: "nothing", we: "wait for 60 s, pause, and attach again",
		strike: func(r *rig) {
			r.sequence(step{emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", world.Tracked("The link is moved."))}, step{emulator.KindAttach, emulator.Silence()})
		},
		least: time.Minute, most: 65 * time.Second, states: uponReady, code: eventhubs.CodeTimeout,
	},
	{
		name: "too-many-connections", what: "the namespace has too many connections, for 10 s", service: "opens the connection and closes it, `amqp:resource-limit-exceeded`", we: "the same",
		strike: func(r *rig) {
			r.server.CutAll()
			r.during(10*time.Second, func(op emulator.Operation) (emulator.Action, bool) {
				return emulator.Reject("amqp:resource-limit-exceeded", world.Tracked("The number of connections has reached its maximum.")), op.Kind == emulator.KindConnection
			})
		},
		least: 0, most: refusedMost, states: "ready unreachable failing ready", code: eventhubs.CodeQuotaExceeded, condition: "amqp:resource-limit-exceeded", all: true, repeats: true,
	},
}

// refused is a strike: the victim's link is detached, and for 10 s it cannot be attached.
func refused(condition, text string) func(r *rig) {
	return func(r *rig) {
		var detached atomic.Bool
		r.during(10*time.Second, func(op emulator.Operation) (emulator.Action, bool) {
			switch {
			case op.PartitionID != victim:
			case op.Kind == emulator.KindTransfer && !detached.Swap(true):
				return emulator.Detach("amqp:link:detach-forced", world.Tracked("The link is moved.")), true
			case op.Kind == emulator.KindAttach:
				return emulator.Reject(condition, world.Tracked(text)), true
			}
			return emulator.Pass(), false
		})
	}
}
