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

// Exit statuses. Scripts rely on them, and the help text documents them.
const (
	exitOK       = 0
	exitFailed   = 1 // the work failed, or was done only in part
	exitBadInput = 2 // the command line or its input is wrong
)

// A command is one word after the program's name.
type command struct {
	name    string
	summary string // one line for the list of commands
	help    string // the whole text of --help; shell completion reads it too
	run     func(ctx context.Context, p *process, args []string) error
	words   []string // arguments that are words
	files   bool     // arguments are names of files
}

func commands() []*command {
	return []*command{
		{name: "publish", summary: "publish the lines of files, or of standard input", help: publishHelp, run: runPublish, files: true},
		{name: "tail", summary: "print the events of a hub as they come", help: tailHelp, run: runTail},
		{name: "copy", summary: "copy the events of a hub into another", help: copyHelp, run: runCopy},
		{name: "emulator", summary: "run an emulator of Event Hubs until interrupted", help: emulatorHelp, run: runEmulator},
		{name: "check", summary: "find out why a hub cannot be reached", help: checkHelp, run: runCheck},
		{name: "journal", summary: "show, export or repair the journal of a producer", help: journalHelp, run: runJournal, words: []string{"export", "repair"}, files: true},
		{name: "plan", summary: "calculate what a stream of events needs", help: planHelp, run: runPlan},
		{name: "completion", summary: "print a script for a shell's completion", help: completionHelp, run: runCompletion, words: []string{"bash", "zsh", "fish"}},
		{name: "version", summary: "print the version of this program", help: versionHelp, run: runVersion},
	}
}

const generalHelp = `eventhubs publishes events to Azure Event Hubs, prints the events of a hub, and runs an emulator.

Usage:
  eventhubs COMMAND [options] [arguments]

Commands:
%s
"eventhubs COMMAND --help" explains a command.

To try it without an account:
  eventhubs publish FILE     publishes to an emulator inside the command and reads the events back
  eventhubs emulator         runs until interrupted and prints a connection string for the others

Exit status: 0 done; 1 failed, or not everything was done; 2 wrong command line or input.
`

// A process is the command's view of the operating system.
type process struct {
	lookupEnv func(name string) (value string, set bool)
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer

	// newCredential makes the user's Azure credential, for --namespace.
	newCredential func() (azcore.TokenCredential, error)

	// lookup asks a name server; now asks the clock.
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	now    func() time.Time

	// connectionString is the connection strings, a line for each. It is kept only so that no message
	// shows their secrets.
	connectionString string
}

// run is the whole program, except the operating system. It returns the exit status.
func (p *process) run(ctx context.Context, args []string) int {
	err := dispatch(ctx, p, args)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if text := strings.TrimSpace(p.message(err)); text != "" {
		fmt.Fprintln(p.stderr, "eventhubs: "+text)
	}
	if ended, ok := errors.AsType[*statusError](err); ok {
		return ended.status
	}
	if _, ok := errors.AsType[*inputError](err); ok {
		return exitBadInput
	}
	return exitFailed
}

// message returns the text of an error for the user. The library's errors begin with "eventhubs: ",
// which run writes once at the start of the line.
func (p *process) message(err error) string {
	text := strings.TrimPrefix(err.Error(), "eventhubs: ")
	return p.plain(strings.ReplaceAll(text, ": eventhubs: ", ": "))
}

// optionFlags replaces the names of the library's options by those of flags.
var optionFlags = strings.NewReplacer("ConnectionOptions.NewWebSocketConn", "--websocket", "ConnectionOptions.TLSConfig", "--tls-ca")

// plain returns a text of the library for the user: without secrets, and with the names of flags.
func (p *process) plain(text string) string { return optionFlags.Replace(p.redact(text)) }

// tell writes a message as a line to standard error, for example of a server beside the command.
func (p *process) tell(text string) { fmt.Fprintln(p.stderr, p.redact(text)) }

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
		switch len(args) {
		case 0:
			return printGeneralHelp(p.stdout)
		case 1:
			name, args = args[0], []string{"--help"}
		default:
			return badInput("help is for one command at a time: eventhubs help %s", args[0])
		}
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
	if strings.HasPrefix(name, "-") {
		return badInput("%q is in the place of the command; options come after it: eventhubs COMMAND [options]; \"eventhubs help\" lists the commands", name)
	}
	return badInput("unknown command %q%s; \"eventhubs help\" lists the commands", name, didYouMean("", name, commandNames()))
}

func commandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

func printGeneralHelp(w io.Writer) error {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-11s %s\n", c.name, c.summary)
	}
	_, err := fmt.Fprintf(w, generalHelp, list.String())
	return err
}

// An inputError says that the user's input is wrong: exit status 2.
type inputError struct {
	err error
}

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

func badInput(format string, args ...any) error {
	return &inputError{fmt.Errorf(format, args...)}
}
