package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Exit statuses. They are a contract with scripts, written in the help text.
const (
	exitOK       = 0
	exitFailed   = 1 // the work could not be done, or not wholly
	exitBadInput = 2 // the command line, or what it was given to read, is wrong
)

// A command is one word after the program's name.
type command struct {
	name    string
	summary string // one line for the list of commands
	help    string // the whole text of --help, which shells complete from
	run     func(ctx context.Context, p *process, args []string) error
	words   []string // what its argument may be, if that is one of a few words
}

func commands() []*command {
	return []*command{
		{name: "publish", summary: "publish the lines of files, or of standard input", help: publishHelp, run: runPublish},
		{name: "tail", summary: "print the events of a hub as they come", help: tailHelp, run: runTail},
		{name: "emulator", summary: "run an emulator of Event Hubs until interrupted", help: emulatorHelp, run: runEmulator},
		{name: "check", summary: "find out why a hub cannot be reached", help: checkHelp, run: runCheck},
		{name: "plan", summary: "work out what a stream of events needs", help: planHelp, run: runPlan},
		{name: "completion", summary: "print a script that makes a shell complete", help: completionHelp, run: runCompletion, words: []string{"bash", "zsh", "fish"}},
		{name: "version", summary: "print which eventhubs this is", help: versionHelp, run: runVersion},
	}
}

const generalHelp = `eventhubs publishes events to Azure Event Hubs, prints those of a hub, and emulates it.

Usage:
  eventhubs COMMAND [options] [arguments]

Commands:
%s
"eventhubs COMMAND --help" explains a command.

Exit status: 0 done; 1 failed, or not everything was done; 2 wrong command line or input.
`

// A process is what a command gets from the operating system.
type process struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// newCredential makes what stands for the user with --namespace.
	newCredential func() (azcore.TokenCredential, error)

	// lookup asks a name server, and now the clock.
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	now    func() time.Time

	// connectionString is remembered only so that no message shows its secrets.
	connectionString string
}

// run is the whole program but for the operating system. It returns the exit status.
func (p *process) run(ctx context.Context, args []string) int {
	err := dispatch(ctx, p, args)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(p.stderr, "eventhubs: "+p.message(err))
	if _, ok := errors.AsType[*inputError](err); ok {
		return exitBadInput
	}
	return exitFailed
}

// message is the text of an error for the user. The library's errors begin with the program's name,
// which is said once before all.
func (p *process) message(err error) string {
	text := strings.TrimPrefix(err.Error(), "eventhubs: ")
	return p.redact(strings.ReplaceAll(text, ": eventhubs: ", ": "))
}

func dispatch(ctx context.Context, p *process, args []string) error {
	if len(args) == 0 {
		printGeneralHelp(p.stderr)
		return badInput("no command given")
	}
	name, args := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help":
		return printGeneralHelp(p.stdout)
	case "help":
		if len(args) == 0 {
			return printGeneralHelp(p.stdout)
		}
		name, args = args[0], []string{"--help"}
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name != name {
			continue
		}
		err := c.run(ctx, p, args)
		if errors.Is(err, flag.ErrHelp) {
			_, err = io.WriteString(p.stdout, c.help)
		}
		return err
	}
	return badInput("unknown command %q; \"eventhubs help\" lists the commands", name)
}

func printGeneralHelp(w io.Writer) error {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-10s %s\n", c.name, c.summary)
	}
	_, err := fmt.Fprintf(w, generalHelp, list.String())
	return err
}

// newFlagSet returns an empty set of flags that reports errors only by returning them.
func newFlagSet(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags parses args, in which flags may stand before, between and after the other arguments,
// and returns those others.
func parseFlags(flags *flag.FlagSet, args []string) ([]string, error) {
	var others []string
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, &helpRequest{flags}
		}
		if err != nil {
			return nil, badInput("%w; see \"eventhubs %s --help\"", err, flags.Name())
		}
		if flags.NArg() == 0 {
			return others, nil
		}
		others = append(others, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// A helpRequest is the error of parseFlags when the command line asks for help. It is flag.ErrHelp, and knows which flags there are.
type helpRequest struct {
	flags *flag.FlagSet
}

func (*helpRequest) Error() string { return flag.ErrHelp.Error() }
func (*helpRequest) Unwrap() error { return flag.ErrHelp }

// givenFlags returns the names of the flags that the command line sets.
func givenFlags(flags *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}

// An inputError says that what the user gave is wrong: exit status 2.
type inputError struct {
	err error
}

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

func badInput(format string, args ...any) error {
	return &inputError{fmt.Errorf(format, args...)}
}
