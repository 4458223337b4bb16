package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// authorizations are tokens that expire, are refused, or cannot be had.
var authorizations = []wireFault{
	{
		name: "token-expired", what: "the token expires while events are sent", service: "detaches the link, `amqp:unauthorized-access`", we: "put a new token, attach, and send again at once",
		strike: once(emulator.KindTransfer, emulator.Detach("amqp:unauthorized-access", world.Tracked("ExpiredToken: The token is expired."))),
		least:  relink + world.Trip, most: relink + world.Trip, states: "ready unauthorized ready", code: eventhubs.CodeUnauthorized, condition: "amqp:unauthorized-access", dials: 1,
	},
	{
		name: "token-refused", what: "after a reconnect the token is refused, for 10 s", service: "answers 401, `com.microsoft:auth-failed`", we: "pause longer and longer, and put a new token each time; with `FailFast` fail",
		strike: func(r *rig) {
			r.server.CutAll()
			r.during(10*time.Second, func(op emulator.Operation) (emulator.Action, bool) {
				return emulator.Reject("com.microsoft:auth-failed", world.Tracked("InvalidSignature: The token has an invalid signature.")), op.Kind == emulator.KindPutToken
			})
		},
		least: 0, most: refusedMost, states: "ready unreachable unauthorized ready", code: eventhubs.CodeUnauthorized, condition: "com.microsoft:auth-failed", all: true, repeats: true, dials: 2,
	},
	{
		name: "token-for-the-hub-refused", what: "after a reconnect the service takes tokens only for partitions, not for the event hub", service: "answers 403, `amqp:unauthorized-access`", we: "from then on, put one for each partition",
		strike: func(r *rig) {
			r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindPutToken && op.PartitionID == "" {
					return emulator.Reject("amqp:unauthorized-access", world.Tracked("Unauthorized access.")).WithStatus(403)
				}
				return emulator.Pass()
			})
			r.server.CutAll()
		},
		// One trip is for the hub, one for the partition that came first, and one for the victim,
		// unless it came first.
		least: reconnect + world.Trip, most: reconnect + 2*world.Trip, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true, dials: 2,
	},
	{
		name: "cbs-silent", what: "after a reconnect a token is not answered", service: "closes the connection after 20 s, `amqp:connection:forced`", we: "connect again; without that close, after 60 s",
		strike: func(r *rig) {
			r.server.CutAll()
			r.once(emulator.KindPutToken, emulator.Silence())
		},
		least: 20 * time.Second, most: 23 * time.Second, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:connection:forced", all: true, repeats: true, dials: 3,
	},
	{
		name: "cbs-not-allowed", what: "after a reconnect the service still knows of another link to `$cbs`", service: "refuses the link, `amqp:not-allowed`", we: "close the connection, pause, since this is the second loss in a row, and connect once more",
		strike: func(r *rig) {
			var once sync.Once
			struck := make(chan struct{})
			r.server.SetHook(func(_ context.Context, op emulator.Operation) (action emulator.Action) {
				if op.Kind == emulator.KindAttach && op.Address == "$cbs" {
					once.Do(func() {
						action = emulator.Reject("amqp:not-allowed", world.Tracked("$cbs node has already been opened."))
						close(struck)
					})
				}
				return action
			})
			r.server.CutAll()
			<-struck
		},
		least: time.Second, most: 3 * time.Second, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:not-allowed", all: true, repeats: true, dials: 3,
	},
	{
		name: "token-service-down-at-first", what: "the credential gives no token for the first 10 minutes", service: "is not reached", we: "accept events, and ask again at least every 72 s; this uses up no tries",
		setup: func(r *rig) {
			r.withCredential(outage{0, 10 * time.Minute})
		},
		strike: func(r *rig) { time.Sleep(10*time.Minute - time.Second) },
		least:  0, most: 72*time.Second + reconnect, states: "unauthorized ready", code: eventhubs.CodeNoToken, all: true,
	},
	{
		name: "token-service-down", what: "the credential gives no token for the last 10 minutes of the old one", service: "notices nothing", we: "keep sending with the old one, and ask again every 30 s",
		setup:  func(r *rig) { r.withCredential(outage{50 * time.Minute, 60*time.Minute - time.Second}) },
		quiet:  true,
		strike: everyMinute(65),
		least:  world.OneWay, most: world.OneWay, states: "ready", dials: 1,
	},
	{
		name: "token-service-down-for-longer", what: "the same, and for 10 minutes more", service: "detaches the links, `amqp:unauthorized-access`", we: "wait, as at first",
		setup:  func(r *rig) { r.withCredential(outage{50 * time.Minute, 70 * time.Minute}) },
		quiet:  true,
		strike: everyMinute(70),
		least:  0, most: 72*time.Second + relink, states: "ready unauthorized ready", code: eventhubs.CodeNoToken, dials: 1,
	},
}

// everyMinute is a strike of that many minutes. In each minute each partition gets an event.
func everyMinute(minutes int) func(r *rig) {
	return func(r *rig) {
		for m := range minutes {
			for _, id := range wirePartitions {
				r.enqueue(id, fmt.Sprint(id, "-", m))
			}
			time.Sleep(time.Minute)
		}
		for _, id := range wirePartitions {
			r.enqueue(id, fmt.Sprint(id, "-", minutes))
		}
	}
}

// withCredential gives the rig's producer a credential, over TLS. Its token service has an outage.
func (r *rig) withCredential(o outage) {
	r.options.Connection.TLSConfig = r.server.TLSConfig()
	p, err := eventhubs.NewBufferedProducer(world.Contoso, "hub", &blinkingCredential{r.server.Credential(emulator.RightSend), time.Now(), o}, &r.options)
	if err != nil {
		r.Fatal(err)
	}
	r.p = p
}

// An outage begins and ends that long after the start.
type outage struct{ from, to time.Duration }

type blinkingCredential struct {
	azcore.TokenCredential
	began time.Time
	outage
}

func (c *blinkingCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if at := time.Since(c.began); at >= c.from && at < c.to {
		return azcore.AccessToken{}, errors.New("the identity service is down")
	}
	return c.TokenCredential.GetToken(ctx, o)
}

// The outages last 30 s. The tries of each partition are 0.8, 1.6, 3.2, 6.4, 12.8 and 25.6 s apart
// on average, and at most twice that. The first try that succeeds wakes all others.
const outageMost = time.Minute

// places are the addresses at which the service may be.
var places = []wireFault{
	{
		name: "namespace-moves", what: "the namespace moves: its name gets another address", service: "closes the connection, `amqp:connection:forced`", we: "connect at once; each dial asks the name server",
		strike: once(emulator.KindTransfer, emulator.CloseConnection("amqp:connection:forced", world.Tracked("The namespace is moved."))),
		least:  reconnect, most: reconnect, states: uponReady, code: eventhubs.CodeConnectionLost, condition: "amqp:connection:forced", all: true, repeats: true, dials: 2,
	},
	{
		name: "host-unknown", what: "the connection breaks, and for 30 s no name server knows the host", service: "is not reached", we: "pause longer and longer, with full jitter; the first dial that succeeds wakes all partitions. With `FailFast` fail",
		strike: unreachable(30*time.Second, &net.DNSError{Err: "no such host", Name: "emulator-in-memory.invalid", IsNotFound: true}),
		least:  0, most: outageMost, states: uponReady, code: eventhubs.CodeNotFound, all: true, repeats: true,
	},
	{
		name: "no-route", what: "the connection breaks, and for 30 s no other can be opened", service: "is not reached", we: "the same, except that `FailFast` does not fail",
		strike: unreachable(30*time.Second, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}),
		least:  0, most: outageMost, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true,
	},
	{
		name: "no-route-for-10-minutes", what: "the same, for 10 minutes", service: "is not reached", we: "the same; this uses up no retries",
		strike: unreachable(10*time.Minute, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}),
		least:  0, most: 2 * time.Minute, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true,
	},
	{
		name: "wrong-certificate", what: "the connection breaks, and for 30 s the answering machine has the wrong certificate", service: "is not reached", we: "the same as with an unknown host: a foreign machine gets nothing",
		setup: func(r *rig) { r.withCredential(outage{}) },
		strike: func(r *rig) {
			r.network.LeadTo(r.newServer())
			r.server.CutAll()
			time.Sleep(30 * time.Second)
			r.network.LeadTo(r.server)
		},
		least: 0, most: outageMost, states: uponReady, code: eventhubs.CodeConnectionLost, all: true, repeats: true,
	},
	{
		name: "hub-made-again", what: "the event hub is deleted, and made again 30 s later", service: "detaches the links and refuses others, `amqp:not-found`", we: "pause longer and longer; with `FailFast` fail",
		strike: func(r *rig) {
			r.during(30*time.Second, func(op emulator.Operation) (emulator.Action, bool) {
				if op.Kind == emulator.KindTransfer {
					return emulator.Detach("amqp:not-found", world.Tracked("The messaging entity could not be found.")), true
				}
				return emulator.Reject("amqp:not-found", world.Tracked("The messaging entity could not be found.")), op.Hub != ""
			})
		},
		least: 0, most: 31 * time.Second, states: uponReady, code: eventhubs.CodeNotFound, condition: "amqp:not-found", all: true, repeats: true, dials: 1,
	},
	{
		name: "management-throttled", what: "the list of partitions is refused at first, for 10 s", service: "answers 503, `com.microsoft:server-busy` (50008)", we: "accept events, wait as long as it asks, and ask again",
		setup: func(r *rig) {
			r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindManagement {
					return emulator.Reject("com.microsoft:server-busy", textBusy)
				}
				return emulator.Pass()
			})
		},
		strike: func(r *rig) {
			time.Sleep(9 * time.Second)
			r.server.SetHook(nil)
		},
		least: 0, most: 8*time.Second + reconnect, states: "throttled ready", code: eventhubs.CodeThrottled, condition: "com.microsoft:server-busy", all: true, dials: 1,
	},
}

// unreachable is a strike: the connection breaks, and for that time dials fail with that error.
func unreachable(lasts time.Duration, err error) func(r *rig) {
	return func(r *rig) {
		r.network.Block(err)
		r.server.CutAll()
		time.Sleep(lasts)
		r.network.Block(nil)
	}
}
