// Command teams runs the examples of other languages as a team without Go would: with the program
// eventhubs, and the language's own test runner. From the root of the repository:
//
//	go -C interop run ./teams                 all of them
//	go -C interop run ./teams python java     some
//
// It needs what the command interop needs. It builds the program, and copies each example out of
// the repository. The exit status is 0 only if each test runner has run all tests with success.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

// runLimit bounds the run of a team's tests, with the installation.
const runLimit = 10 * time.Minute

func main() { command.Main(run) }

// A team has a folder of examples and a test runner.
type team struct {
	name string // of the folder, and on the command line
	// prepare installs the libraries, copies the example to a directory and returns the command for
	// that directory.
	prepare func(ctx context.Context, folder, dir string) (command []string, err error)
	passed  *regexp.Regexp // what the test runner prints after all tests
}

var teams = []*team{
	{"python", preparePython, regexp.MustCompile(`(?m)^2 passed in `)},
	{"java", prepareJava, regexp.MustCompile(`(?m)Tests run: 2, Failures: 0, Errors: 0, Skipped: 0\s*$`)},
	{"javascript", prepareJavaScript, regexp.MustCompile(`(?m)^# pass 2$`)},
	{"dotnet", prepareDotNet, regexp.MustCompile(`"what":"count","more":3\}`)},
}

var choice = command.Choice[*team]{
	Command: "teams", Kind: "team", All: teams, Name: func(t *team) string { return t.name },
	Verbose: "print the test runners' output",
}

// run is the command. It returns 0 if all tests succeeded, 1 if one failed, and 2 for invalid args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	program, err := setup.Go(ctx, "eventhubs", "..", "./cmd/eventhubs")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	results := make([]*result, len(request.Chosen))
	var wg sync.WaitGroup
	for i, t := range request.Chosen {
		results[i] = &result{}
		// Ends with the team's test runner, which runLimit bounds; awaited below.
		wg.Go(func() { results[i].run(ctx, t, filepath.Dir(program), request.Log) })
	}
	wg.Wait()
	status := 0
	for i, t := range request.Chosen {
		r := results[i]
		if r.err != nil {
			status = 1
			fmt.Fprintf(stdout, "%s FAILED: %v\n%s\n", t.name, r.err, r.output.Bytes())
		} else {
			fmt.Fprintf(stdout, "%s ok: %.1f s, of which %.1f for the installation\n", t.name, r.total.Seconds(), r.preparation.Seconds())
		}
	}
	return status
}

// A result is that of a team's run.
type result struct {
	output             bytes.Buffer
	err                error
	total, preparation time.Duration
}

// run runs a team's tests. The directory programs comes first in their PATH.
func (r *result) run(ctx context.Context, t *team, programs string, log io.Writer) {
	began := time.Now()
	defer func() { r.total = time.Since(began) }()
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("it took more than %v", runLimit))
	defer cancel()
	dir, err := os.MkdirTemp("", "team-"+t.name+"-")
	if err != nil {
		r.err = err
		return
	}
	defer os.RemoveAll(dir)
	args, err := t.prepare(ctx, filepath.Join("..", "examples", t.name), dir)
	r.preparation = time.Since(began)
	if err != nil {
		r.err = err
		return
	}
	path := programs + string(os.PathListSeparator) + os.Getenv("PATH")
	runner := exec.CommandContext(ctx, args[0], args[1:]...)
	runner.Dir = dir
	runner.Env = append(os.Environ(), "PATH="+path, "NO_COLOR=1", "CI=true")
	runner.Stdout = io.MultiWriter(&r.output, log)
	runner.Stderr = runner.Stdout
	runner.WaitDelay = 5 * time.Second // for children that keep the output open
	if err := runner.Run(); err != nil {
		r.err = errors.Join(err, context.Cause(ctx))
	} else if !t.passed.Match(r.output.Bytes()) {
		r.err = fmt.Errorf("the test runner does not say %q", t.passed)
	}
}

func preparePython(ctx context.Context, folder, dir string) ([]string, error) {
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		return nil, err
	}
	python, err := setup.Python(ctx, "team-python", folder)
	return []string{python, "-m", "pytest", "-q"}, err
}

// prepareJava leaves the installation to Maven, since the tests need Maven's plugins too.
func prepareJava(_ context.Context, folder, dir string) ([]string, error) {
	if err := setup.Need("a JDK 17 or newer, and Maven 3.8", "java", "javac", "mvn"); err != nil {
		return nil, err
	}
	return []string{"mvn", "--batch-mode", "test"}, os.CopyFS(dir, os.DirFS(folder))
}

func prepareJavaScript(ctx context.Context, folder, dir string) ([]string, error) {
	installed, err := setup.NPM(ctx, "team-javascript", folder)
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		return nil, err
	}
	return []string{"npm", "run", "test:emulator"}, os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules"))
}

// prepareDotNet has no test runner, since the client is a ready-built program. A shell runs two of
// its commands.
func prepareDotNet(ctx context.Context, _, _ string) ([]string, error) {
	client, err := setup.DotNet(ctx)
	if err != nil {
		return nil, err
	}
	const script = `eventhubs emulator --hub orders:4 -- sh -c '
		export CONN=$EVENTHUBS_CONNECTION_STRING HUB=$EVENTHUB_NAME
		"$@" publish info batch && "$@" consume 3 count' sh "$@"`
	return append([]string{"sh", "-c", script, "sh"}, client...), nil
}
