package emulator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// neverIdle is for tests that wait for hours to see something else.
var neverIdle = emulator.Idle{Sender: -1, Connection: -1, NewConnection: -1}

// An idler is a client that keeps its connection alive, and otherwise acts only on request.
type idler struct {
	conn    *amqp.Conn
	session *amqp.Session
}

func newIdler(t *testing.T, server *emulator.Server) idler {
	t.Helper()
	nc, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Client(t.Context(), nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(nil) })
	session, err := conn.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return idler{conn, session}
}

// attach attaches a link whose name is its address.
func (c idler) attach(t *testing.T, role amqp.Role, address string) *amqp.Link {
	t.Helper()
	a := &amqp.Attach{Name: address, Role: role, Source: &amqp.Source{}, Target: &amqp.Target{}}
	if role == amqp.RoleSender {
		a.Target.Address = address
	} else {
		a.Source.Address = address
	}
	link, err := c.session.Attach(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// wantEnd waits for an end and checks its time and the server's error.
func wantEnd(t *testing.T, done <-chan struct{}, err func() error, begin time.Time, after time.Duration, condition, text string) {
	t.Helper()
	<-done
	if got := time.Since(begin); got != after {
		t.Errorf("over after %v, want %v", got, after)
	}
	e, ok := errors.AsType[*amqp.Error](err())
	if !ok || string(e.Condition) != condition || !strings.HasPrefix(e.Description, text) || !strings.Contains(e.Description, " TrackingId:") {
		t.Errorf("the server says %v\nwant %s: %s", err(), condition, text)
	}
}

const oneEvent = "\x00\x53\x75\xa0\x01x" // a data section

func sendEvent(t *testing.T, link *amqp.Link) {
	t.Helper()
	d := &amqp.Delivery{Payload: []byte(oneEvent)}
	if err := link.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if state, err := d.Wait(t.Context()); err != nil || !is[amqp.Accepted](state) {
		t.Fatalf("outcome %v, %v", state, err)
	}
}

func TestASenderThatIsIdleIsDetached(t *testing.T) {
	for _, test := range []struct {
		limit, want time.Duration
		clock       string
	}{{0, 30 * time.Minute, "00:30:00"}, {90 * time.Second, 90 * time.Second, "00:01:30"}} {
		synctest.Test(t, func(t *testing.T) {
			client := newIdler(t, newServer(t, emulator.Options{Idle: emulator.Idle{Sender: test.limit}}))
			begin := time.Now()
			receiver := client.attach(t, amqp.RoleReceiver, "events/ConsumerGroups/$Default/Partitions/0")
			silent := client.attach(t, amqp.RoleSender, "events")
			busy := client.attach(t, amqp.RoleSender, "events/Partitions/1")
			time.Sleep(test.want - time.Second)
			sendEvent(t, busy)
			const condition = "amqp:link:detach-forced"
			wantEnd(t, silent.Done(), silent.Err, begin, test.want, condition, "The link 'G0:1:/events_events' is force detached by the broker due to "+
				"errors occurred in publisher(link1). Detach origin: AmqpEventHubPublisher.IdleTimerExpired: Idle timeout: "+test.clock+". ")
			wantEnd(t, busy.Done(), busy.Err, begin, 2*test.want-time.Second, condition, "The link 'G0:1:/events/Partitions/1_events/Partitions/1' is force detached ")
			sendEvent(t, client.attach(t, amqp.RoleSender, "events")) // the connection still works
			time.Sleep(24 * time.Hour)
			if receiver.Err() != nil || client.conn.Err() != nil {
				t.Errorf("a receiver may be idle for ever, but it has ended with %v, its connection with %v", receiver.Err(), client.conn.Err())
			}
		})
	}
}

func TestAHookThatTakesLongDoesNotMakeTheSenderIdle(t *testing.T) {
	hook := on(emulator.KindTransfer, emulator.Pass().After(time.Hour))
	synctest.Test(t, func(t *testing.T) {
		client := newIdler(t, newServer(t, emulator.Options{Hook: hook}))
		link := client.attach(t, amqp.RoleSender, "events")
		sendEvent(t, link)
		wantEnd(t, link.Done(), link.Err, time.Now(), 30*time.Minute, "amqp:link:detach-forced", "The link ")
	})
}

func TestAConnectionWithoutAnActiveLinkIsClosed(t *testing.T) {
	const (
		unused   = "The connection was inactive for more than the allowed 60000 milliseconds and is closed by container 'LinkTracker'. "
		inactive = "The connection was closed by container '"
		forced   = "amqp:connection:forced"
	)
	for _, test := range []struct {
		name string
		use  func(*testing.T, idler)
		want time.Duration
		text string
	}{
		{"nothing was ever attached", func(*testing.T, idler) {}, time.Minute, unused},
		{"only $cbs", func(t *testing.T, c idler) { c.attach(t, amqp.RoleSender, "$cbs") }, 5 * time.Minute, inactive},
		{"what was attached was refused", func(t *testing.T, c idler) {
			time.Sleep(30 * time.Second)
			if _, err := c.session.Attach(t.Context(), &amqp.Attach{Name: "x", Source: &amqp.Source{}, Target: &amqp.Target{Address: "nowhere"}}); err == nil {
				t.Error("a link to nowhere")
			}
		}, 5 * time.Minute, inactive},
		{"the last link went after 7 minutes", func(t *testing.T, c idler) {
			first, second := c.attach(t, amqp.RoleSender, "events"), c.attach(t, amqp.RoleReceiver, "events/ConsumerGroups/$Default/Partitions/0")
			time.Sleep(3 * time.Minute)
			_ = first.Detach(nil)
			time.Sleep(4 * time.Minute)
			_ = second.Detach(nil)
		}, 12 * time.Minute, inactive},
		{"$management was idle for 30 minutes", func(t *testing.T, c idler) {
			link := c.attach(t, amqp.RoleSender, "$management")
			wantEnd(t, link.Done(), link.Err, time.Now(), 30*time.Minute, "amqp:link:detach-forced", "Idle link tracker, link $management has been idle for 1800000ms ")
		}, 35 * time.Minute, inactive},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newIdler(t, newServer(t, emulator.Options{}))
				begin := time.Now()
				test.use(t, client)
				wantEnd(t, client.conn.Done(), client.conn.Err, begin, test.want, forced, test.text)
				if err := client.conn.Err(); test.text == inactive && !strings.Contains(err.Error(), "_G0' because it did not have any active links in the past 300000 milliseconds. TrackingId:") {
					t.Errorf("the server says %v", err)
				}
			})
		})
	}
}

func TestLinksAreDetachedBeforeAnIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newIdler(t, newServer(t, emulator.Options{}))
		begin := time.Now()
		cbs := client.attach(t, amqp.RoleSender, "$cbs")
		wantEnd(t, cbs.Done(), cbs.Err, begin, 5*time.Minute, "amqp:connection:forced", "The connection was closed by container '")
		if !strings.Contains(cbs.Err().Error(), "peer sent detach") {
			t.Errorf("the link has ended with %v, want a detach of its own", cbs.Err())
		}
	})
}

func TestIdleClientsMayBeLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{Idle: neverIdle})
		idle, sending := newIdler(t, server), newIdler(t, server)
		link := sending.attach(t, amqp.RoleSender, "events")
		time.Sleep(24 * time.Hour)
		for _, err := range []error{idle.conn.Err(), sending.conn.Err(), link.Err()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAClientThatComesBackIsNotIdle attaches its next link exactly when the time is up.
func TestAClientThatComesBackIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newIdler(t, newServer(t, emulator.Options{}))
		for range 20 {
			link := client.attach(t, amqp.RoleSender, "events")
			sendEvent(t, link)
			_ = link.Detach(nil)
			time.Sleep(5*time.Minute - time.Nanosecond)
		}
		if err := client.conn.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheWholeFleetIsCutAndComesBack(t *testing.T) {
	const fleet = 400
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{})
		for range 2 {
			var clients []idler
			for range fleet {
				c := newIdler(t, server)
				sendEvent(t, c.attach(t, amqp.RoleSender, "events"))
				clients = append(clients, c)
			}
			if got := server.CutAll(); got != fleet {
				t.Errorf("%d connections cut, want %d", got, fleet)
			}
			for _, c := range clients {
				<-c.conn.Done()
				if e, ok := errors.AsType[*amqp.Error](c.conn.Err()); ok {
					t.Fatalf("a connection ended with a word: %v", e)
				}
			}
			synctest.Wait()
			if got := server.CutAll(); got != 0 {
				t.Errorf("%d connections are left", got)
			}
		}
		if got := server.Counts("events", "").Events; got != 2*fleet {
			t.Errorf("%d events, want %d", got, 2*fleet)
		}
	})
}

func TestConnectionsAreCutWhateverTheyDo(t *testing.T) {
	for name, action := range map[string]emulator.Action{
		"silent": emulator.Silence(), "stalled": emulator.Pass().StallReading(0), "slow": emulator.Pass().After(24 * time.Hour), "ignoring": emulator.Pass().IgnoreClose(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, on(emulator.KindConnection, action), func(t *testing.T, server *emulator.Server) {
				nc, err := server.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if name == "stalled" || name == "ignoring" {
					if _, err := amqp.Client(t.Context(), nc, nil); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				begin := time.Now()
				if got := server.CutAll(); got != 1 {
					t.Errorf("%d connections cut, want 1", got)
				}
				synctest.Wait()
				if got := server.CutAll(); got != 0 || time.Since(begin) != 0 {
					t.Errorf("%d connections are left after %v", got, time.Since(begin))
				}
			})
		})
	}
}

// onlyEntities accepts tokens for partitions only, as a namespace does that has rules on its
// entities.
func onlyEntities(_ context.Context, op emulator.Operation) emulator.Action {
	if op.Kind == emulator.KindPutToken && op.PartitionID == "" {
		return emulator.Reject("com.microsoft:auth-failed", "InvalidAudience: no.").WithStatus(403)
	}
	return emulator.Pass()
}

func TestTokensMayBeRefusedByTheirAudience(t *testing.T) {
	inBubble(t, onlyEntities, func(t *testing.T, server *emulator.Server) {
		for audience, status := range map[string]int32{
			"amqps://h/events": 403, "amqps://h/events/$management": 403, "amqps://h/events/Partitions/2": 202, "amqps://h/events/ConsumerGroups/$Default/Partitions/2": 202,
		} {
			text, condition := "Accepted", ""
			if status != 202 {
				text, condition = "InvalidAudience: no.", "com.microsoft:auth-failed"
			}
			cbs := openNode(t, mustSession(t, server), "$cbs", "me")
			checkStatus(t, cbs.call(t, putToken(audience)), status, text, condition)
		}
	})
}
