package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// check runs the command and returns its JSON result.
func (p program) check(t *testing.T, status int, args ...string) checkResult {
	t.Helper()
	got := p.run(t, append([]string{"check", "--output", "json"}, args...)...)
	got.want(t, status)
	var r checkResult
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	if r.OK != (status == exitOK) {
		t.Errorf("ok is %v, the exit status is %d", r.OK, status)
	}
	return r
}

// step returns the result of a step.
func (r *checkResult) step(t *testing.T, name string) stepResult {
	t.Helper()
	i := slices.IndexFunc(r.Steps, func(s stepResult) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no step %s in %+v", name, r.Steps)
	}
	return r.Steps[i]
}

// failing fails the test unless the step failed with these texts, the earlier steps passed, and the
// later ones were not reached.
func (r *checkResult) failing(t *testing.T, name, detail, remedy string) {
	t.Helper()
	failed := false
	for _, s := range r.Steps {
		switch {
		case s.Name == name:
			failed = true
			if s.Status != statusFailed || !strings.Contains(s.Detail, detail) || !strings.Contains(s.Remedy, remedy) {
				t.Errorf("got %+v\nwant FAILED, %q, %q", s, detail, remedy)
			}
		case !failed && s.Status != statusOK && s.Status != statusSkipped:
			t.Errorf("before %s: %+v", name, s)
		case failed && s.Status != statusNotReached && s.Name != "clock":
			t.Errorf("behind %s: %+v", name, s)
		}
	}
}

// startFor starts an emulator for check, and returns the arguments for it.
func startFor(t *testing.T, options *emulator.Options) (*emulator.Server, []string) {
	t.Helper()
	if options.Hubs == nil {
		options.Hubs = []emulator.Hub{{Name: "events", Partitions: 4}}
	}
	server, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, []string{"--connection-string", server.ConnectionString("events")}
}

// to returns the arguments for an address, with TLS unless plain.
func to(address, key string, plain bool) []string {
	text := "Endpoint=sb://" + address + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=" + key
	if plain {
		text += ";UseDevelopmentEmulator=true"
	}
	return []string{"--hub", "events", "--connection-string", text}
}

func TestCheckOfWhatIsWell(t *testing.T) {
	server := startSecureServer(t)
	p := program{credential: server.Credential()}
	args := []string{"--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)}
	r := p.check(t, exitOK, args...)
	for _, s := range r.Steps {
		if (s.Name == "send" || s.Name == "listen") && s.Status == statusSkipped {
			continue
		}
		if s.Status != statusOK {
			t.Errorf("%+v, want ok", s)
		}
	}
	if detail := r.step(t, "tls").Detail; !strings.Contains(detail, "TLS 1.3, certificate by Event Hubs emulator") {
		t.Errorf("TLS is described as %q", detail)
	}
	r = p.check(t, exitOK, append(args, "--websocket", "--send", "--listen")...)
	for _, s := range r.Steps {
		if s.Status != statusOK {
			t.Errorf("%+v, want ok", s)
		}
	}
	if n := len(stored(server, "events")); n != len(server.PartitionIDs("events")) {
		t.Errorf("%d events are stored, want the test event in each partition", n)
	}
	got := p.run(t, append([]string{"check"}, args...)...)
	got.want(t, exitOK)
	if n := strings.Count(got.stdout, "\n"); n != 2+len(r.Steps)-1+2 || !strings.Contains(got.stdout, "Events can be sent.") {
		t.Errorf("the text has %d lines:\n%s", n, got.stdout)
	}
}

func TestCheckOfTheNetwork(t *testing.T) {
	closed := closedAddress(t)
	plain, _ := startFor(t, &emulator.Options{Transports: emulator.TransportPlain})
	secure := startSecureServer(t)
	other := httptest.NewUnstartedServer(nil)
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.StartTLS() // its certificate is for example.com and addresses
	defer other.Close()
	otherFile := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(otherFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, otherPort, _ := strings.Cut(other.Listener.Addr().String(), ":")
	_, toSilent := startFor(t, &emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindConnection {
			return emulator.Silence()
		}
		return emulator.Pass()
	}})
	full, toFull := startFor(t, &emulator.Options{MaxConnections: 1})
	occupy(t, full)
	for _, test := range []struct {
		name                 string
		args                 []string
		step, detail, remedy string
	}{
		{"wrong host name", to("nmae.servicebus.windows.net", "some-key", false), "name", "no such host", "check the namespace's name, which looks like name.servicebus.windows.net"},
		{"closed port", to(closed, "some-key", false), "tcp", "connection refused", "--websocket"},
		{"emulator that does not run", to(closed, "some-key", true), "tcp", "connection refused", "check that the emulator runs"},
		{"untrusted certificate", to(secure.Addr(), "some-key", false), "tls", "unknown authority", "--tls-ca"},
		{"certificate for another name", append(to("localhost:"+otherPort, "some-key", false), "--tls-ca", otherFile), "tls", "localhost", "the certificate is for example.com"},
		{"no TLS there", to(plain.Addr(), "some-key", false), "tls", "", "check the port"},
		{"TLS there", to(secure.Addr(), "some-key", true), "amqp", "", "leave UseDevelopmentEmulator=true out"},
		{"silent server", append(toSilent, "--timeout", "300ms"), "amqp", "no answer within 300ms", "accepts the connection and then says nothing"},
		{"too many connections", toFull, "$cbs", "amqp:resource-limit-exceeded", "a limit of the namespace is reached, of connections"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := program{hosts: map[string]string{"localhost": "127.0.0.1"}}
			r := p.check(t, exitFailed, test.args...)
			r.failing(t, test.step, test.detail, test.remedy)
		})
	}
}

// closedAddress returns an address without a listener until the test's end. It is a client's, whose
// port no listener gets meanwhile. A closed listener's port may be reused at once.
func closedAddress(t *testing.T) string {
	t.Helper()
	server := startServer(t)
	client, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.LocalAddr().String()
}

// occupy takes one of a server's connections until the test's end. It is a complete AMQP
// connection, since the server drops one that only dials and says nothing.
func occupy(t *testing.T, server *emulator.Server) {
	t.Helper()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close(context.WithoutCancel(t.Context())) })
	if err := producer.Connect(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// reject is a hook that refuses one kind of operation.
func reject(kind emulator.Kind, condition, text string) emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == kind && (kind != emulator.KindAttach || op.PartitionID != "") {
			return emulator.Reject(condition, text)
		}
		return emulator.Pass()
	}
}

func TestCheckOfTheService(t *testing.T) {
	auth := &emulator.Authentication{Keys: []emulator.Key{
		{Name: "listener", Value: "listeners-key", Rights: emulator.RightListen},
		{Name: "elsewhere", Value: "elsewhere-key", Hub: "orders", Rights: emulator.RightManage},
	}}
	hubs := []emulator.Hub{{Name: "events", Partitions: 2}, {Name: "orders", Partitions: 2}, {Name: "asleep", Partitions: 2, Disabled: true}}
	strict, toStrict := startFor(t, &emulator.Options{Hubs: hubs, Authentication: auth})
	as := func(name, value string) []string {
		return []string{"--connection-string", strings.NewReplacer("RootManageSharedAccessKey", name, "SAS_KEY_VALUE", value).Replace(toStrict[1])}
	}
	expired := "Endpoint=sb://" + strict.Addr() + ";SharedAccessSignature=" + strict.SharedAccessSignature("events", -time.Hour) + ";UseDevelopmentEmulator=true"
	_, throttled := startFor(t, &emulator.Options{Hook: reject(emulator.KindManagement, "com.microsoft:server-busy", "Error code : 50008.")})
	_, refusing := startFor(t, &emulator.Options{Hook: reject(emulator.KindAttach, "amqp:internal-error", "attach refused")})
	_, full := startFor(t, &emulator.Options{Hook: reject(emulator.KindAttach, "amqp:resource-limit-exceeded", "too many links")})
	_, busy := startFor(t, &emulator.Options{Hook: reject(emulator.KindTransfer, "com.microsoft:server-busy", "Error code : 50002.")})
	for _, test := range []struct {
		name                 string
		args                 []string
		ahead                time.Duration
		step, detail, remedy string
	}{
		{"wrong key", as("RootManageSharedAccessKey", "wrong"), 0, "$cbs", "InvalidSignature", "the key is wrong"},
		{"wrong name of the key", as("nobody", "SAS_KEY_VALUE"), 0, "$cbs", "InvalidSignature", "with the name of the policy"},
		{"expired signature", []string{"--hub", "events", "--connection-string", expired}, 0, "token", "has expired at", "make a new signature"},
		{"key of another hub", as("elsewhere", "elsewhere-key"), 0, "$cbs", "InvalidAudience", `not for the event hub "events"`},
		{"clock that is slow", toStrict, -3 * time.Hour, "$cbs", "ExpiredToken", "earlier than the service's: set it"},
		{"hub that is missing", []string{"--connection-string", strict.ConnectionString(""), "--hub", "evnets"}, 0, "$cbs", "amqp:not-found", `there is no event hub "evnets"`},
		{"management that is throttled", throttled, 0, "$management", "50008", "50 of these calls a second"},
		{"no right to send", as("listener", "listeners-key"), 0, "link", "'Send' claim(s) are required", "lacks the right Send"},
		{"hub that is disabled", []string{"--connection-string", strict.ConnectionString("asleep")}, 0, "link", "com.microsoft:entity-disabled", "the event hub is switched off"},
		{"attach that is refused", refusing, 0, "link", "attach refused", "try again"},
		{"too many links", full, 0, "link", "too many links", "a limit of the namespace is reached"},
		{"throughput that is used up", append(busy, "--send"), 0, "send", "50002", "throughput units are used up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := program{ahead: test.ahead}.check(t, exitFailed, test.args...)
			r.failing(t, test.step, test.detail, test.remedy)
			for _, s := range r.Steps {
				if strings.Contains(s.Detail+s.Remedy, "SAS_KEY_VALUE") {
					t.Errorf("the key is shown: %+v", s)
				}
			}
		})
	}
}

// check and the producer take their advice from one table.
func TestCheckAndTheProducerAdviseAlike(t *testing.T) {
	for _, test := range []struct {
		name            string
		hook            emulator.Hook
		check, producer string
	}{
		{"a wrong key", reject(emulator.KindPutToken, "com.microsoft:auth-failed", "InvalidSignature: The token has an invalid signature."),
			"the key is wrong: copy the connection string again", "the key is wrong: copy the connection string again"},
		{"an expired token", reject(emulator.KindPutToken, "com.microsoft:auth-failed", "ExpiredToken: The token is expired."),
			"so this machine's clock is wrong", "the token has expired: if it was signed a moment ago, this machine's clock is wrong"},
		{"a hub that was deleted", reject(emulator.KindManagement, "amqp:not-found", "The messaging entity could not be found."),
			`there is no event hub "events" in this namespace: check --hub or EntityPath`, "there is no such event hub in this namespace: check its name or EntityPath"},
		{"a hub that was deleted a moment ago", reject(emulator.KindManagement, "amqp:resource-deleted", "The messaging entity was deleted."),
			"the event hub was deleted", "the event hub was deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, args := startFor(t, &emulator.Options{Hook: test.hook})
			got := program{}.run(t, append([]string{"check"}, args...)...)
			got.want(t, exitFailed)
			if !strings.Contains(got.stdout, test.check) {
				t.Errorf("check says\n%s\nwant %q", got.stdout, test.check)
			}
			producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close(t.Context())
			if err := producer.Connect(t.Context(), nil); err == nil || !strings.Contains(err.Error(), test.producer) {
				t.Errorf("the producer says %v, want %q", err, test.producer)
			}
		})
	}
}

func TestCheckOfAnIdentity(t *testing.T) {
	server := startSecureServer(t)
	args := []string{"--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)}
	r := program{credential: failing(nothingFound)}.check(t, exitFailed, args...)
	r.failing(t, "token", "EnvironmentCredential: missing environment variable", "az login --scope https://eventhubs.azure.net//.default")
	r = program{credential: server.Credential(emulator.RightListen)}.check(t, exitFailed, args...)
	r.failing(t, "link", "'Send' claim(s) are required", `the role "Azure Event Hubs Data Sender"`)
	r = program{credential: startSecureServer(t).Credential()}.check(t, exitFailed, args...)
	r.failing(t, "$cbs", "MalformedToken", "check that the identity belongs to the directory (tenant)")
}

func TestCheckWarnsOfWhatIsUnusual(t *testing.T) {
	for _, test := range []struct {
		name           string
		options        emulator.Options
		ahead          time.Duration
		args           []string
		step           string
		status         status
		detail, remedy string
	}{
		{"small messages", emulator.Options{MaxMessageSize: 1024}, 0, nil, "size", statusWarning, "1024 bytes", "less than on any tier"},
		{"Basic tier", emulator.Options{MaxMessageSize: emulator.BasicMessageSize}, 0, nil, "size", statusOK, "as on the Basic tier", ""},
		{"no limit", emulator.Options{MaxMessageSize: emulator.UnlimitedMessageSize}, 0, nil, "size", statusWarning, "names no limit", "another broker"},
		{"no limit stated", emulator.Options{MaxMessageSize: emulator.UnstatedMessageSize}, 0, nil, "size", statusWarning, "names no limit", "another broker"},
		{"no idempotence", emulator.Options{Idempotence: emulator.Idempotence{Off: true}}, 0, nil, "idempotence", statusWarning, "not offered", "EnableIdempotentRetries"},
		{"clock that is fast, by HTTP", emulator.Options{}, time.Hour, nil, "clock", statusWarning, "later than the service's, by the date of an HTTP answer", "NTP"},
		{"clock that is fast, by a test event", emulator.Options{Transports: emulator.TransportPlain}, time.Hour, []string{"--send"}, "clock", statusWarning, "by the time of the test event", "NTP"},
		{"clock without a source", emulator.Options{Transports: emulator.TransportPlain}, 0, nil, "clock", statusSkipped, "with --send", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, args := startFor(t, &test.options)
			r := program{ahead: test.ahead}.check(t, exitOK, append(args, test.args...)...)
			s := r.step(t, test.step)
			if s.Status != test.status || !strings.Contains(s.Detail, test.detail) || !strings.Contains(s.Remedy, test.remedy) {
				t.Errorf("got %+v\nwant %s, %q, %q", s, test.status, test.detail, test.remedy)
			}
		})
	}
}

// A full writer has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestCheckFailsIfItCannotSayWhatItHasFound(t *testing.T) {
	_, args := startFor(t, &emulator.Options{})
	for _, output := range []string{"text", "json"} {
		var stderr strings.Builder
		status := program{}.process(full{}, &stderr).run(t.Context(), append([]string{"check", "--output", output}, args...))
		result{status, "", stderr.String()}.want(t, exitFailed, "no space left")
	}
}

func TestWhoCannotReachANamespaceIsSentToCheck(t *testing.T) {
	args := to(closedAddress(t), "some-key", true)
	const advice = `"eventhubs check" says which step on the way fails`
	program{}.run(t, append([]string{"publish", writeFile(t, "a\n")}, args...)...).want(t, exitFailed, "connection refused", advice)
	program{}.run(t, append([]string{"tail"}, args...)...).want(t, exitFailed, "connection refused", advice)
}

func TestCheckOfAWrongCommandLine(t *testing.T) {
	for want, args := range map[string][]string{
		"no namespace; give":                      {},
		`unexpected argument "x"`:                 {"x", "--connection-string", "y"},
		"--timeout is 0s":                         {"--timeout", "0s", "--connection-string", "y"},
		`--output is "xml"`:                       {"--output", "xml", "--connection-string", "y"},
		"connection string is malformed":          {"--connection-string", "y"},
		"--connection-string and --namespace are": {"--connection-string", "y", "--namespace", "a.b", "--hub", "c"},
	} {
		got := program{}.run(t, append([]string{"check"}, args...)...)
		got.want(t, exitBadInput, want)
	}
}

func TestCheckShowsFramesAndNoSecret(t *testing.T) {
	server, args := startFor(t, &emulator.Options{Authentication: &emulator.Authentication{}})
	args = append(args, "--send", "--frames")
	r := program{}.check(t, exitOK, args...)
	var frames strings.Builder
	for _, f := range r.Frames {
		frames.WriteString(map[bool]string{true: "> ", false: "< "}[f.Sent] + f.Frame + "\n")
	}
	got := program{}.run(t, append([]string{"check"}, args...)...)
	got.want(t, exitOK)
	for _, text := range []string{
		"> header SASL 1.0.0\n", "> sasl-init mechanism=ANONYMOUS", "> [0] open container-id=", `target="events/Partitions/0"`, "transfer handle=0 ", "state=accepted", "> [0] close\n",
	} {
		if !strings.Contains(frames.String(), text) {
			t.Errorf("as JSON no frame has %q:\n%s", text, &frames)
		}
		if text = strings.NewReplacer("> ", "→ ", "< ", "← ").Replace(text); !strings.Contains(got.stdout, text) {
			t.Errorf("as text no frame has %q:\n%s", text, got.stdout)
		}
	}
	if a, b := strings.Index(got.stdout, "target=\"$cbs\""), strings.Index(got.stdout, "\n$cbs "); a < 0 || b < a {
		t.Errorf("the frames of a step do not stand above it:\n%s", got.stdout)
	}
	for _, secret := range []string{"SAS_KEY_VALUE", "sig=", "SharedAccessSignature", checkBody} {
		if strings.Contains(frames.String(), secret) {
			t.Errorf("a frame has %q", secret)
		}
	}
	if n := len(stored(server, "events")); n != 2*len(server.PartitionIDs("events")) {
		t.Errorf("%d events are stored, want the test events", n)
	}
	if r := (program{}).check(t, exitOK, args[:2]...); r.Frames != nil {
		t.Error("frames are shown without --frames")
	}
}

func TestCheckOfAPeerThatWantsAnotherLogin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = amqp.Server(t.Context(), nc, &amqp.Config{Mechanisms: []amqp.Symbol{"PLAIN"}})
		}
	}()
	r := program{}.check(t, exitFailed, to(l.Addr().String(), "c2VjcmV0", true)...)
	r.failing(t, "amqp", "offers the SASL mechanisms PLAIN, but not ANONYMOUS or MSSBCBS", "requires another login than Event Hubs")
}

func TestCheckSeesAllPartitions(t *testing.T) {
	server, args := startFor(t, &emulator.Options{})
	r := program{}.check(t, exitOK, append(args, "--send", "--listen")...)
	for _, id := range server.PartitionIDs("events") {
		if n := server.Counts("events", id).Events; n != 1 {
			t.Errorf("partition %s has %d events, want the test event", id, n)
		}
	}
	for step, want := range map[string]string{"link": "all 4 partitions are open for sending", "send": "is stored in each of 4 partitions", "listen": "all 4 partitions are open for reading in the group $Default"} {
		if s := r.step(t, step); s.Status != statusOK || !strings.Contains(s.Detail, want) {
			t.Errorf("got %+v, want %q", s, want)
		}
	}
	r = program{}.check(t, exitOK, append(args, "--send", "--listen", "--partition", "2")...)
	if s := r.step(t, "send"); !strings.Contains(s.Detail, "is stored in partition 2") || server.Counts("events", "2").Events != 2 || server.Counts("events", "1").Events != 1 {
		t.Errorf("got %+v, want an event in partition 2 only", s)
	}
	r = program{}.check(t, exitFailed, append(args, "--partition", "2,9")...)
	r.failing(t, "$management", `has no partition "9"; it has 0, 1, 2, 3`, "--partition")
	r = program{}.check(t, exitFailed, append(args, "--listen", "--group", "nobody")...)
	r.failing(t, "listen", "amqp:not-found", `there is no consumer group "nobody": check --group`)
	program{}.run(t, append([]string{"check", "--group", "x"}, args...)...).want(t, exitBadInput, "--group is for --listen only")
}

// onlyIn is a hook for one partition.
func onlyIn(partition string, kind emulator.Kind, action emulator.Action) emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == kind && op.PartitionID == partition {
			return action
		}
		return emulator.Pass()
	}
}

func TestCheckNamesThePartitionThatFails(t *testing.T) {
	for _, test := range []struct {
		name                 string
		hook                 emulator.Hook
		args                 []string
		step, detail, remedy string
	}{
		{"silent link", onlyIn("2", emulator.KindAttach, emulator.Silence()), []string{"--timeout", "500ms"}, "link", "partition 2: no answer within 500ms", "the other partitions answer"},
		{"refused link", onlyIn("1", emulator.KindAttach, emulator.Reject("amqp:internal-error", "moved")), nil, "link", "partition 1: amqp:internal-error: moved", "try again"},
		{"silent event", onlyIn("3", emulator.KindTransfer, emulator.Silence()), []string{"--send", "--timeout", "500ms"}, "send", "partition 3: no answer within 500ms", "give the hub and the partition to Azure support"},
		{"event that is too large", onlyIn("0", emulator.KindTransfer, emulator.Reject("amqp:link:message-size-exceeded", "too large")), []string{"--send"}, "send", "partition 0: amqp:link:message-size-exceeded", "no tier of Event Hubs does"},
		{"token that expires at once", reject(emulator.KindPutToken, "com.microsoft:auth-failed", "ExpiredToken: The token is expired."), nil, "$cbs", "ExpiredToken", "was signed a moment ago with the key, so this machine's clock is wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, args := startFor(t, &emulator.Options{Hook: test.hook})
			r := program{}.check(t, exitFailed, append(args, test.args...)...)
			r.failing(t, test.step, test.detail, test.remedy)
		})
	}
}

// Some servers answer 1970 for a time that they do not know.
func TestATimeBeforeEventHubsIsNoClock(t *testing.T) {
	var d serverDate
	for _, unknown := range []time.Time{{}, time.Unix(0, 0)} {
		if d.fromEvent(unknown, time.Now()); d.source != "" {
			t.Errorf("%v is taken for the service's time", unknown)
		}
	}
	if d.fromEvent(time.Now(), time.Now()); d.source == "" {
		t.Error("a good time is not taken")
	}
}
