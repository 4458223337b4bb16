package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/emulator"
)

const earthquakes = "../../examples/data/earthquakes.ndjson"

// A result is the outcome of a run of the program.
type result struct {
	status         int
	stdout, stderr string
}

// program is a run of the program: its input and environment.
type program struct {
	stdin      io.Reader
	env        map[string]string
	credential azcore.TokenCredential // nil: no credential
	ahead      time.Duration          // how far its clock is wrong
	hosts      map[string]string      // addresses of names; any other is not found
}

// process returns the program's environment.
func (p program) process(stdout, stderr io.Writer) *process {
	stdin := p.stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	return &process{
		lookupEnv: func(name string) (value string, set bool) { value, set = p.env[name]; return value, set },
		stdin:     stdin, stdout: stdout, stderr: stderr,
		newCredential: func() (azcore.TokenCredential, error) {
			if p.credential == nil {
				return nil, errors.New("there is none in this test")
			}
			return p.credential, nil
		},
		now: func() time.Time { return time.Now().Add(p.ahead) },
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if address, ok := p.hosts[host]; ok {
				return []netip.Addr{netip.MustParseAddr(address)}, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
	}
}

// run runs the program to its end.
func (p program) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := p.process(&stdout, &stderr).run(t.Context(), args)
	return result{status, stdout.String(), stderr.String()}
}

// want fails the test unless the run ended with that status and standard error holds each text.
func (r result) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status: got %d want %d\nstdout: %s\nstderr: %s", r.status, status, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("standard error does not say %q:\n%s", text, r.stderr)
		}
	}
}

// report decodes standard output, which must be one JSON object.
func (r result) report(t *testing.T) report {
	t.Helper()
	var got report
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(&got); err != nil {
		t.Fatalf("standard output is not a JSON object: %v\n%s", err, r.stdout)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("standard output has more than a JSON object:\n%s", r.stdout)
	}
	return got
}

func portOf(listener net.Listener) string {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// writeFile writes a file for publish to read, and returns its name.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// startServer starts an emulator with one hub of four partitions, named events.
func startServer(t *testing.T) *emulator.Server {
	t.Helper()
	return serverWith(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}})
}

// serverWith starts an emulator, and closes it when the test ends.
func serverWith(t *testing.T, o *emulator.Options) *emulator.Server {
	t.Helper()
	server, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// stored returns the bodies of the events in a hub of four partitions.
func stored(server *emulator.Server, hub string) []string {
	var bodies []string
	for _, id := range server.PartitionIDs(hub) {
		for e := range server.Events(hub, id) {
			bodies = append(bodies, string(e.Body))
		}
	}
	return bodies
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"general by flag", []string{"--help"}, "Commands:"},
		{"general by word", []string{"help"}, "publish the lines"},
		{"publish by flag", []string{"publish", "--help"}, "Examples:"},
		{"publish by short flag", []string{"publish", "-h"}, "--skip-bad"},
		{"publish by word", []string{"help", "publish"}, "--key PATH"},
		{"emulator by flag", []string{"emulator", "--help"}, "Examples:"},
		{"tail by flag", []string{"tail", "--help"}, "Examples:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := program{}.run(t, test.args...)
			got.want(t, exitOK)
			if !strings.Contains(got.stdout, test.want) || got.stderr != "" {
				t.Errorf("got standard output %q and error %q, want %q in the former", got.stdout, got.stderr, test.want)
			}
		})
	}
}

func TestWrongCommandLinesExitWith2(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := writeFile(t, "a\n")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no command", nil, exitBadInput, "no command"},
		{"unknown command", []string{"publsh", file}, exitBadInput, `unknown command "publsh"`},
		{"help for an unknown command", []string{"help", "me"}, exitBadInput, `unknown command "me"`},
		{"unknown flag", []string{"publish", "--kye", "x", file}, exitBadInput, "unknown option --kye (did you mean --key?)"},
		{"unknown flag after the file", []string{"publish", file, "--kye", "x"}, exitBadInput, "-kye"},
		{"no file", []string{"publish"}, exitBadInput, "no file given"},
		{"second file that is not there", []string{"publish", file, "second.gone"}, exitBadInput, "second.gone"},
		{"a file and standard input", []string{"publish", file, "-"}, exitBadInput, "standard input (-) and files"},
		{"unknown format", []string{"publish", "--format", "xml", file}, exitBadInput, `--format is "xml"; it must be lines, ndjson, csv, file or events`},
		{"key of a record", []string{"publish", "--format", "events", "--key", "k", file}, exitBadInput, "--key and --format events"},
		{"property without value", []string{"publish", "--property", "x", file}, exitBadInput, "NAME=VALUE"},
		{"property without name", []string{"publish", "--property", "=x", file}, exitBadInput, "NAME=VALUE"},
		{"empty content type", []string{"publish", "--content-type", "", file}, exitBadInput, "--content-type is empty"},
		{"repeat never", []string{"publish", "--repeat", "0", file}, exitBadInput, "--repeat is 0"},
		{"repeat of a stream", []string{"publish", "--repeat", "2", "-"}, exitBadInput, "--repeat needs files; standard input can be read only once"},
		{"rate of nothing", []string{"publish", "--rate", "0", file}, exitBadInput, "--rate is 0"},
		{"rate that is no number", []string{"publish", "--rate", "NaN", file}, exitBadInput, "--rate is NaN"},
		{"partition and key", []string{"publish", "--partition", "1", "--key", "k", file}, exitBadInput, "--partition and --key"},
		{"empty partition to publish to", []string{"publish", "--partition", "", file}, exitBadInput, "--partition is empty"},
		{"partition that is not there", []string{"publish", "--partition", "8", file}, exitBadInput, `has no partition "8"; it has 0, 1,`},
		{"negative grace", []string{"publish", "--grace", "-1s", file}, exitBadInput, "--grace is -1s"},
		{"undelivered to nowhere", []string{"publish", "--undelivered", "", file}, exitBadInput, "--undelivered is empty"},
		{"undelivered over something", []string{"publish", "--undelivered", file, file}, exitBadInput, "a file has that name already and is not overwritten; give the name of a new file"},
		{"undelivered into a file", []string{"publish", "--undelivered", file + "/x", file}, exitBadInput, "--undelivered: "},
		{"metrics without port", []string{"publish", "--metrics", "127.0.0.1", file}, exitBadInput, `--metrics "127.0.0.1" is not HOST:PORT`},
		{"metrics nowhere", []string{"publish", "--metrics", "", file}, exitBadInput, "--metrics is empty"},
		{"port of the metrics taken", []string{"publish", "--metrics", taken.Addr().String(), file}, exitFailed,
			"port " + portOf(taken) + " is taken by another program. End that program, or give another port: --metrics 127.0.0.1:0"},
		{"metrics at an address that is not ours", []string{"publish", "--metrics", "192.0.2.1:0", file}, exitFailed, "cannot listen on 192.0.2.1:0 (--metrics)"},
		{"metrics and no such file", []string{"publish", "--metrics", ":0", file + ".gone"}, exitBadInput, ".gone"},
		{"no such file", []string{"publish", file + ".gone"}, exitBadInput, "eventhubs: " + file + ".gone: no such file"},
		{"directory without files", []string{"publish", t.TempDir()}, exitBadInput, "has no file; give files"},
		{"message id of a record", []string{"publish", "--format", "events", "--message-id", "k", file}, exitBadInput, "--message-id and --format events"},
		{"correlation id of a record", []string{"publish", "--format", "events", "--correlation-id", "k", file}, exitBadInput, "--correlation-id and --format events"},
		{"property of a record's field", []string{"publish", "--format", "events", "--property-field", "a=b", file}, exitBadInput, "--property-field and --format events"},
		{"property of no field", []string{"publish", "--property-field", "a", file}, exitBadInput, "want NAME=PATH"},
		{"property of a broken path", []string{"publish", "--property-field", "a=b..c", file}, exitBadInput, "names with single dots between"},
		{"property twice", []string{"publish", "--property", "a=1", "--property-field", "a=b", file}, exitBadInput, `the property "a" is given twice`},
		{"property with two values", []string{"publish", "--property", "a=1", "--property", "a=2", file}, exitBadInput, `--property is "a=2"; the property "a" is given already, as "1"; give it once`},
		{"separator of lines", []string{"publish", "--separator", ";", file}, exitBadInput, "--separator is for --format csv only"},
		{"long separator", []string{"publish", "--format", "csv", "--separator", ";;", file}, exitBadInput, "must be one character"},
		{"separator that quotes", []string{"publish", "--format", "csv", "--separator", `"`, file}, exitBadInput, "must be one character"},
		{"from before the first line", []string{"publish", "--from-line", "0", file}, exitBadInput, "--from-line is 0; lines count from 1"},
		{"from a line of a whole file", []string{"publish", "--from-line", "2", "--format", "file", file}, exitBadInput, "--from-line and --format file"},
		{"from a line of two files", []string{"publish", "--from-line", "2", file, file}, exitBadInput, "--from-line is for one file, and there are 2"},
		{"from a line that is not there", []string{"publish", "--from-line", "9", file}, exitBadInput, file + ": --from-line is 9, and it has fewer lines"},
		{"from a line with a journal", []string{"publish", "--connection-string", "x", "--journal", "j", "--from-line", "2", file}, exitBadInput, "--from-line and --journal"},
		{"resume in the emulator", []string{"publish", "--resume", "r", file}, exitBadInput, "--resume needs a namespace"},
		{"resume of a stream", []string{"publish", "--connection-string", "Endpoint=sb://127.0.0.1:1;UseDevelopmentEmulator=true;SharedAccessKeyName=a;SharedAccessKey=a", "--resume", "r", "-"}, exitBadInput, "--resume needs files; standard input has no place"},
		{"resume with a journal", []string{"publish", "--connection-string", "x", "--journal", "j", "--resume", "r", file}, exitBadInput, "--resume and --journal"},
		{"resume and repeat", []string{"publish", "--connection-string", "x", "--resume", "r", "--repeat", "2", file}, exitBadInput, "--resume and --repeat"},
		{"resume from a line", []string{"publish", "--connection-string", "x", "--resume", "r", "--from-line", "2", file}, exitBadInput, "--resume and --from-line"},
		{"empty resume", []string{"publish", "--connection-string", "x", "--resume", "", file}, exitBadInput, "--resume is empty"},
		{"journal without a namespace", []string{"publish", "--journal", "j", file}, exitBadInput, "--journal needs a namespace"},
		{"empty journal", []string{"publish", "--journal", "", file}, exitBadInput, "--journal is empty"},
		{"journal and repeat", []string{"publish", "--connection-string", "x", "--journal", "j", "--repeat", "2", file}, exitBadInput, "--repeat and --journal are given together"},
		{"journal with unknown sync", []string{"publish", "--connection-string", "x", "--journal", "j", "--journal-sync", "never", file}, exitBadInput, `--journal-sync is "never"; it must be each, interval or os`},
		{"journal of nothing", []string{"publish", "--connection-string", "x", "--journal", "j", "--journal-max", "0", file}, exitBadInput, "--journal-max is 0"},
		{"journal of too little", []string{"publish", "--connection-string", "Endpoint=sb://127.0.0.1:1;UseDevelopmentEmulator=true;SharedAccessKeyName=a;SharedAccessKey=a", "--journal", filepath.Join(filepath.Dir(file), "j"), "--journal-max", "1000", file}, exitBadInput, "--journal-max is 1000: it must be at least "},
		{"sync without journal", []string{"publish", "--journal-sync", "os", file}, exitBadInput, "--journal-sync is for --journal only"},
		{"bound without journal", []string{"publish", "--journal-max", "1000", file}, exitBadInput, "--journal-max is for --journal only"},
		{"at least once without journal", []string{"publish", "--at-least-once", file}, exitBadInput, "--at-least-once is for --journal only"},
		{"key without input", []string{"publish", "--connection-string", "x", "--journal", "j", "--key", "k"}, exitBadInput, "--key is given without input"},
		{"journal that is a file", []string{"journal", file}, exitBadInput, "is no directory; give that of a journal"},
		{"unknown output", []string{"publish", "--output", "xml", file}, exitBadInput, `"xml"`},
		{"broken key path", []string{"publish", "--key", "a..b", file}, exitBadInput, `"a..b"`},
		{"empty hub", []string{"publish", "--hub", "", file}, exitBadInput, "--hub is empty"},
		{"impossible hub", []string{"publish", "--hub", "a b", file}, exitBadInput, `"a b"`},
		{"no partitions", []string{"publish", "--partitions", "0", file}, exitBadInput, "--partitions is 0"},
		{"partitions without number", []string{"publish", "--partitions", "x", file}, exitBadInput, `--partitions is "x"; it must be a whole number`},
		{"rate without number", []string{"publish", "--rate", "fast", file}, exitBadInput, `--rate is "fast"; it must be a number`},
		{"grace without unit", []string{"publish", "--grace", "5", file}, exitBadInput, `--grace is "5"; it must be a duration, such as 500ms, 10s or 5m`},
		{"switch with value", []string{"publish", "--skip-bad=maybe", file}, exitBadInput, `--skip-bad is "maybe"; it takes no value`},
		{"flag without value", []string{"publish", file, "--key"}, exitBadInput, `--key needs a value; see "eventhubs publish --help"`},
		{"flag like no other", []string{"publish", "--zzzzzz", file}, exitBadInput, `unknown option --zzzzzz; see`},
		{"files after two dashes", []string{"publish", "--", "--a", "--hub"}, exitBadInput, "eventhubs: --a: no such file"},
		{"help for two commands", []string{"help", "tail", "publish"}, exitBadInput, "help is for one command at a time"},
		{"empty connection string", []string{"publish", "--connection-string", "", file}, exitBadInput, "--connection-string is empty"},
		{"connection string of white space", []string{"publish", "--connection-string", " \t\r\n", file}, exitBadInput, "--connection-string is empty"},
		{"connection string of a byte order mark", []string{"publish", "--connection-string", "\ufeff\n", file}, exitBadInput, "--connection-string is empty"},
		{"empty namespace", []string{"publish", "--namespace", "", "--hub", "events", file}, exitBadInput, "--namespace is empty; give it a value, or leave it out"},
		{"empty namespace to read", []string{"tail", "--namespace", "", "--hub", "events"}, exitBadInput, "--namespace is empty"},
		{"empty namespace to check", []string{"check", "--namespace", "", "--hub", "events"}, exitBadInput, "--namespace is empty"},
		{"hub of white space", []string{"publish", "--hub", " ", file}, exitBadInput, "--hub is empty"},
		{"empty hub to read", []string{"tail", "--connection-string", "x", "--hub", ""}, exitBadInput, "--hub is empty"},
		{"empty hub to check", []string{"check", "--connection-string", "x", "--hub="}, exitBadInput, "--hub is empty"},
		{"empty authority", []string{"publish", "--tls-ca", "", file}, exitBadInput, "--tls-ca is empty"},
		{"empty key", []string{"publish", "--key", "", file}, exitBadInput, `--key is ""; it must be a field's name`},
		{"empty format", []string{"publish", "--format", "", file}, exitBadInput, "--format is empty"},
		{"empty output", []string{"plan", "--events-per-second", "1", "--bytes", "1", "--output", ""}, exitBadInput, "--output is empty"},
		{"empty position", []string{"tail", "--connection-string", "x", "--from", ""}, exitBadInput, "--from is empty"},
		{"empty address", []string{"emulator", "--addr", ""}, exitBadInput, "--addr is empty"},
		{"empty address of the page", []string{"emulator", "--http", ""}, exitBadInput, "--http is empty"},
		{"empty file", []string{"publish", ""}, exitBadInput, "an argument is empty"},
		{"emulator with argument", []string{"emulator", "events"}, exitBadInput, `"events"`},
		{"hub without count", []string{"emulator", "--hub", "events"}, exitBadInput, "NAME:PARTITIONS"},
		{"hub with count 0", []string{"emulator", "--hub", "events:0"}, exitBadInput, "NAME:PARTITIONS"},
		{"hub without name", []string{"emulator", "--hub", ":8"}, exitBadInput, "NAME:PARTITIONS"},
		{"hub twice", []string{"emulator", "--hub", "a:1", "--hub", "a:2"}, exitBadInput, "twice"},
		{"address without port", []string{"emulator", "--addr", "127.0.0.1"}, exitBadInput, "HOST:PORT"},
		{"address with port out of range", []string{"emulator", "--addr", ":70000"}, exitBadInput, "HOST:PORT"},
		{"port taken", []string{"emulator", "--addr", taken.Addr().String()}, exitFailed,
			"cannot listen on " + taken.Addr().String() + ": port " + portOf(taken) + " is taken by another program. End that program, or give another port: --addr 127.0.0.1:0"},
		{"port of the health check taken", []string{"emulator", "--health", taken.Addr().String()}, exitFailed,
			"port " + portOf(taken) + " is taken by another program. End that program, or give another port: --health 127.0.0.1:0"},
		{"address that is not ours", []string{"emulator", "--addr", "192.0.2.1:0"}, exitFailed, "cannot listen on 192.0.2.1:0 (--addr)"},
		{"address of the health check without port", []string{"emulator", "--health", "localhost"}, exitBadInput, `--health "localhost"`},
		{"retention that is none", []string{"emulator", "--retention", "0s"}, exitBadInput, "--retention is 0s"},
		{"retention of no events", []string{"emulator", "--retention-events", "0"}, exitBadInput, "--retention-events is 0"},
		{"retention of no bytes", []string{"emulator", "--retention-bytes", "-1"}, exitBadInput, "--retention-bytes is -1"},
		{"no throughput units", []string{"emulator", "--throughput-units", "0"}, exitBadInput, "--throughput-units is 0"},
		{"discard and data", []string{"emulator", "--discard", "--data", "x"}, exitBadInput, "--discard keeps no events"},
		{"data in a file", []string{"emulator", "--data", file}, exitFailed, "--data: "},
		{"empty data", []string{"emulator", "--data", ""}, exitBadInput, "--data is empty"},
		{"authority without TLS", []string{"emulator", "--tls-ca", file}, exitBadInput, "--tls-ca is for --tls only"},
		{"authority that cannot be written", []string{"emulator", "--tls", "--tls-ca", file + "/x"}, exitFailed, "--tls-ca: "},
		{"negative latency", []string{"emulator", "--latency", "-1s"}, exitBadInput, "--latency is -1s"},
		{"jitter without latency", []string{"emulator", "--jitter", "10%"}, exitBadInput, "--jitter is for --latency only"},
		{"jitter over 100%", []string{"emulator", "--latency", "1s", "--jitter", "101%"}, exitBadInput, `--jitter is "101%"`},
		{"jitter that is no number", []string{"emulator", "--latency", "1s", "--jitter", "NaN%"}, exitBadInput, `--jitter is "NaN%"`},
		{"jitter over the latency", []string{"emulator", "--latency", "1s", "--jitter", "2s"}, exitBadInput, `--jitter is "2s"`},
		{"config that is not there", []string{"emulator", "--config", file + ".gone"}, exitBadInput, ".gone"},
		{"config that is none", []string{"emulator", "--config", file}, exitBadInput, file + ": not JSON, at line 1, column 1"},
		{"tail with argument", []string{"tail", "--connection-string", "x", "events"}, exitBadInput, `"events"`},
		{"tail without connection string", []string{"tail"}, exitBadInput, "no namespace; give a connection string in " + connectionEnv},
		{"tail from nowhere", []string{"tail", "--connection-string", "x", "--from", "end"}, exitBadInput, `--from is "end"; it must be`},
		{"tail with unknown output", []string{"tail", "--connection-string", "x", "--output", "xml"}, exitBadInput, `"xml"`},
		{"tail with count 0", []string{"tail", "--connection-string", "x", "--count", "0"}, exitBadInput, "--count is 0"},
		{"tail with empty group", []string{"tail", "--connection-string", "x", "--group", ""}, exitBadInput, "--group is empty"},
		{"tail with empty partition", []string{"tail", "--connection-string", "x", "--partition", ""}, exitBadInput, "--partition is empty"},
		{"tail with malformed connection string", []string{"tail", "--connection-string", "x"}, exitBadInput, "onnection string is malformed"},
		{"authority that is not there", []string{"tail", "--connection-string", "x", "--tls-ca", file + ".gone"}, exitBadInput, ".gone"},
		{"authority that is none", []string{"tail", "--connection-string", "x", "--tls-ca", file}, exitBadInput, "no certificate in PEM"},
		{"authority for nothing", []string{"publish", "--tls-ca", file, file}, exitBadInput, "--tls-ca is for a namespace; give a connection string or --namespace too"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := program{}.run(t, test.args...)
			got.want(t, test.status, test.want)
			if got.stdout != "" {
				t.Errorf("standard output: got %q want nothing", got.stdout)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	file := writeFile(t, "a\n")
	for _, test := range []struct {
		name             string
		connectionString string
	}{
		{"no endpoint", "SharedAccessKeyName=n;SharedAccessKey=" + secret},
		{"no key name", "Endpoint=sb://host/;SharedAccessKey=" + secret},
		{"bad endpoint", "Endpoint=sb://%zz/;SharedAccessKeyName=n;SharedAccessKey=" + secret},
		{"no separator after the endpoint", "Endpoint=sb://hostSharedAccessKey=" + secret + ";UseDevelopmentEmulator=true"},
		{"no separator after the emulator", "Endpoint=sb://host;UseDevelopmentEmulator=trueSharedAccessKey=" + secret},
		{"misspelt name", "Endpoint=sb://host/;SharedAccessKeyName=n;SharedAccesKey=" + secret},
		{"the key alone", secret},
		{"endpoint without scheme", "Endpoint=host;SharedAccessKeyName=n;SharedAccessKey=" + secret + ";UseDevelopmentEmulator=true"},
		{"contradicting hub", "Endpoint=sb://host/;SharedAccessKeyName=n;SharedAccessKey=" + secret + ";EntityPath=other"},
		{"signature", "Endpoint=sb:/;SharedAccessSignature=SharedAccessSignature sr=x&sig=" + secret},
	} {
		t.Run(test.name, func(t *testing.T) {
			for way, p := range map[string]struct {
				program program
				args    []string
			}{
				"by flag":     {program{}, []string{"publish", "--hub", "events", "--connection-string", test.connectionString, file}},
				"by variable": {program{env: map[string]string{connectionEnv: test.connectionString}}, []string{"publish", "--hub", "events", file}},
				"for tail":    {program{env: map[string]string{connectionEnv: test.connectionString}}, []string{"tail", "--hub", "events"}},
			} {
				got := p.program.run(t, p.args...)
				got.want(t, exitBadInput, "onnection string")
				if strings.Contains(got.stdout+got.stderr, secret) {
					t.Errorf("%s: the output shows the key: %s", way, got.stderr)
				}
			}
		})
	}
}

func TestMalformedConnectionStringIsToldBeforeTheFileIsRead(t *testing.T) {
	for _, file := range []string{writeFile(t, "\xff\n"), "there is no such file"} {
		got := program{}.run(t, "publish", "--hub", "events", "--connection-string", "Endpoint=sb://host/", file)
		got.want(t, exitBadInput, "the connection string is malformed")
	}
}

func TestSecretsInTheWrongPlaceAreNotShown(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	const connectionString = "Endpoint=sb://host/;SharedAccessKeyName=n;SharedAccessKey=" + secret
	for name, args := range map[string][]string{
		"as the file":     {"publish", connectionString},
		"as the command":  {connectionString},
		"as an argument":  {"publish", "-", connectionString},
		"as the hub":      {"publish", "--hub", connectionString, "-"},
		"as another flag": {"publish", "--connection-strin=" + connectionString, "-"},
		"as an address":   {"emulator", "--addr", connectionString},
		"as the health":   {"emulator", "--health", connectionString},
		"as the position": {"tail", "--connection-string", connectionString, "--from", connectionString},
		"its key alone":   {"publish", "--hub", "events", "--connection-string", connectionString, secret},
	} {
		t.Run(name, func(t *testing.T) {
			got := program{}.run(t, args...)
			got.want(t, exitBadInput)
			if strings.Contains(got.stdout+got.stderr, secret) {
				t.Errorf("the output shows the key: %s", got.stderr)
			}
		})
	}
}

func TestEmulatorServesPublishUntilInterrupted(t *testing.T) {
	emulator, p := startEmulatorCommand(t, "--hub", "events:4", "--hub", "other:2")
	connectionString := p.env[connectionEnv]
	if !strings.HasPrefix(connectionString, "Endpoint=sb://127.0.0.1:") ||
		!strings.HasSuffix(connectionString, ";UseDevelopmentEmulator=true") {
		t.Errorf("unexpected connection string %q", connectionString)
	}
	file := writeFile(t, "a\nb\n")

	got := p.run(t, "publish", "--output", "json", "--hub", "other", file)
	got.want(t, exitOK)
	r := got.report(t)
	if r.Hub != "other" || r.Events != 2 || r.Verified || len(r.Partitions) != 2 {
		t.Errorf("unexpected report %+v", r)
	}
	if !strings.Contains(got.stdout, `"verified":false`) {
		t.Errorf("the report does not say that nothing was verified: %s", got.stdout)
	}

	p.run(t, "publish", "--hub", "nowhere", file).want(t, exitBadInput, `event hub "nowhere" was not found`)

	if status := emulator.stop(); status != exitOK {
		t.Errorf("status of the emulator: got %d want 0", status)
	}
}

func TestConnectionStringNamesTheHub(t *testing.T) {
	server := startServer(t)
	file := writeFile(t, "a\n")
	connectionString := server.ConnectionString("events")
	got := program{}.run(t, "publish", "--connection-string", connectionString, "--output", "json", file)
	got.want(t, exitOK)
	if r := got.report(t); r.Hub != "events" || r.Events != 1 {
		t.Errorf("unexpected report %+v", r)
	}
	program{}.run(t, "publish", "--connection-string", connectionString, "--hub", "other", file).
		want(t, exitBadInput, `for the event hub "events"`)
	program{}.run(t, "publish", "--connection-string", connectionString, "--partitions", "8", file).
		want(t, exitBadInput, "--partitions is for the embedded emulator")
}

// A running is a program in progress, which a test interrupts.
type running struct {
	stdout *bufio.Reader
	stderr *stderrText
	stop   func() int // interrupts it and returns its exit status; drops its further output
}

// A stderrText is the program's standard error so far.
type stderrText struct {
	mu   sync.Mutex // guards the fields below
	text strings.Builder
	more chan struct{} // closed by the next Write
}

func (s *stderrText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *stderrText) get() (text string, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.more
}

// await returns when standard error has text.
func (s *stderrText) await(t *testing.T, text string) {
	t.Helper()
	for {
		got, more := s.get()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("standard error never said %q: %s", text, got)
		}
	}
}

// start starts the program. The test must stop it, and may stop it again.
func (p program) start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	stderr := &stderrText{more: make(chan struct{})}
	status := make(chan int, 1)
	// The goroutine ends when ctx does; stop waits for it.
	go func() {
		status <- p.process(in, stderr).run(ctx, args)
		in.Close()
	}()
	stop := sync.OnceValue(func() int {
		cancel()
		io.Copy(io.Discard, out)
		return <-status
	})
	return &running{bufio.NewReader(out), stderr, stop}
}

// line returns the next line of standard output.
func (r *running) line(t *testing.T) string {
	t.Helper()
	text, err := r.stdout.ReadString('\n')
	if err != nil {
		said, _ := r.stderr.get()
		t.Fatalf("the program printed %q and then: %v\nstandard error: %s", text, err, said)
	}
	return strings.TrimSuffix(text, "\n")
}

// startEmulatorCommand starts the emulator command, which ends with the test at the latest. The
// returned programs have its connection string in their environment.
func startEmulatorCommand(t *testing.T, args ...string) (*running, program) {
	t.Helper()
	r := program{}.start(t, append([]string{"emulator"}, args...)...)
	t.Cleanup(func() { r.stop() })
	return r, program{env: map[string]string{connectionEnv: r.line(t)}}
}
