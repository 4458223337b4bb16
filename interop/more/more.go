// Package more runs clients against the emulator that are not Microsoft's: general AMQP clients, and
// tools with an output for Event Hubs. It is the command
//
//	go -C interop run . more                all of them
//	go -C interop run . more proton jms     some
//
// Each client sends events with a verified key, reads them if it can read, and is refused with a
// wrong key. This package judges that by the emulator's events. The result is the table of
// docs/emulator.md, on standard output.
package more

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

const (
	// preparationLimit bounds the installation of one client.
	preparationLimit = 10 * time.Minute
	// runLimit bounds one run of a client.
	runLimit = time.Minute

	hub     = "events"
	events  = 20
	keyName = "interop"
	key     = "interop-key"
)

var choice = command.Choice[*client]{
	Command: "interop more", Kind: "client", All: clients, Name: func(c *client) string { return c.name },
	Verbose: "print the emulator's log and the clients' output",
}

// Run is the command. It returns 0 if every step of every client succeeded, 1 if one failed, and 2
// for invalid args.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	began := time.Now()
	results := make([]result, len(request.Chosen))
	var wg sync.WaitGroup
	for i, c := range request.Chosen {
		// Ends with the client's commands, which have deadlines; awaited below.
		wg.Go(func() { results[i] = c.try(ctx, request.Log) })
	}
	wg.Wait()
	fmt.Fprint(stdout, table(results))
	status := 0
	for _, r := range results {
		if err := errors.Join(r.sends, r.reads, r.refused); err != nil {
			status = 1
			fmt.Fprintf(stdout, "\n%s: %.3000s\n", r.name, err)
		}
	}
	fmt.Fprintf(stdout, "\n%.0f seconds in all.\n", time.Since(began).Seconds())
	return status
}

// A result says how a client's steps went.
type result struct {
	*client
	sends, reads, refused error
}

// table is the table of docs/emulator.md.
func table(results []result) string {
	var b strings.Builder
	b.WriteString("| client | what must be set | sends | reads | wrong key refused | does not |\n|---|---|---|---|---|---|\n")
	for _, r := range results {
		reads := cell(r.reads)
		if r.read == nil {
			reads = ""
		}
		fmt.Fprintf(&b, "| %s %s | %s | %s | %s | %s | %s |\n", r.title, r.version, r.set, cell(r.sends), reads, cell(r.refused), r.lacks)
	}
	return b.String()
}

func cell(err error) string {
	if err != nil {
		return "**FAILED**"
	}
	return "ok"
}

// try installs a client and performs its steps.
func (c *client) try(ctx context.Context, log io.Writer) (r result) {
	r.client = c
	preparing, stop := context.WithTimeoutCause(ctx, preparationLimit, fmt.Errorf("the installation took more than %v", preparationLimit))
	program, err := c.prepare(preparing)
	stop()
	if err != nil {
		r.sends, r.reads, r.refused = err, err, err
		return r
	}
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: hub, Partitions: max(1, c.partitions)}},
		Authentication: &emulator.Authentication{
			Keys: []emulator.Key{{Name: keyName, Value: key, Rights: emulator.RightSend | emulator.RightListen}},
		},
	})
	if err != nil {
		r.sends, r.reads, r.refused = err, err, err
		return r
	}
	defer server.Close()
	r.refused = c.tryRefused(ctx, server, program, log)
	r.sends = c.trySend(ctx, server, program, log)
	if c.read != nil {
		r.reads = c.tryRead(ctx, server, program, log)
	}
	return r
}

// tryRefused wants a client with a wrong key to say so, and nothing to be stored.
func (c *client) tryRefused(ctx context.Context, server *emulator.Server, program []string, log io.Writer) error {
	output, err := c.run(ctx, server, append(slices.Clone(program), c.send...), "wrong", log)
	if counts := server.Counts(hub, ""); counts.Events > 0 {
		return fmt.Errorf("%d events of a client with a wrong key are stored", counts.Events)
	}
	if c.says != "" && !bytes.Contains(output, []byte(c.says)) || c.says == "" && err == nil {
		return fmt.Errorf("a client with a wrong key printed %.300q: %w", output, errors.Join(errors.New("it must mention its refusal"), err))
	}
	return nil
}

// trySend wants the client's events to be stored, each once, with their key.
func (c *client) trySend(ctx context.Context, server *emulator.Server, program []string, log io.Writer) error {
	output, err := c.run(ctx, server, append(slices.Clone(program), c.send...), key, log)
	if err != nil {
		return fmt.Errorf("%w: %.1000s", err, output)
	}
	var got []string
	for _, e := range stored(server) {
		if e.PartitionKey != c.key {
			return fmt.Errorf("the event %.100q has key %q, want %q", e.Body, e.PartitionKey, c.key)
		}
		got = append(got, string(e.Body))
	}
	want := c.bodies
	if want == nil {
		want = numbered()
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("stored are %q, want %q", got, want)
	}
	return nil
}

// tryRead wants the client to have read every stored event, in the partition's order.
func (c *client) tryRead(ctx context.Context, server *emulator.Server, program []string, log io.Writer) error {
	output, err := c.run(ctx, server, append(slices.Clone(program), c.read...), key, log)
	if err != nil {
		return fmt.Errorf("%w: %.1000s", err, output)
	}
	hear := c.heard
	if hear == nil {
		hear = hearLines
	}
	got, err := hear(output)
	if err != nil {
		return err
	}
	want := stored(server)
	if len(got) != len(want) || len(got) == 0 {
		return fmt.Errorf("the client read %d events, want %d", len(got), len(want))
	}
	for i, e := range want {
		if got[i].Body != string(e.Body) || got[i].Sequence != nil && *got[i].Sequence != e.SequenceNumber || got[i].Offset != nil && *got[i].Offset != e.Offset {
			return fmt.Errorf("event %d was read as %s, want %q with number %d and offset %s", i, got[i], e.Body, e.SequenceNumber, e.Offset)
		}
	}
	return nil
}

// stored returns all events, by partition.
func stored(server *emulator.Server) (all []emulator.Event) {
	for _, id := range server.PartitionIDs(hub) {
		for e := range server.Events(hub, id) {
			all = append(all, e)
		}
	}
	return all
}

// A heard event is an event as a client read it. Sequence and offset are nil if the client does not
// show them.
type heard struct {
	Body     string
	Sequence *int64
	Offset   *string
}

func (h heard) String() string {
	text, _ := json.Marshal(h) // of strings and numbers: never fails
	return string(text)
}

// hearLines reads a JSON object from each line.
func hearLines(output []byte) (all []heard, err error) {
	for line := range bytes.Lines(output) {
		var h heard
		if err := json.Unmarshal(line, &h); err != nil {
			return nil, fmt.Errorf("the client printed %.200q: %w", line, err)
		}
		all = append(all, h)
	}
	return all, nil
}

// run runs a client's command to its end and returns what it printed. For a client that fails, or
// whose words are judged, that includes the errors that it printed.
func (c *client) run(ctx context.Context, server *emulator.Server, command []string, secret string, log io.Writer) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("it took more than %v", runLimit))
	defer cancel()
	lines, err := writeLines()
	defer os.Remove(lines)
	if err != nil {
		return nil, err
	}
	connectionString := fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", server.Addr(), keyName, secret)
	if c.entityPath {
		connectionString += ";EntityPath=" + hub
	}
	program := exec.CommandContext(ctx, command[0], command[1:]...)
	program.Env = append(os.Environ(),
		"INTEROP_ADDRESS="+server.Addr(),
		"INTEROP_KEY_NAME="+keyName,
		"INTEROP_KEY="+secret,
		"INTEROP_HUB="+hub,
		"INTEROP_EVENTS="+strconv.Itoa(events),
		"INTEROP_LINES="+lines,
		"INTEROP_CONNECTION_STRING="+connectionString,
		"HUB="+hub, "ADDR="+server.Addr(), "USER_KEY="+keyName+":"+secret, // .NET's program
	)
	program.WaitDelay = 5 * time.Second // for children that keep the output open
	var output, complaints bytes.Buffer
	program.Stdout, program.Stderr = io.MultiWriter(&output, log), io.MultiWriter(&complaints, log)
	err = program.Run()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil || c.says != "" {
		output.Write(complaints.Bytes())
	}
	return output.Bytes(), err
}

// netLiteBytes is the body of bytes that .NET's program sends.
const netLiteBytes = "hi"

var numberAnnotated = regexp.MustCompile(`x-opt-sequence-number:(\d+)`)

// hearNetLite reads the lines of .NET's program. The program prints the type of a body of bytes,
// not the bytes. A body that is an AMQP value is none for the emulator's events.
func hearNetLite(output []byte) (all []heard, err error) {
	scanner := bufio.NewScanner(bytes.NewReader(output))
	for scanner.Scan() {
		var line struct {
			What string
			More struct{ Body, Type, Annotations string }
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil || line.What != "got" {
			return nil, errors.Join(fmt.Errorf("the program printed %.200q", scanner.Text()), err)
		}
		var h heard
		switch line.More.Type + " " + line.More.Body {
		case "Data System.Byte[]":
			h.Body = netLiteBytes
		case "AmqpValue value":
		default:
			return nil, fmt.Errorf("the program read a body that it had not sent: %.200q", scanner.Text())
		}
		if match := numberAnnotated.FindStringSubmatch(line.More.Annotations); match != nil {
			number, err := strconv.ParseInt(match[1], 10, 64)
			if err != nil {
				return nil, err
			}
			h.Sequence = &number
		}
		all = append(all, h)
	}
	return all, scanner.Err()
}

// numbered returns the bodies event-0, event-1 and so on.
func numbered() []string {
	bodies := make([]string, events)
	for i := range bodies {
		bodies[i] = "event-" + strconv.Itoa(i)
	}
	return bodies
}
