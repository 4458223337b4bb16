package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs/emulator"
)

func quoteJSON(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// TestEmulatorStandsInForTheOfficialOne uses the official sample of a Config.json, and the official
// emulator's usual connection string, with another port.
func TestEmulatorStandsInForTheOfficialOne(t *testing.T) {
	file := writeFile(t, `{
    "UserConfig": {
        "NamespaceConfig": [
        {
            "Type": "EventHub",
            "Name": "emulatorNs1",
            "Entities": [
            {
                "Name": "eh1",
                "PartitionCount": "2",
                "ConsumerGroups": [
                {
                    "Name": "cg1"
                }
                ]
            }
            ]
        }
        ],
        "LoggingConfig": {
            "Type": "File"
        }
    }
}`)
	for _, args := range [][]string{{"--auth"}, nil} {
		command, p := startEmulatorCommand(t, append(args, "--config", file, "--hub", "more:1")...)
		_, port, err := net.SplitHostPort(strings.Split(strings.TrimPrefix(p.env[connectionEnv], "Endpoint=sb://"), ";")[0])
		if err != nil {
			t.Fatal(err)
		}
		p.env[connectionEnv] = "Endpoint=sb://localhost:" + port +
			";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
		p.run(t, "publish", "--hub", "eh1", writeFile(t, "a\nb\n")).want(t, exitOK)
		p.run(t, "publish", "--hub", "more", writeFile(t, "c\n")).want(t, exitOK)
		p.run(t, "tail", "--hub", "eh1", "--group", "cg1", "--from", "start", "--count", "2").want(t, exitOK, "Reading 2 partitions")
		p.env[connectionEnv] = strings.Replace(p.env[connectionEnv], "SAS_KEY_VALUE", "another", 1)
		wrong := p.run(t, "publish", "--hub", "eh1", writeFile(t, "a\n"))
		if want := map[bool]int{true: exitFailed, false: exitOK}[len(args) > 0]; wrong.status != want {
			t.Errorf("%v: a wrong key ends with status %d, want %d: %s", args, wrong.status, want, wrong.stderr)
		}
		command.stop()
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	tail := []string{"tail", "--hub", "orders", "--from", "start", "--output", "json", "--partition", "0", "--count"}

	command, p := startEmulatorCommand(t, "--data", dir, "--hub", "orders:1")
	p.run(t, "publish", "--hub", "orders", writeFile(t, "a\nb\nc\n")).want(t, exitOK)
	before := p.run(t, append(tail, "3")...)
	before.want(t, exitOK)
	if command.stop() != exitOK {
		t.Error("the emulator failed")
	}

	command, p = startEmulatorCommand(t, "--data", dir, "--hub", "orders:1")
	said, _ := command.stderr.get()
	if !strings.Contains(said, "Hub orders with 1 partitions and 3 events.") {
		t.Errorf("standard error does not show the stored events: %s", said)
	}
	program{}.run(t, "emulator", "--data", dir).want(t, exitFailed, "--data: ", "is another emulator running with this directory?")
	p.run(t, "publish", "--hub", "orders", writeFile(t, "d\n")).want(t, exitOK)
	after := p.run(t, append(tail, "4")...)
	after.want(t, exitOK)
	last, ok := strings.CutPrefix(after.stdout, before.stdout)
	if !ok {
		t.Fatalf("before the restart:\n%s\nafter it:\n%s", before.stdout, after.stdout)
	}
	if r := decodeLines(t, last); len(r) != 1 || r[0].SequenceNumber != 3 || *r[0].Body != "d" {
		t.Errorf("the event published after the restart came back as %s", last)
	}
}

func TestTemporaryAuthorityIsNamedAndTakenAway(t *testing.T) {
	command, _ := startEmulatorCommand(t, "--tls")
	said, _ := command.stderr.get()
	found := regexp.MustCompile(`trust the certificate authority in (.*):\n`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("standard error names no certificate: %s", said)
	}
	if pem, err := os.ReadFile(found[1]); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("the file has %q, %v", pem, err)
	}
	if command.stop() != exitOK {
		t.Error("the emulator failed")
	}
	if _, err := os.Stat(found[1]); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestWebSocketIsThereOnlyIfAskedFor(t *testing.T) {
	command, p := startEmulatorCommand(t, "--websocket")
	said, _ := command.stderr.get()
	found := regexp.MustCompile(`AMQP over WebSocket: (ws://\S+)\n`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("standard error names no URL: %s", said)
	}
	ask := func(url, connectionString string) error {
		client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, defaultHub, &azeventhubs.ProducerClientOptions{
			RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
			NewWebSocketConn: func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
				ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
				if err != nil {
					return nil, err
				}
				return websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		_, err = client.NewEventDataBatch(t.Context(), nil)
		return err
	}
	if err := ask(found[1], p.env[connectionEnv]); err != nil {
		t.Errorf("by WebSocket: %v", err)
	}

	_, p = startEmulatorCommand(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(p.env[connectionEnv], "Endpoint=sb://"), ";")
	if err := ask("ws://"+host+"/$servicebus/websocket", p.env[connectionEnv]); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("by WebSocket, which was not asked for: %v", err)
	}
}

// TestProgramsAtTheWrongPortGetALineOnStandardError connects as Kafka's clients do, and by
// WebSocket without TLS to a port that wants it.
func TestProgramsAtTheWrongPortGetALineOnStandardError(t *testing.T) {
	command, p := startEmulatorCommand(t, "--tls", "--websocket")
	host, _, _ := strings.Cut(strings.TrimPrefix(p.env[connectionEnv], "Endpoint=sb://"), ";")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte("\x00\x00\x00\x16\x00\x12\x00\x03\x00\x00\x00\x01\x00\x0cconsumer-123\x00\x00")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(nc) // until the emulator closes the connection
	response, err := http.Get("http://" + host + "/$servicebus/websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(text), "This port wants TLS: use wss://") {
		t.Errorf("by WebSocket without TLS: %s %q, %v", response.Status, text, err)
	}
	said, _ := command.stderr.get()
	for _, want := range []string{"A client speaks another protocol (protocol: Kafka; client: 127.0.0.1:", "(protocol: HTTP without TLS; client: 127.0.0.1:", "advice: this port takes amqps://, wss://).\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("standard error says %q, want %q in it", said, want)
		}
	}
}

func TestFlagsBecomeOptions(t *testing.T) {
	opts, err := parseEmulator([]string{
		"--hub", "a:1", "--hub", "b:2", "--retention", "1h", "--retention-bytes", "1000", "--retention-events", "10",
		"--discard", "--tls", "--websocket", "--throughput-units", "3", "--health", "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []emulator.Hub{
		{Name: "a", Partitions: 1, Retention: emulator.Retention{Time: time.Hour, Bytes: 1000, Events: 10}},
		{Name: "b", Partitions: 2, Retention: emulator.Retention{Time: time.Hour, Bytes: 1000, Events: 10}},
		{Name: healthHub, Partitions: 1, Retention: emulator.Retention{Events: 1}},
	} {
		got := opts.server.Hubs[i]
		if got.Name != want.Name || got.Partitions != want.Partitions || got.Retention != want.Retention {
			t.Errorf("hub %d: got %+v want %+v", i, got, want)
		}
	}
	s := opts.server
	if want := emulator.TransportTLS | emulator.TransportWebSocketTLS; s.Transports != want || !s.Discard || s.ThroughputUnits != 3 || s.Authentication != nil {
		t.Errorf("got %+v", s)
	}
	for flag, want := range map[string]emulator.Transport{
		"--websocket": emulator.TransportPlain | emulator.TransportWebSocket,
		"--tls":       emulator.TransportTLS,
		"--discard":   emulator.TransportPlain,
	} {
		opts, err := parseEmulator([]string{flag})
		if err != nil || opts.server.Transports != want {
			t.Errorf("%s: transports %v, %v, want %v", flag, opts.server.Transports, err, want)
		}
	}
}

func TestLatencyIsThatOfTheHook(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		args  []string
		delay time.Duration
		up    time.Duration
	}{
		{[]string{"--latency", "20ms"}, 20 * ms, 0},
		{[]string{"--latency", "20ms", "--jitter", "10%"}, 18 * ms, 4 * ms},
		{[]string{"--latency", "20ms", "--jitter", "100%"}, 0, 40 * ms},
		{[]string{"--latency", "20ms", "--jitter", "5ms"}, 15 * ms, 10 * ms},
	} {
		opts, err := parseEmulator(test.args)
		if err != nil {
			t.Fatal(err)
		}
		want := emulator.Latency(latencySeed, test.delay, test.up)
		for i := range 20 {
			op := emulator.Operation{Kind: emulator.KindTransfer, Hub: "events", PartitionID: "1"}
			if got, want := opts.server.Hook(t.Context(), op), want(t.Context(), op); got != want {
				t.Errorf("%v: transfer %d: got %+v want %+v", test.args, i, got, want)
			}
		}
	}
	opts, err := parseEmulator(nil)
	if err != nil || opts.server.Hook != nil {
		t.Errorf("without --latency there is a hook, or %v", err)
	}
}
