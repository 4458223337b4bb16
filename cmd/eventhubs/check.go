package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

const checkHelp = `Tests the way to an event hub step by step. For a step that fails it prints the cause and what to do.

Usage:
  eventhubs check [options]

Options:
  --send                    also store a test event in each partition; consumers of the hub will see it
  --listen                  also open a link for reading to each partition. It reads nothing
  --group NAME              consumer group of --listen (default $Default)
  --partition ID,…          check these partitions only (default: all)
  --timeout DURATION        how long each step may take (default 10s)
  --frames                  also show each AMQP frame and its time: → sent, ← received. Bodies of
                            messages, keys and tokens are left out, so you can pass the output on
  --output text|json        text (default): a line for each step. json: one object with namespace,
                            hub, ok and steps. A step has name, status, milliseconds, detail and
                            remedy. With --frames the object also has frames, each with
                            milliseconds, sent and frame
` + clientHelp + `
The steps, with the question that each asks:
  name         does a name server know the host?
  tcp          does the port accept connections: 5671, or 443 with --websocket?
  tls          does the server speak TLS, with a trusted certificate for this name?
  websocket    with --websocket: do HTTPS and the proxy let AMQP through?
  amqp         does the server speak AMQP and accept an anonymous SASL login?
  token        does the key or the identity give a token?
  $cbs         does the service accept the token?
  $management  does the hub exist, and how many partitions does it have?
  link         may the token send to the hub, and does each partition answer?
  size         how large may a batch be?
  idempotence  does the service offer idempotent publishing?
  send         with --send: is an event stored in each partition?
  listen       with --listen: may the token read each partition?
  clock        how far is this machine's clock from the service's?

A step ends as ok, warning, FAILED, skipped or "not reached". The step clock is skipped if the
service's time is unknown.

Exit status: 0 no step failed; 1 a step failed; 2 wrong command line.

Examples:
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs check --hub orders --send
  eventhubs check --namespace name.servicebus.windows.net --hub orders --websocket
  eventhubs check --namespace name.servicebus.windows.net --hub orders --output json | jq '.steps[] | select(.remedy)'
`

// checkOptions are the arguments of check.
type checkOptions struct {
	clientOptions

	send       bool
	listen     bool
	group      string
	partitions []string // empty: all
	frames     bool
	timeout    time.Duration
	json       bool
}

func parseCheck(p *process, args []string) (*checkOptions, error) {
	opts := &checkOptions{}
	var output, partition string
	flags := newFlagSet("check")
	opts.register(flags)
	flags.BoolVar(&opts.send, "send", false, "")
	flags.BoolVar(&opts.listen, "listen", false, "")
	flags.StringVar(&opts.group, "group", defaultGroup, "")
	flags.StringVar(&partition, "partition", "", "")
	flags.BoolVar(&opts.frames, "frames", false, "")
	flags.DurationVar(&opts.timeout, "timeout", 10*time.Second, "")
	flags.StringVar(&output, "output", "text", "")
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	if err := opts.complete(p, givenFlags(flags)); err != nil {
		return nil, err
	}
	opts.json = output == "json"
	if opts.partitions, err = splitIDs(partition); err != nil {
		return nil, err
	}
	switch {
	case len(others) > 0:
		return nil, badInput("unexpected argument %q; see \"eventhubs check --help\"", others[0])
	case givenFlags(flags)["group"] && !opts.listen:
		return nil, badInput("--group is for --listen only")
	case output != "text" && output != "json":
		return nil, badInput("--output is %q; it must be text or json", output)
	case opts.timeout <= 0:
		return nil, badInput("--timeout is %v; it must be more than 0", opts.timeout)
	case opts.embedded():
		return nil, errNoNamespace()
	}
	return opts, opts.read(givenFlags(flags))
}

func runCheck(ctx context.Context, p *process, args []string) error {
	opts, err := parseCheck(p, args)
	if err != nil {
		return err
	}
	// The producer's constructor refuses settings that can never work together. It does not touch
	// the network.
	producer, err := opts.newProducer(&eventhubs.Options{})
	if err != nil {
		return err
	}
	c := newCheckup(p, opts, producer.FullyQualifiedNamespace(), producer.EventHubName())
	if err := producer.Close(ctx); err != nil {
		return err
	}
	var out io.Writer = p.stdout
	if opts.json {
		out = io.Discard
	}
	if opts.frames {
		c.frames = &frameLog{process: p, began: time.Now(), out: out}
		out = c.frames
	}
	err = c.run(ctx, out)
	c.close(ctx)
	if opts.frames {
		c.result.Frames = c.frames.all()
	}
	if opts.json {
		err = json.NewEncoder(p.stdout).Encode(c.result)
	}
	switch failed := c.result.failed(); {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return err
	case failed != "":
		return fmt.Errorf("the step %s failed", failed)
	}
	return nil
}

// A checkResult is the result of check. Its fields are the JSON output, in this order.
type checkResult struct {
	Namespace string       `json:"namespace"`
	Hub       string       `json:"hub"`
	OK        bool         `json:"ok"`
	Steps     []stepResult `json:"steps"`
	Frames    []frameSight `json:"frames,omitempty"`
}

// failed returns the name of the first step that failed; empty if none has.
func (r *checkResult) failed() string {
	for _, s := range r.Steps {
		if s.Status == statusFailed {
			return s.Name
		}
	}
	return ""
}

// A status says how a step ended.
type status string

const (
	statusOK         status = "ok"
	statusWarning    status = "warning"
	statusFailed     status = "FAILED"
	statusSkipped    status = "skipped"
	statusNotReached status = "not reached"
)

// A stepResult is the result of one step.
type stepResult struct {
	Name         string  `json:"name"`
	Status       status  `json:"status"`
	Milliseconds float64 `json:"milliseconds"`
	Detail       string  `json:"detail,omitempty"`
	Remedy       string  `json:"remedy,omitempty"`
}

// text returns the step as lines for a terminal.
func (s *stepResult) text() string {
	took := ""
	if s.Status != statusNotReached && s.Status != statusSkipped {
		took = fmt.Sprintf("%.1f ms", s.Milliseconds)
	}
	const indent = 36
	line := strings.TrimRight(fmt.Sprintf("%-12s %-11s %9s  %s", s.Name, s.Status, took, inColumns(s.Detail, indent)), " ")
	if s.Remedy != "" {
		line += "\n" + strings.Repeat(" ", indent-2) + "→ " + inColumns(s.Remedy, indent)
	}
	return line + "\n"
}

// inColumns indents the lines of a text after the first, so that they stand below each other.
func inColumns(text string, indent int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent))
}

// A finding is the answer to a step's question.
type finding struct {
	status status // empty: ok, or failed if there is an error
	detail string
	remedy string
	place  string // the partitions that err is about, if not all
	err    error
}

// A step is one question of a checkup.
type step struct {
	name   string
	ask    func(c *checkup, ctx context.Context) finding
	always bool // asked even if an earlier step has failed
}

func checkSteps() []step {
	return []step{
		{name: "name", ask: (*checkup).name},
		{name: "tcp", ask: (*checkup).tcp},
		{name: "tls", ask: (*checkup).tls},
		{name: "websocket", ask: (*checkup).webSocket},
		{name: "amqp", ask: (*checkup).amqp},
		{name: "token", ask: (*checkup).token},
		{name: "$cbs", ask: (*checkup).cbs},
		{name: "$management", ask: (*checkup).management},
		{name: "link", ask: (*checkup).link},
		{name: "size", ask: (*checkup).size},
		{name: "idempotence", ask: (*checkup).idempotence},
		{name: "send", ask: (*checkup).send},
		{name: "listen", ask: (*checkup).listen},
		{name: "clock", ask: (*checkup).clock, always: true},
	}
}

// run takes the steps, writes the result of each, and keeps it in c.result. It returns the first
// error of writing.
func (c *checkup) run(ctx context.Context, out io.Writer) error {
	_, err := fmt.Fprintf(out, "Event hub %s in %s\n\n", c.hub, c.namespace)
	stopped := false
	for _, s := range checkSteps() {
		if s.name == "websocket" && !c.options.webSocket {
			continue
		}
		r := stepResult{Name: s.name, Status: statusNotReached}
		if !stopped || s.always && c.reached {
			r = c.take(ctx, s)
			stopped = stopped || r.Status == statusFailed
		}
		c.result.Steps = append(c.result.Steps, r)
		if err == nil {
			_, err = io.WriteString(out, r.text())
		}
	}
	c.result.OK = !stopped
	if err == nil && !stopped {
		_, err = fmt.Fprint(out, "\nEvents can be sent.\n")
	}
	return err
}

// take takes one step.
func (c *checkup) take(ctx context.Context, s step) stepResult {
	ctx, cancel := context.WithTimeoutCause(ctx, c.options.timeout, fmt.Errorf("no answer within %v", c.options.timeout))
	defer cancel()
	begin := time.Now()
	f := s.ask(c, ctx)
	took := time.Since(begin)
	if f.err != nil {
		f.status = cmp.Or(f.status, statusFailed)
		f.detail = c.describe(f.err)
		if ctx.Err() != nil {
			f.detail = context.Cause(ctx).Error()
		}
		if f.place != "" {
			f.detail = f.place + ": " + f.detail
		}
		f.remedy = cmp.Or(f.remedy, c.remedy(s.name, f.err, ctx.Err() != nil))
	}
	return stepResult{
		Name: s.name, Status: cmp.Or(f.status, statusOK), Milliseconds: float64(took.Microseconds()) / 1000,
		Detail: f.detail, Remedy: f.remedy,
	}
}
