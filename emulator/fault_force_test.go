package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	goamqp "github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// underFaults runs a test in virtual time against a server with rules.
func underFaults(t *testing.T, options emulator.Options, rules []string, test func(*testing.T, *emulator.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		options.Addr, options.Idle = emulator.InMemory, neverIdle
		for _, text := range rules {
			options.Faults = append(options.Faults, mustRule(t, text))
		}
		test(t, emulatortest.New(t, &options))
	})
}

// heard describes the result of a send in one word or condition.
func heard(state goamqp.DeliveryState, err error) string {
	switch state := state.(type) {
	case *goamqp.StateAccepted:
		return "accepted"
	case *goamqp.StateReleased:
		return "released"
	case *goamqp.StateModified:
		return "modified"
	case *goamqp.StateRejected:
		return "rejected " + string(state.Error.Condition)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "silence"
	}
	if c := condition(err); c != "" {
		return c
	}
	if is[*goamqp.ConnError](err) {
		return "cut"
	}
	return fmt.Sprint(err)
}

// Each fault that concerns a send: what a client sees, and what is stored.
func TestRulesMakeTheFaultsOfASend(t *testing.T) {
	for rule, want := range map[string]struct {
		outcome string
		stored  int
		lasting time.Duration
	}{
		"throttle":                             {"rejected com.microsoft:server-busy", 0, 0},
		"reject condition=amqp:internal-error": {"rejected amqp:internal-error", 0, 0},
		"release":                              {"released", 0, 0},
		"modify":                               {"modified", 0, 0},
		"lose-event":                           {"accepted", 0, 0},
		"lose-ack":                             {"silence", 1, time.Minute},
		"silence":                              {"silence", 0, time.Minute},
		"cut-before":                           {"cut", 0, 0},
		"cut-after":                            {"cut", 1, 0},
		"detach":                               {"amqp:link:detach-forced", 0, 0},
		"detach condition=a:b":                 {"a:b", 0, 0},
		"close":                                {"amqp:connection:forced", 0, 0},
		"close condition=amqp:not-found":       {"amqp:not-found", 0, 0},
		"hold-credit":                          {"amqp:link:transfer-limit-exceeded", 0, time.Minute},
		"hold-credit lasting=7s":               {"accepted", 1, 7 * time.Second},
		"delay lasting=7s":                     {"accepted", 1, 7 * time.Second},
		"late-answer lasting=7s":               {"accepted", 1, 7 * time.Second},
		"stall on=attach lasting=7s":           {"accepted", 1, 7 * time.Second},
		"close-window on=attach lasting=7s":    {"accepted", 1, 7 * time.Second},
		"ignore-close":                         {"accepted", 1, 0},
		"ignore-detach":                        {"accepted", 1, 0},
		"throttle hub=EVENTS partition=0":      {"rejected com.microsoft:server-busy", 0, 0},
		"throttle partition=1,2":               {"accepted", 1, 0},
		"throttle from=1h":                     {"accepted", 1, 0},
		"throttle on=management":               {"accepted", 1, 0},
		"throttle on=attach role=receiver":     {"accepted", 1, 0},
		"steal":                                {"accepted", 1, 0},
		"reject condition=a:b text=\"two words\" hub=events": {"rejected a:b", 0, 0},
	} {
		t.Run(rule, func(t *testing.T) {
			underFaults(t, emulator.Options{}, []string{rule}, func(t *testing.T, server *emulator.Server) {
				began := time.Now()
				sender := mustSender(t, server, "events/Partitions/0")
				if got := heard(sendOne(t, sender)); got != want.outcome {
					t.Errorf("the outcome is %q, want %q", got, want.outcome)
				}
				if got := time.Since(began); got != want.lasting {
					t.Errorf("it came after %v, want %v", got, want.lasting)
				}
				if got := server.Counts("events", "0").Events; got != want.stored {
					t.Errorf("%d events are stored, want %d", got, want.stored)
				}
			})
		})
	}
}

// Each fault that concerns an attach, a token or a question.
func TestRulesMakeTheFaultsOfOtherOperations(t *testing.T) {
	attach := func(t *testing.T, server *emulator.Server) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := mustSession(t, server).NewSender(ctx, "events/Partitions/0", nil)
		return heard(nil, err)
	}
	ask := func(address string, message *goamqp.Message) func(*testing.T, *emulator.Server) string {
		return func(t *testing.T, server *emulator.Server) string {
			answer := openNode(t, mustSession(t, server), address, "").call(t, message)
			return fmt.Sprint(answer.ApplicationProperties["status-code"], " ", answer.ApplicationProperties["error-condition"])
		}
	}
	connecting := func(t *testing.T, server *emulator.Server) string {
		conn, err := connect(t, server)
		if err == nil {
			_, err = conn.NewSession(t.Context(), nil)
		}
		return heard(nil, err)
	}
	token, question := ask("$cbs", putToken("amqp://localhost/events")), ask("$management", read(map[string]any{"name": "events", "type": "com.microsoft:eventhub"}))
	for _, test := range []struct {
		rule, want string
		do         func(*testing.T, *emulator.Server) string
	}{
		{"throttle on=attach", "com.microsoft:server-busy", attach},
		{"reject on=attach condition=a:b hub=events partition=0", "a:b", attach},
		{"reject on=attach condition=a:b partition=1", "<nil>", attach},
		{"silence on=attach", "silence", attach},
		{"cut-before on=attach", "cut", attach},
		{"close on=attach", "amqp:connection:forced", attach},
		{"throttle on=put-token", "503 com.microsoft:server-busy", token},
		{"throttle on=put-token hub=events", "503 com.microsoft:server-busy", token},
		{"throttle on=attach", "202 <nil>", token}, // the link to $cbs is no attach to a hub
		{"reject on=put-token condition=com.microsoft:auth-failed status=403", "403 com.microsoft:auth-failed", token},
		{"throttle on=management", "503 com.microsoft:server-busy", question},
		{"reject on=management condition=a:b status=418 hub=events", "418 a:b", question},
		{"throttle on=put-token", "200 <nil>", question},
		{"cut-before on=connection", "reset", connecting},
		{"reject on=connection condition=a:b", "a:b", connecting},
	} {
		t.Run(test.rule, func(t *testing.T) {
			underFaults(t, emulator.Options{}, []string{test.rule}, func(t *testing.T, server *emulator.Server) {
				if got := test.do(t, server); got != test.want && !(test.want == "reset" && strings.HasSuffix(got, "connection reset by peer")) {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// readAll receives events until the link ends or goes silent for a minute.
func readAll(t *testing.T, link *amqp.Link) (n int, err error) {
	t.Helper()
	if err := link.Credit(100); err != nil {
		t.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		d, err := link.Receive(ctx)
		cancel()
		if err != nil {
			return n, err
		}
		_ = d
		n++
	}
}

// A rule can end a receiver in the middle of its events.
func TestRulesMakeTheFaultsOfDeliveries(t *testing.T) {
	for rule, want := range map[string]struct {
		events    int
		condition string // empty: the connection is cut, which may lose events that were just sent
	}{
		"steal every=3":                     {2, "amqp:link:stolen"},
		"steal on=attach":                   {0, "amqp:link:stolen"},
		"steal every=3 group=$default":      {2, "amqp:link:stolen"},
		"detach on=delivery every=3":        {2, "amqp:link:detach-forced"},
		"close on=delivery every=3":         {2, "amqp:connection:forced"},
		"cut-before on=delivery every=3":    {2, ""},
		"silence on=delivery every=3":       {2, "silence"},
		"delay on=delivery lasting=1s":      {5, "silence"},
		"throttle":                          {5, "silence"},
		"steal partition=1":                 {5, "silence"},
		"steal group=other":                 {5, "silence"},
		"steal from=1h":                     {5, "silence"},
		"cut-before on=delivery share=100%": {0, ""},
	} {
		t.Run(rule, func(t *testing.T) {
			underFaults(t, emulator.Options{}, []string{rule}, func(t *testing.T, server *emulator.Server) {
				if err := server.Seed("events", "0", make([]emulator.Event, 5)...); err != nil {
					t.Fatal(err)
				}
				n := 0
				link, err := attachReceiver(t, server, partition0, "reader", nil)
				if err == nil {
					n, err = readAll(t, link)
				}
				got := ""
				if e, ok := errors.AsType[*amqp.Error](err); ok {
					got = string(e.Condition)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					got = "silence"
				}
				if n > want.events || n < want.events && want.condition != "" || got != want.condition {
					t.Errorf("%d events, then %q (%v), want %d, then %q", n, got, err, want.events, want.condition)
				}
			})
		})
	}
}

// sendMany sends n events, one after the other, and returns the outcomes as letters: a for
// accepted, x for any other.
func sendMany(t *testing.T, server *emulator.Server, partition string, n int) string {
	t.Helper()
	sender := mustSender(t, server, "events/Partitions/"+partition)
	var out strings.Builder
	for range n {
		if heard(sendOne(t, sender)) == "accepted" {
			out.WriteByte('a')
		} else {
			out.WriteByte('x')
		}
	}
	return out.String()
}

func TestRulesChooseAmongOperations(t *testing.T) {
	for _, test := range []struct {
		rules []string
		want  string
	}{
		{[]string{"throttle"}, "xxxxxxxxxx"},
		{[]string{"throttle count=3"}, "xxxaaaaaaa"},
		{[]string{"throttle every=3"}, "aaxaaxaaxa"},
		{[]string{"throttle every=4 count=1"}, "aaaxaaaaaa"},
		{[]string{"throttle every=2 count=2"}, "axaxaaaaaa"},
		{[]string{"throttle count=2", "release count=2"}, "xxxxaaaaaa"}, // the second does not count what the first has
		{[]string{"throttle share=100% count=1 seed=5"}, "xaaaaaaaaa"},
		{[]string{"delay lasting=1s", "throttle every=5"}, "aaaaxaaaax"},
	} {
		underFaults(t, emulator.Options{}, test.rules, func(t *testing.T, server *emulator.Server) {
			if got := sendMany(t, server, "0", 10); got != test.want {
				t.Errorf("%q: got %s, want %s", test.rules, got, test.want)
			}
		})
	}
}

// The time of a rule begins when it is set, not when the server starts.
func TestRulesHaveATime(t *testing.T) {
	underFaults(t, emulator.Options{}, nil, func(t *testing.T, server *emulator.Server) {
		time.Sleep(time.Hour) // virtual
		id, err := server.AddFault(mustRule(t, "throttle from=10s for=20s"))
		if err != nil {
			t.Fatal(err)
		}
		sender := mustSender(t, server, "events/Partitions/0")
		set := time.Now()
		for _, step := range []struct {
			after time.Duration
			want  string
			over  bool
		}{
			{0, "accepted", false}, {9999 * time.Millisecond, "accepted", false}, {10 * time.Second, "rejected com.microsoft:server-busy", false},
			{29999 * time.Millisecond, "rejected com.microsoft:server-busy", false}, {30 * time.Second, "accepted", true}, {time.Hour, "accepted", true},
		} {
			time.Sleep(time.Until(set.Add(step.after))) // virtual
			if got := heard(sendOne(t, sender)); got != step.want {
				t.Errorf("after %v: %s, want %s", step.after, got, step.want)
			}
			f := server.Faults()[0]
			if f.Over != step.over || !f.Begins.Equal(set.Add(10*time.Second)) || !f.Ends.Equal(set.Add(30*time.Second)) {
				t.Errorf("after %v: %+v, want over %v", step.after, f, step.over)
			}
		}
		if f := server.Faults()[0]; f.ID != id || f.Matched != 2 || f.Hits != 2 || f.Remaining != -1 {
			t.Errorf("at the end: %+v, want fault %d with 2 hits of 2", f, id)
		}
	})
}

func TestTheShareOfARuleIsRepeatable(t *testing.T) {
	run := func(rule string) (sends string, shown emulator.Fault) {
		underFaults(t, emulator.Options{}, []string{rule}, func(t *testing.T, server *emulator.Server) {
			for _, partition := range []string{"0", "1"} {
				sends += sendMany(t, server, partition, 100)
			}
			shown = server.Faults()[0]
		})
		return sends, shown
	}
	first, shown := run("throttle share=20%")
	if n := strings.Count(first, "x"); n < 15 || n > 80 || shown.Hits != n || shown.Matched != 200 {
		t.Errorf("%d of 200 were throttled, %+v; want about 40", n, shown)
	}
	text := shown.Rule.String()
	if !strings.Contains(text, " seed=") {
		t.Fatalf("the rule is %q, want its seed", text)
	}
	if again, _ := run(text); again != first {
		t.Errorf("the rule %q gave\n%s, then\n%s", text, first, again)
	}
}

func TestFaultsAreListedAndRemoved(t *testing.T) {
	underFaults(t, emulator.Options{}, []string{"throttle count=5", "silence on=connection from=1h"}, func(t *testing.T, server *emulator.Server) {
		third, err := server.AddFault(mustRule(t, "cut-before hub=events partition=3"))
		if err != nil || third != 3 {
			t.Fatalf("got %d, %v, want 3", third, err)
		}
		sendMany(t, server, "0", 2)
		var list []string
		for _, f := range server.Faults() {
			list = append(list, fmt.Sprintf("%d %s: %d %d %d", f.ID, f.Rule, f.Matched, f.Hits, f.Remaining))
		}
		if got, want := strings.Join(list, "|"), "1 throttle count=5: 2 2 3|2 silence on=connection from=1h: 0 0 -1|3 cut-before hub=events partition=3: 0 0 -1"; got != want {
			t.Errorf("the list is %s, want %s", got, want)
		}
		if !server.RemoveFault(1) || server.RemoveFault(1) || server.RemoveFault(99) {
			t.Error("fault 1 must be removed once, and fault 99 never")
		}
		if got := sendMany(t, server, "0", 2); got != "aa" {
			t.Errorf("after the removal: %s, want aa", got)
		}
		if n := server.RemoveFaults(); n != 2 || len(server.Faults()) != 0 {
			t.Errorf("%d were removed, %v are left, want 2 and none", n, server.Faults())
		}
		if id, err := server.AddFault(mustRule(t, "throttle")); err != nil || id != 4 {
			t.Errorf("the next fault is %d, %v, want 4: an id is never used again", id, err)
		}
	})
}

func TestAServerRefusesRulesThatCannotHappen(t *testing.T) {
	server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "orders", Partitions: 2}, {Name: "health", FaultFree: true}}})
	for text, want := range map[string]string{
		"throttle hub=order":                `fault rule: hub is "order": there is no such hub: create it first, or use one of orders`,
		"throttle hub=orders partition=1,2": `fault rule: partition is "2": hub orders has the partitions 0 to 1`,
		"steal hub=orders group=g":          `fault rule: group is "g": hub orders has the consumer groups $Default`,
		"throttle hub=ORDERS":               "",
		"throttle partition=7":              "",
		"steal hub=orders group=$default":   "",
		"throttle hub=health":               "",
	} {
		_, err := server.AddFault(mustRule(t, text))
		if got := fmt.Sprint(err); got != want && !(err == nil && want == "") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if _, err := server.AddFault(emulator.FaultRule{}); err == nil || !strings.Contains(err.Error(), "the rule is empty: ParseFaultRule makes one") {
		t.Errorf("the zero rule: %v, want an error", err)
	}
	var err error
	for range 200 {
		if _, err = server.AddFault(mustRule(t, "throttle")); err != nil {
			break
		}
	}
	if n := len(server.Faults()); n != 100 || err == nil || !strings.Contains(err.Error(), "100 rules are set already: clear one first") {
		t.Errorf("%d faults are set, then %v; want 100 and an error", n, err)
	}
	_, err = emulator.New(&emulator.Options{Addr: emulator.InMemory, Faults: []emulator.FaultRule{mustRule(t, "throttle"), mustRule(t, "throttle hub=x")}})
	if err == nil || !strings.Contains(err.Error(), `emulator: Options.Faults[1]: fault rule: hub is "x": there is no such hub`) {
		t.Errorf("New: %v, want an error that names the option", err)
	}
}

// A rule changes the answer, and keeps the hook's delay.
func TestRulesAndTheHookAddUp(t *testing.T) {
	options := emulator.Options{Hook: emulator.Latency(1, time.Second, 0)}
	underFaults(t, options, []string{"throttle count=1", "late-answer lasting=10s"}, func(t *testing.T, server *emulator.Server) {
		sender := mustSender(t, server, "events/Partitions/0")
		for _, want := range []string{"rejected com.microsoft:server-busy", "accepted"} {
			began := time.Now()
			if got := heard(sendOne(t, sender)); got != want || time.Since(began) != 11*time.Second {
				t.Errorf("got %s after %v, want %s after 11s", got, time.Since(began), want)
			}
		}
		server.SetHook(func(context.Context, emulator.Operation) emulator.Action { return emulator.Reject("a:hook", "") })
		if got := heard(sendOne(t, sender)); got != "rejected a:hook" {
			t.Errorf("got %s, want the hook's refusal, since no rule has an answer", got)
		}
	})
}

func TestAFaultFreeHubIsSpared(t *testing.T) {
	options := emulator.Options{Hubs: []emulator.Hub{{Name: "events"}, {Name: "health", FaultFree: true}}}
	underFaults(t, options, []string{"throttle", "throttle on=attach role=receiver"}, func(t *testing.T, server *emulator.Server) {
		if got := heard(sendOne(t, mustSender(t, server, "health"))); got != "accepted" {
			t.Errorf("the fault-free hub: %s, want accepted", got)
		}
		if got := sendMany(t, server, "0", 1); got != "x" {
			t.Error("the other hub has no fault")
		}
		if _, err := server.AddFault(mustRule(t, "throttle hub=health")); err != nil {
			t.Fatal(err)
		}
		if got := heard(sendOne(t, mustSender(t, server, "health"))); got != "rejected com.microsoft:server-busy" {
			t.Errorf("the fault-free hub by its name: %s, want a refusal", got)
		}
		if n := server.RemoveFaults(); n != 3 {
			t.Errorf("%d faults were removed, want 3", n)
		}
		if _, err := server.AddFault(mustRule(t, "throttle hub=health")); err != nil {
			t.Fatal(err)
		}
		if got := sendMany(t, server, "0", 1); got != "a" {
			t.Error("a rule for another hub has hit this one")
		}
	})
}

// A program in Go uses the rules of the command line and of HTTP.
func ExampleServer_AddFault() {
	rule, err := emulator.ParseFaultRule("throttle hub=events count=1")
	if err != nil {
		panic(err)
	}
	server, err := emulator.New(nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()
	id, err := server.AddFault(rule)
	if err != nil {
		panic(err)
	}
	err = sendGreeting(context.Background(), server.ConnectionString("events"), &azeventhubs.ProducerClientOptions{
		RetryOptions: azeventhubs.RetryOptions{RetryDelay: time.Millisecond},
	})
	if err != nil {
		panic(err) // the client retries, so it does not fail
	}
	for _, fault := range server.Faults() {
		fmt.Printf("%d: %s: hits %d, over: %v\n", fault.ID, fault.Rule, fault.Hits, fault.Over)
	}
	server.RemoveFault(id)
	fmt.Println(server.Counts("events", "").Events)
	// Output:
	// 1: throttle hub=events count=1: hits 1, over: true
	// 1
}

func ExampleParseFaultRule() {
	_, err := emulator.ParseFaultRule("throttle hub=orders share=0.1")
	fmt.Println(err)
	// Output: fault rule: share is "0.1": want a percentage above 0% and at most 100%, such as 10%
}
