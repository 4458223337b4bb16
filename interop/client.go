package main

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
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

const (
	// preparationLimit bounds the installation of one client.
	preparationLimit = 15 * time.Minute
	// lineLimit bounds a client's silence: the longest check on a busy machine.
	lineLimit = time.Minute
)

// A client is an official client of Event Hubs, with a script that uses it.
type client struct {
	name  string // on the command line
	title string
	// lacks says why the client cannot do some checks.
	lacks map[string]string
	// routes returns the partition that the client itself chooses for a key, if known; nil: like
	// the service.
	routes func(key string, partitions int) (partition string, known bool)
	// remark stands below the table.
	remark string
	// prepare installs the client and returns its command. Without performances it is the script's
	// command, to which the checks are appended.
	prepare func(context.Context) (command []string, err error)
	// performances are the actions of a program with its own commands, for each check.
	performances map[string]performance
	// about returns version and runtime of a program that does not report them.
	about func() (version, runtime string, err error)
	// cuts are an idempotent producer's transfers after which its connection is cut, counted from
	// 1. The value is true if the transfer is stored.
	cuts map[int]bool
	// byName means that the client runs only if it is named.
	byName bool
	// servicePort means that the client connects to the service's port alone, 5671, and with TLS.
	servicePort bool
	// pause is how long the emulator waits before it answers an operation.
	pause time.Duration
}

// Reasons why a client does not do a check.
const (
	shownByTests      = "other events, in the tests of the module"
	shownByJavaScript = "see JavaScript"
	hidesIdentity     = "its identity is internal"
)

var clients = []*client{
	{name: "go", title: "Go azeventhubs", prepare: prepareGo, lacks: noIdempotence(map[string]string{
		"buffered producer": "it has none",
		nameOurs:            shownByTests,
	})},
	{name: "javascript", title: "JavaScript @azure/event-hubs", prepare: prepareJavaScript, cuts: map[int]bool{lostBatch: true},
		remark: "Idempotent publishing: after a lost acknowledgement, a service that echoes the sequence number of the next attach stores the batch once. " +
			"A service that reports the number it tracks stores it twice: the JavaScript client takes that number over and numbers the batch again. The check wants exactly that."},
	{name: "python", title: "Python azure-eventhub", prepare: preparePython, routes: pythonRoutes,
		remark: "The Python client's buffered mode chooses other partitions than the service and the other clients for keys with a negative hash, and for keys beyond ASCII.",
		lacks:  noIdempotence(map[string]string{nameOurs: shownByJavaScript})},
	{name: "java", title: "Java azure-messaging-eventhubs", prepare: prepareJava, routes: javaRoutes,
		remark: "The Java client's buffered producer chooses other partitions than the service and the other clients for keys beyond ASCII.",
		lacks:  noIdempotence(map[string]string{nameOurs: shownByJavaScript})},
	{name: "dotnet", title: ".NET Azure.Messaging.EventHubs", prepare: setup.DotNet, about: setup.AboutDotNet, performances: dotnetPerformances,
		cuts:   map[int]bool{2: true, 4: false, 5: true, 8: true, 9: true, 12: false, 14: true},
		remark: "The .NET client is a program whose commands stand for the checks. Its idempotent producer publishes a hundred events through seven cut connections. Five of them are cut after the batch is stored. The producer takes over nothing of the replies to its later attaches.",
		lacks:  map[string]string{nameReplaced: hidesIdentity, nameReplacedReported: hidesIdentity}},
	{name: "rust", title: "Rust azure_messaging_eventhubs", prepare: prepareRust, byName: true, pause: 20 * time.Millisecond,
		remark: "The Rust client loses an outcome that arrives before it has noted its transfer. So the emulator answers everything after 20 ms. On a busy machine a check may fail all the same.",
		lacks: noIdempotence(map[string]string{
			nameOurs: shownByJavaScript,
			// Seen with each of them, in every run.
			nameProducerReconnects: "its send waits, or fails",
			nameConsumerReconnects: "its streams end with errors",
		})},
	{name: "java-legacy", title: "Java azure-eventhubs", prepare: prepareJavaLegacy, servicePort: true,
		remark: "The earlier client for Java connects to port 5671 with TLS, whatever its connection string says, and over WebSocket to port 443. All its checks run over TLS.",
		lacks: noIdempotence(map[string]string{
			"buffered producer": "it has none",
			nameWebSocket:       "port 443 only",
			nameOurs:            shownByJavaScript,
		})},
}

// route returns the partition that the client itself chooses for a key, if known.
func (c *client) route(key string, partitions int) (partition string, known bool) {
	if c.routes != nil {
		return c.routes(key, partitions)
	}
	return partitionOf(key, partitions), true
}

// does reports whether the client does a check.
func (c *client) does(check *check) bool {
	return c.lacks[check.name] == "" && (check.only == "" || check.only == c.name)
}

// A result has the results of a client's run.
type result struct {
	*client
	version, runtime   string
	failures           map[string]error // by name of the check; nil for success
	stderr             bytes.Buffer
	err                error // of the whole run
	total, preparation time.Duration
}

// run installs the client, runs its script and judges the output.
func (r *result) run(ctx context.Context, pattern *regexp.Regexp, log io.Writer) {
	began := time.Now()
	defer func() { r.total = time.Since(began) }()
	r.failures = make(map[string]error)
	w, err := newWorld(ctx, r.client, log)
	if err != nil {
		r.err = err
		return
	}
	defer w.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	preparing, stop := context.WithTimeoutCause(ctx, preparationLimit, fmt.Errorf("the installation took more than %v", preparationLimit))
	command, err := r.prepare(preparing)
	stop()
	r.preparation = time.Since(began)
	if err != nil {
		r.err = err
		return
	}
	var asked []*check
	for _, c := range checks {
		if pattern.MatchString(c.name) && r.does(c) {
			asked = append(asked, c)
			r.failures[c.name] = errors.New("it was not reported")
		}
	}
	if r.performances != nil {
		if r.version, r.runtime, r.err = r.about(); r.err == nil {
			r.perform(ctx, w, command, asked, log)
		}
		return
	}
	for _, c := range asked {
		command = append(command, c.name+"="+hubOf(c.name))
	}
	r.err = r.execute(ctx, cancel, w, command, log)
}

// execute runs the script to its end and judges each of its lines.
func (r *result) execute(ctx context.Context, cancel context.CancelCauseFunc, w *world, command []string, log io.Writer) error {
	silence := time.AfterFunc(lineLimit, func() { cancel(fmt.Errorf("no output for %v", lineLimit)) })
	defer silence.Stop()
	err := hearLines(ctx, r.name, command, w.environment(), io.MultiWriter(&r.stderr, log), log, func(line []byte) {
		silence.Reset(lineLimit)
		if err := r.hear(w, line); err != nil {
			cancel(err)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// hearLines runs a program with more environment variables to its end, or until ctx ends. It passes
// each line of the program's output on.
func hearLines(ctx context.Context, name string, command, environment []string, stderr, log io.Writer, hear func(line []byte)) error {
	program := exec.CommandContext(ctx, command[0], command[1:]...)
	program.Env = append(os.Environ(), environment...)
	program.Stderr = stderr
	program.WaitDelay = 5 * time.Second // for children that keep the output open
	stdout, err := program.StdoutPipe()
	if err != nil {
		return err
	}
	if err := program.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		fmt.Fprintf(log, "%s: %.500s\n", name, lines.Bytes())
		hear(lines.Bytes())
	}
	err = program.Wait()
	return errors.Join(lines.Err(), err)
}

// hear judges one line of the script's output.
func (r *result) hear(w *world, line []byte) error {
	var o observation
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("the script printed %.200q: %w", line, err)
	}
	if o.Client != "" {
		r.version, r.runtime = o.Version, o.Runtime
		return nil
	}
	if _, asked := r.failures[o.Check]; !asked {
		return fmt.Errorf("the script reports a check %q that was not asked for", o.Check)
	}
	if o.Error != "" {
		r.failures[o.Check] = errors.New(o.Error)
		return nil
	}
	r.failures[o.Check] = checkNamed(o.Check).judge(w, &o)
	return nil
}

// ok reports whether all the client's checks succeeded.
func (r *result) ok() bool {
	for _, err := range r.failures {
		if err != nil {
			return false
		}
	}
	return r.err == nil
}

// cell returns the table's text for a check.
func (r *result) cell(c *check) string {
	if !r.does(c) {
		return r.lacks[c.name]
	}
	if err, ok := r.failures[c.name]; !ok || err != nil {
		return "**FAILED**"
	}
	return "ok"
}

// complain prints the failures.
func (r *result) complain(w io.Writer) {
	if r.ok() {
		return
	}
	const most = 1500 // bytes of each text
	if r.err != nil {
		fmt.Fprintf(w, "\n%s: %v\n", r.name, r.err)
	}
	for _, c := range checks {
		if err := r.failures[c.name]; err != nil {
			fmt.Fprintf(w, "\n%s: %s: %s\n", r.name, c.name, shorten(err.Error(), most))
		}
	}
	if text := bytes.TrimSpace(r.stderr.Bytes()); len(text) > 0 {
		fmt.Fprintf(w, "\n%s printed to standard error, in short:\n%s\n", r.name, shorten(string(text), most))
	}
}

// shorten keeps the start and the end of a long text. The failure is first in a stack trace of
// Java, and last in one of Python.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most/2] + "\n…\n" + text[len(text)-most/2:]
}
