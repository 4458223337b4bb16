package emulator_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	engine "github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A node is a pair of links to $cbs or $management.
type node struct {
	sender   *amqp.Sender
	receiver *amqp.Receiver
}

// openNode attaches to a node as Azure's Go client does.
func openNode(t *testing.T, session *amqp.Session, address, replyTo string) node {
	t.Helper()
	sender, err := session.NewSender(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := session.NewReceiver(t.Context(), address, &amqp.ReceiverOptions{
		TargetAddress: replyTo, Credit: 10, Name: "link-" + replyTo,
		SettlementMode:            amqp.ReceiverSettleModeFirst.Ptr(),
		RequestedSenderSettleMode: amqp.SenderSettleModeSettled.Ptr(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return node{sender, receiver}
}

// call sends a request and returns the answer.
func (n node) call(t *testing.T, request *amqp.Message) *amqp.Message {
	t.Helper()
	if err := n.sender.Send(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := n.receiver.Receive(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func putToken(audience string) *amqp.Message {
	return &amqp.Message{
		Properties: &amqp.MessageProperties{MessageID: "1", ReplyTo: new("me")},
		ApplicationProperties: map[string]any{
			"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": audience, "expiration": "0",
		},
		Value: "SharedAccessSignature sr=x&sig=y&se=1&skn=z",
	}
}

func read(properties map[string]any) *amqp.Message {
	m := &amqp.Message{
		Properties:            &amqp.MessageProperties{MessageID: "1", ReplyTo: new("me")},
		ApplicationProperties: map[string]any{"operation": "READ", "name": "events", "type": "com.microsoft:eventhub"},
	}
	maps.Copy(m.ApplicationProperties, properties)
	return m
}

// without removes a property from a request.
func without(m *amqp.Message, key string) *amqp.Message {
	delete(m.ApplicationProperties, key)
	return m
}

// checkStatus checks the status of an answer, which must be an int and a string.
func checkStatus(t *testing.T, answer *amqp.Message, status int32, text, condition string) {
	t.Helper()
	p := answer.ApplicationProperties
	if got, ok := p["status-code"].(int32); !ok || got != status {
		t.Errorf("status-code is %v (%T), want the int %d", p["status-code"], p["status-code"], status)
	}
	description, ok := p["status-description"].(string)
	if !ok || !strings.Contains(description, text) {
		t.Errorf("status-description is %v, want a string with %q", p["status-description"], text)
	}
	if got := fmt.Sprint(p["error-condition"]); condition != "" && got != condition || condition == "" && p["error-condition"] != nil {
		t.Errorf("error-condition is %v, want %q", p["error-condition"], condition)
	}
	if status > 299 && !strings.Contains(description, " TrackingId:") {
		t.Errorf("status-description %q has no tracking id", description)
	}
}

func TestPutToken(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		cbs := openNode(t, mustSession(t, server), "$cbs", "me")
		odd := putToken("amqp://h/events")
		odd.Value = []byte("bytes")
		unknown := putToken("amqp://h/events")
		unknown.ApplicationProperties["type"] = "kerberos"
		other := putToken("amqp://h/events")
		other.ApplicationProperties["operation"] = "delete-token"
		for _, test := range []struct {
			name            string
			request         *amqp.Message
			status          int32
			text, condition string
		}{
			{"hub", putToken("amqp://h:1/EVENTS"), 202, "Accepted", ""},
			{"partition", putToken("sb://h/events/Partitions/0"), 202, "Accepted", ""},
			{"consumer group", putToken("amqps://h/events/ConsumerGroups/$Default/Partitions/0"), 202, "Accepted", ""},
			{"management", putToken("amqp://h/events/$management"), 202, "Accepted", ""},
			{"management of a consumer group", putToken("amqps://h/events/ConsumerGroups/$Default/$management"), 202, "Accepted", ""},
			{"management of an unknown hub's group", putToken("amqps://h/nosuch/ConsumerGroups/$Default/$management"), 404, "/nosuch' could not be found", "amqp:not-found"},
			{"namespace", putToken("sb://h"), 202, "Accepted", ""},
			{"unknown hub", putToken("amqp://h/nosuch"), 404, "The messaging entity 'sb://", "amqp:not-found"},
			{"no audience", without(putToken("x"), "name"), 400, "'name'", "com.microsoft:argument-error"},
			{"no operation", without(putToken("amqp://h/events"), "operation"), 400, "'operation'", "com.microsoft:argument-error"},
			{"no type", without(putToken("amqp://h/events"), "type"), 400, "'type'", "com.microsoft:argument-error"},
			{"unknown type", unknown, 400, "kerberos", "com.microsoft:argument-error"},
			{"unknown operation", other, 501, "delete-token", "amqp:not-implemented"},
			{"token is not text", odd, 400, "amqp-value", "com.microsoft:argument-error"},
		} {
			answer := cbs.call(t, test.request)
			t.Log(test.name)
			checkStatus(t, answer, test.status, test.text, test.condition)
		}
	})
}

func TestAnswersCorrelateWithTheTypeOfTheRequest(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		cbs := openNode(t, mustSession(t, server), "$cbs", "me")
		for _, id := range []any{"text", uint64(7), uint64(7000), amqp.UUID{1, 2, 3}} {
			request := putToken("amqp://h/events")
			request.Properties.MessageID = id
			if got := cbs.call(t, request).Properties.CorrelationID; got != id {
				t.Errorf("message-id %v (%T) is answered with correlation-id %v (%T)", id, id, got, got)
			}
		}
	})
}

func TestReplyToMayNameTargetLinkOrNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		// Two receivers on the node, so that the right one must be found.
		first := openNode(t, session, "events/$management", "first")
		second := openNode(t, session, "events/$management", "second")
		for _, test := range []struct {
			replyTo string
			want    node
		}{
			{"first", first}, {"second", second}, {"link-first", first}, {"link-second", second}, {"something else", second}, {"", second},
		} {
			request := read(nil)
			request.Properties.ReplyTo = &test.replyTo
			answer := node{first.sender, test.want.receiver}.call(t, request)
			if to := answer.Properties.To; to == nil || *to != test.replyTo {
				t.Errorf("reply-to %q: the answer goes to %v", test.replyTo, to)
			}
		}
	})
}

func TestRequestWithoutAReceiverIsRejected(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		openNode(t, session, "$cbs", "me") // a receiver on another node does not count
		sender, err := session.NewSender(t.Context(), "$management", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = sender.Send(t.Context(), read(nil), nil)
		if condition(err) != "amqp:not-allowed" {
			t.Errorf("sending: %v, want amqp:not-allowed", err)
		}
		// The link goes on.
		err = sender.Send(t.Context(), read(nil), nil)
		if condition(err) != "amqp:not-allowed" {
			t.Errorf("sending again: %v, want amqp:not-allowed", err)
		}
	})
}

func TestUnreadableRequestIsRejected(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		management := openNode(t, mustSession(t, server), "$management", "me")
		err := management.sender.Send(t.Context(), read(map[string]any{"operation": "DELETE"}), nil)
		if condition(err) != "amqp:not-allowed" || !strings.Contains(err.Error(), "Invalid command 'DELETE'.") {
			t.Errorf("an unknown command: %v", err)
		}
		checkStatus(t, management.call(t, read(nil)), 200, "OK", "")
	})
}

// TestRequestsThatCannotBeReadAreRefusedByName sends requests whose id the server cannot know. The
// client hears of it by the outcome, or by a detach if it wants no outcome.
func TestRequestsThatCannotBeReadAreRefusedByName(t *testing.T) {
	large := encodeRequest(t, 5000)
	for name, test := range map[string]struct {
		payload         []byte
		condition, text string
	}{
		"too large": {large, "amqp:link:message-size-exceeded", fmt.Sprintf("size:%d bytes) exceeds the limit (4096 bytes)", len(large))},
		"garbage":   {[]byte("garbage"), "amqp:decode-error", "The request could not be read"},
	} {
		for _, settled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/settled=%v", name, settled), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, MaxMessageSize: 4096, Idle: neverIdle})
					s := openClient(t, server)
					replies, err := s.Attach(t.Context(), &engine.Attach{Name: "replies", Role: engine.RoleReceiver, Target: &engine.Target{Address: "me"}, Source: &engine.Source{Address: "$management"}})
					if err != nil {
						t.Fatal(err)
					}
					if err := replies.Credit(1); err != nil {
						t.Fatal(err)
					}
					link, err := s.Attach(t.Context(), &engine.Attach{Name: "requests", Role: engine.RoleSender, Source: &engine.Source{}, Target: &engine.Target{Address: "$management"}})
					if err != nil {
						t.Fatal(err)
					}
					link.Remote().MaxMessageSize = 0 // the engine would refuse it itself
					d := &engine.Delivery{Payload: test.payload, Settled: settled}
					if err := link.Send(t.Context(), d); err != nil {
						t.Fatal(err)
					}
					if settled {
						<-link.Done()
						err = link.Err()
					} else if state, waitErr := d.Wait(t.Context()); waitErr != nil {
						t.Fatal(waitErr)
					} else if rejected, ok := state.(engine.Rejected); ok {
						err = rejected.Error
					}
					checkRefusal(t, name, err, test.condition, test.text)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if answer, err := replies.Receive(ctx); err == nil {
						t.Errorf("it is answered as well: %q", answer.Payload)
					}
				})
			})
		}
	}
}

func TestOneCBSNodeForAConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		first := openNode(t, session, "$cbs", "me")
		_, err := session.NewSender(t.Context(), "$cbs", nil)
		if condition(err) != "amqp:not-allowed" || !strings.Contains(err.Error(), "$cbs node has already been opened.") {
			t.Errorf("a second sender to $cbs: %v", err)
		}
		if err := first.sender.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := session.NewSender(t.Context(), "$cbs", nil); err != nil {
			t.Errorf("the next sender to $cbs, when the first one is closed: %v", err)
		}
	})
}

func TestManagementDescribesAHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "Events", Partitions: 3}}})
		created := time.Now()
		answer := openNode(t, mustSession(t, server), "$management", "me").call(t, read(nil))
		checkStatus(t, answer, 200, "OK", "")
		checkBody(t, answer, map[string]any{
			"name": "Events", "type": "com.microsoft:eventhub", "created_at": created.UTC().Truncate(time.Millisecond),
			"partition_count": int32(3), "partition_ids": []string{"0", "1", "2"}, "georeplication_factor": int32(1),
		})
	})
}

func TestManagementDescribesAPartition(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		management := openNode(t, session, "$management", "me")
		request := map[string]any{"type": "com.microsoft:partition", "partition": "2"}
		checkBody(t, management.call(t, read(request)), map[string]any{
			"name": "events", "type": "com.microsoft:partition", "partition": "2",
			"begin_sequence_number_epoch": int32(-1), "last_enqueued_sequence_number_epoch": int32(-1),
			"begin_sequence_number": int64(-1), "last_enqueued_sequence_number": int64(-1), "last_enqueued_offset": "-1",
			"last_enqueued_time_utc": time.UnixMilli(0).UTC(), "is_partition_empty": true,
		})
		sender := mustSender(t, server, "events/Partitions/2")
		for range 2 {
			if _, err := sendOne(t, sender); err != nil {
				t.Fatal(err)
			}
		}
		checkBody(t, management.call(t, read(request)), map[string]any{
			"name": "events", "type": "com.microsoft:partition", "partition": "2",
			"begin_sequence_number_epoch": int32(-1), "last_enqueued_sequence_number_epoch": int32(-1),
			"begin_sequence_number": int64(0), "last_enqueued_sequence_number": int64(1), "last_enqueued_offset": "10",
			"last_enqueued_time_utc": time.Now().UTC().Truncate(time.Millisecond), "is_partition_empty": false,
		})
	})
}

// checkBody compares values and types.
func checkBody(t *testing.T, answer *amqp.Message, want map[string]any) {
	t.Helper()
	got, ok := answer.Value.(map[string]any)
	if !ok || len(got) != len(want) {
		t.Fatalf("the body is %v (%T), want a map with %d keys", answer.Value, answer.Value, len(want))
	}
	for key, w := range want {
		if g, w := fmt.Sprintf("%T %[1]v", got[key]), fmt.Sprintf("%T %[1]v", w); g != w {
			t.Errorf("%s is %s, want %s", key, g, w)
		}
	}
}

func TestManagementRefuses(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		management := openNode(t, mustSession(t, server), "$management", "me")
		for _, test := range []struct {
			name            string
			request         *amqp.Message
			status          int32
			text, condition string
		}{
			{"unknown hub", read(map[string]any{"name": "nosuch"}), 404, "/nosuch' could not be found", "amqp:not-found"},
			{"unknown partition", read(map[string]any{"type": "com.microsoft:partition", "partition": "4"}), 400, "The specified partition is invalid", "com.microsoft:argument-out-of-range"},
			{"no partition", read(map[string]any{"type": "com.microsoft:partition"}), 400, "The specified partition is invalid", "com.microsoft:argument-out-of-range"},
			{"unknown type", read(map[string]any{"type": "com.microsoft:queue"}), 400, "com.microsoft:queue", "com.microsoft:argument-error"},
			{"no name", without(read(nil), "name"), 400, "'name'", "com.microsoft:argument-error"},
			{"no operation", without(read(nil), "operation"), 400, "'operation'", "com.microsoft:argument-error"},
		} {
			t.Log(test.name)
			checkStatus(t, management.call(t, test.request), test.status, test.text, test.condition)
		}
	})
}

func TestFaultsOfRequests(t *testing.T) {
	for _, test := range []struct {
		name   string
		action emulator.Action
		status int32 // 0: no answer within a minute
	}{
		{"pass", emulator.Pass(), 200},
		{"what concerns transfers only", emulator.Modify(), 200},
		{"accept", emulator.Accept(), 200},
		{"reject", emulator.Reject("com.microsoft:auth-failed", "ExpiredToken: no."), 401},
		{"throttle", emulator.Reject("com.microsoft:server-busy", "Error code : 50008."), 503},
		{"silence", emulator.Silence(), 0},
		{"cut", emulator.Cut(), 0},
		{"detach", emulator.Detach("amqp:link:detach-forced", "bye"), 0},
		{"close", emulator.CloseConnection("amqp:connection:forced", "bye"), 0},
	} {
		for kind, request := range map[emulator.Kind]*amqp.Message{
			emulator.KindPutToken: putToken("amqp://h/events"), emulator.KindManagement: read(nil),
		} {
			t.Run(test.name+"/"+kind.String(), func(t *testing.T) {
				inBubble(t, on(kind, test.action), func(t *testing.T, server *emulator.Server) {
					address := map[emulator.Kind]string{emulator.KindPutToken: "$cbs", emulator.KindManagement: "$management"}[kind]
					n := openNode(t, mustSession(t, server), address, "me")
					_ = n.sender.Send(t.Context(), request, nil) // fails for some
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					answer, err := n.receiver.Receive(ctx, nil)
					switch {
					case test.status == 0 && err == nil:
						t.Errorf("answered with %v", answer.ApplicationProperties)
					case test.status != 0 && err != nil:
						t.Error(err)
					case test.status != 0:
						want := test.status
						if want == 200 && kind == emulator.KindPutToken {
							want = 202
						}
						if answer.ApplicationProperties["status-code"] != want {
							t.Errorf("answered with %v, want status %d", answer.ApplicationProperties, want)
						}
					}
				})
			})
		}
	}
}
