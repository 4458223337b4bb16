package emulator_test

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// on makes a hook that applies an action to one kind of operation and lets the others pass.
func on(kind emulator.Kind, action emulator.Action) emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == kind {
			return action
		}
		return emulator.Pass()
	}
}

// inBubble runs a test with virtual time against a server with a hook.
func inBubble(t *testing.T, hook emulator.Hook, test func(*testing.T, *emulator.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hook: hook, Idle: neverIdle}))
	})
}

func connect(t *testing.T, server *emulator.Server) (*amqp.Conn, error) {
	t.Helper()
	nc, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := amqp.NewConn(ctx, nc, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

func mustSession(t *testing.T, server *emulator.Server) *amqp.Session {
	t.Helper()
	conn, err := connect(t, server)
	if err != nil {
		t.Fatal(err)
	}
	session, err := conn.NewSession(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func mustSender(t *testing.T, server *emulator.Server, address string) *amqp.Sender {
	t.Helper()
	sender, err := mustSession(t, server).NewSender(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// sendOne sends an event and waits at most a minute for its outcome.
func sendOne(t *testing.T, sender *amqp.Sender) (amqp.DeliveryState, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	receipt, err := sender.SendWithReceipt(ctx, amqp.NewMessage([]byte("event")), nil)
	if err != nil {
		return nil, err
	}
	return receipt.Wait(ctx)
}

// condition is the AMQP condition that the server named as the reason of an error.
func condition(err error) string {
	if e, ok := errors.AsType[*amqp.ConnError](err); ok && e.RemoteErr != nil {
		return string(e.RemoteErr.Condition)
	}
	if e, ok := errors.AsType[*amqp.LinkError](err); ok && e.RemoteErr != nil {
		return string(e.RemoteErr.Condition)
	}
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return string(e.Condition)
	}
	return ""
}

func TestFaultsOfTransfers(t *testing.T) {
	accepted := func(state amqp.DeliveryState, err error) bool { return err == nil && is[*amqp.StateAccepted](state) }
	rejected := func(state amqp.DeliveryState, err error) bool {
		r, ok := state.(*amqp.StateRejected)
		return err == nil && ok && r.Error.Condition == "com.microsoft:server-busy" && strings.HasPrefix(r.Error.Description, "wait")
	}
	silent := func(state amqp.DeliveryState, err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	cut := func(state amqp.DeliveryState, err error) bool {
		return is[*amqp.ConnError](err) && condition(err) == ""
	}
	detached := func(state amqp.DeliveryState, err error) bool { return condition(err) == "amqp:link:detach-forced" }
	closed := func(state amqp.DeliveryState, err error) bool { return condition(err) == "amqp:connection:forced" }

	for _, test := range []struct {
		name   string
		action emulator.Action
		heard  func(amqp.DeliveryState, error) bool
		stored int
	}{
		{"pass", emulator.Pass(), accepted, 1},
		{"accept without storing", emulator.Accept(), accepted, 0},
		{"reject", emulator.Reject("com.microsoft:server-busy", "wait"), rejected, 0},
		{"reject what is stored", emulator.Reject("com.microsoft:server-busy", "wait").Stored(), rejected, 1},
		{"release", emulator.Release(), func(s amqp.DeliveryState, err error) bool { return err == nil && is[*amqp.StateReleased](s) }, 0},
		{"modify", emulator.Modify(), func(s amqp.DeliveryState, err error) bool { return err == nil && is[*amqp.StateModified](s) }, 0},
		{"silence", emulator.Silence(), silent, 0},
		{"lose the acknowledgement", emulator.Silence().Stored(), silent, 1},
		{"cut before storing", emulator.Cut(), cut, 0},
		{"cut after storing", emulator.Cut().Stored(), cut, 1},
		{"detach before storing", emulator.Detach("amqp:link:detach-forced", "upgrade"), detached, 0},
		{"detach after storing", emulator.Detach("amqp:link:detach-forced", "upgrade").Stored(), detached, 1},
		{"close before storing", emulator.CloseConnection("amqp:connection:forced", "upgrade"), closed, 0},
		{"close after storing", emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored(), closed, 1},
		{"what concerns attaches only", emulator.WithholdCredit(0), accepted, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, on(emulator.KindTransfer, test.action), func(t *testing.T, server *emulator.Server) {
				state, err := sendOne(t, mustSender(t, server, "events/Partitions/0"))
				if !test.heard(state, err) {
					t.Errorf("the client heard %#v, %v", state, err)
				}
				if got := server.Counts("events", "0").Events; got != test.stored {
					t.Errorf("%d events stored, want %d", got, test.stored)
				}
			})
		})
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

func TestDelayHoldsUpTheLink(t *testing.T) {
	inBubble(t, on(emulator.KindTransfer, emulator.Pass().After(7*time.Second)), func(t *testing.T, server *emulator.Server) {
		if got := timeTwoSends(t, server); got != 14*time.Second {
			t.Errorf("two sends at once took %v, want 14 s: one after the other", got)
		}
	})
}

func TestDelayedAnswerDoesNotHoldUpTheLink(t *testing.T) {
	inBubble(t, on(emulator.KindTransfer, emulator.Pass().AnswerAfter(7*time.Second)), func(t *testing.T, server *emulator.Server) {
		if got := timeTwoSends(t, server); got != 7*time.Second {
			t.Errorf("two sends at once took %v, want 7 s: both at the same time", got)
		}
	})
}

// timeTwoSends has two events on their way at once on one link.
func timeTwoSends(t *testing.T, server *emulator.Server) time.Duration {
	t.Helper()
	sender, begin := mustSender(t, server, "events/Partitions/0"), time.Now()
	var receipts []amqp.SendReceipt
	for range 2 {
		receipt, err := sender.SendWithReceipt(t.Context(), amqp.NewMessage([]byte("event")), nil)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, receipt)
	}
	for _, receipt := range receipts {
		if state, err := receipt.Wait(t.Context()); err != nil || !is[*amqp.StateAccepted](state) {
			t.Errorf("outcome %v, %v", state, err)
		}
	}
	return time.Since(begin)
}

func TestFaultsOfAttaches(t *testing.T) {
	for _, test := range []struct {
		name   string
		action emulator.Action
		want   func(error) bool // of attaching and, if that succeeds, sending
	}{
		{"pass", emulator.Pass(), func(err error) bool { return err == nil }},
		{"what concerns transfers only", emulator.Release(), func(err error) bool { return err == nil }},
		{"refuse", emulator.Reject("amqp:unauthorized-access", "no"), func(err error) bool { return condition(err) == "amqp:unauthorized-access" }},
		{"cut", emulator.Cut(), func(err error) bool { return is[*amqp.ConnError](err) }},
		{"close", emulator.CloseConnection("amqp:connection:forced", "bye"), func(err error) bool { return condition(err) == "amqp:connection:forced" }},
		{"detach", emulator.Detach("amqp:link:detach-forced", "bye"), func(err error) bool { return condition(err) == "amqp:link:detach-forced" }},
		{"silence", emulator.Silence(), func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		// This is go-amqp's error for a deadline that ends while it waits for credit.
		{"no credit", emulator.WithholdCredit(0), func(err error) bool { return condition(err) == "amqp:link:transfer-limit-exceeded" }},
		{"late credit", emulator.WithholdCredit(30 * time.Second), func(err error) bool { return err == nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, on(emulator.KindAttach, test.action), func(t *testing.T, server *emulator.Server) {
				session := mustSession(t, server)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				sender, err := session.NewSender(ctx, "events/Partitions/0", nil)
				if err == nil {
					_, err = sendOne(t, sender)
				}
				if !test.want(err) {
					t.Errorf("the client heard %v (%T)", err, err)
				}
			})
		})
	}
}

func TestFaultsOfConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		action emulator.Action
		want   func(error) bool
	}{
		{"cut", emulator.Cut(), func(err error) bool { return err != nil && !errors.Is(err, context.DeadlineExceeded) }},
		{"silence", emulator.Silence(), func(err error) bool { return err != nil }},
		{"reject", emulator.Reject("amqp:resource-limit-exceeded", "full"), func(err error) bool { return condition(err) == "amqp:resource-limit-exceeded" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, on(emulator.KindConnection, test.action), func(t *testing.T, server *emulator.Server) {
				conn, err := connect(t, server)
				if err == nil {
					<-conn.Done()
					err = conn.Err()
				}
				if !test.want(err) {
					t.Errorf("the client heard %v (%T)", err, err)
				}
			})
		})
	}
}

func TestHookCanRefuseALateConnection(t *testing.T) {
	inBubble(t, on(emulator.KindConnection, emulator.Pass().After(time.Hour)), func(t *testing.T, server *emulator.Server) {
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("reading from a connection that is held up: %v, want a time-out", err)
		} else if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("reading from a connection that is held up: %v, want a time-out", err)
		}
		_ = nc.Close()
	})
}

func TestHookSeesEveryOperation(t *testing.T) {
	var mu sync.Mutex
	var seen []emulator.Operation
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, op)
		return emulator.Pass()
	}
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "Hub", Partitions: 4}}, Hook: hook})
	producer := newProducer(t, server, "hub", nil)
	if _, err := producer.GetPartitionProperties(t.Context(), "1", nil); err != nil {
		t.Fatal(err)
	}
	key := "7" // partition 3
	mustPublish(t, producer, optionsWithKey(key), "a", "b")
	receive(t, newConsumer(t, server, "hub", nil), "3", earliest, 2)

	mu.Lock()
	defer mu.Unlock()
	for _, want := range []emulator.Operation{
		{Kind: emulator.KindConnection, Connection: 1},
		{Kind: emulator.KindAttach, Connection: 1, Address: "$cbs"},
		{Kind: emulator.KindAttach, Connection: 1, Address: "$cbs", Receiver: true},
		{Kind: emulator.KindPutToken, Connection: 1, Address: "amqp://" + server.Addr() + "/hub", Hub: "Hub"},
		{Kind: emulator.KindManagement, Connection: 1, Hub: "Hub", PartitionID: "1"},
		{Kind: emulator.KindAttach, Connection: 1, Address: "hub", Hub: "Hub"},
		{Kind: emulator.KindConnection, Connection: 2},
		{Kind: emulator.KindAttach, Connection: 2, Address: "hub/ConsumerGroups/$Default/Partitions/3", Hub: "Hub", PartitionID: "3", ConsumerGroup: "$Default", Receiver: true},
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("the hook did not see %+v", want)
		}
	}
	i := slices.IndexFunc(seen, func(op emulator.Operation) bool { return op.Kind == emulator.KindTransfer })
	if i < 0 {
		t.Fatal("the hook saw no transfer")
	}
	op := seen[i]
	if op.Connection != 1 || op.Hub != "Hub" || op.PartitionID != "3" || op.PartitionKey != key || op.Events != 2 || op.Bytes < 50 || op.Bytes > 500 {
		t.Errorf("the hook saw %+v", op)
	}
}

func TestHookIsReplacedWhileTheServerRuns(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		sender := mustSender(t, server, "events")
		for i, want := range []bool{true, false, true} {
			server.SetHook(nil)
			if !want {
				server.SetHook(on(emulator.KindTransfer, emulator.Release()))
			}
			if state, err := sendOne(t, sender); err != nil || is[*amqp.StateAccepted](state) != want {
				t.Errorf("send %d: %v, %v; accepted should be %v", i, state, err, want)
			}
		}
	})
}

func TestCloseReleasesAHookThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Hook: func(ctx context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				<-ctx.Done()
			}
			return emulator.Pass()
		}})
		if err != nil {
			t.Fatal(err)
		}
		sender := mustSender(t, server, "events/Partitions/0")
		if _, err := sender.SendWithReceipt(t.Context(), amqp.NewMessage([]byte("event")), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if got := server.Counts("events", "0").Events; got != 0 {
			t.Errorf("%d events stored by an operation that never passed the hook", got)
		}
	})
}

func TestKindsHaveNames(t *testing.T) {
	for kind, want := range map[emulator.Kind]string{
		emulator.KindConnection: "connection", emulator.KindAttach: "attach", emulator.KindPutToken: "put-token",
		emulator.KindManagement: "management", emulator.KindTransfer: "transfer", 0: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d) is %q, want %q", kind, got, want)
		}
	}
}

func TestCutWorksOverTCP(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hook: on(emulator.KindConnection, emulator.Cut())})
	nc, err := net.Dial("tcp", server.Addr())
	if err != nil {
		return // cut so early that the client could not connect
	}
	defer func() { _ = nc.Close() }()
	if n, err := nc.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a connection that is cut", n)
	}
}

// A Go program reads a snapshot's JSON back.
func TestEnumerationsAreTextForMachines(t *testing.T) {
	type words struct {
		Kind      emulator.Kind
		Rights    emulator.Rights
		Transport emulator.Transport
	}
	for want, value := range map[string]words{
		`{"Kind":"put-token","Rights":"Send, Listen","Transport":"TCP, TLS"}`:                         {emulator.KindPutToken, emulator.RightSend | emulator.RightListen, emulator.TransportPlain | emulator.TransportTLS},
		`{"Kind":"transfer","Rights":"Manage","Transport":"TCP, TLS, WebSocket, WebSocket over TLS"}`: {emulator.KindTransfer, emulator.RightManage, emulator.TransportAll},
		`{"Kind":"unknown","Rights":"","Transport":""}`:                                               {},
	} {
		if got, err := json.Marshal(value); string(got) != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		got := words{emulator.KindAttach, emulator.RightListen, emulator.TransportWebSocket} // both are to be replaced
		if err := json.Unmarshal([]byte(want), &got); got != value || err != nil {
			t.Errorf("%s is read as %+v, %v, want %+v", want, got, err, value)
		}
		if got, want := fmt.Sprint(value), fmt.Sprintf("{%s %s %s}", value.Kind, value.Rights, value.Transport); got != want {
			t.Errorf("String makes %s, want %s", got, want)
		}
	}
	if got := emulator.Kind(99).String(); got != "unknown" {
		t.Errorf("a kind that is none is %q, want unknown", got)
	}
	for _, word := range []string{"detach", "Connection", "Send,Listen", "TCP, ", " "} {
		kind, rights, transport := emulator.KindAttach, emulator.RightListen, emulator.TransportTLS
		for _, value := range []encoding.TextUnmarshaler{&kind, &rights, &transport} {
			if err := value.UnmarshalText([]byte(word)); err == nil || !strings.Contains(err.Error(), "it is one of") {
				t.Errorf("%T of %q: got %v, want an error that lists the words", value, word, err)
			}
		}
		if kind != emulator.KindAttach || rights != emulator.RightListen || transport != emulator.TransportTLS {
			t.Errorf("%q: what could not be read has changed the value", word)
		}
	}
}
