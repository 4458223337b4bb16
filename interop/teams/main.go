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
	"slices"
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
	name   string // on the command line
	folder string // below examples
	// prepare installs the libraries, copies the example to a directory and returns the command for
	// that directory.
	prepare func(ctx context.Context, folder, dir string) (command []string, err error)
	passed  *regexp.Regexp // what the test runner prints after all tests
}

var teams = []*team{
	{"python", "python", preparePython, regexp.MustCompile(`(?m)^2 passed in `)},
	{"java", "java", prepareJava, regexp.MustCompile(`(?m)Tests run: 2, Failures: 0, Errors: 0, Skipped: 0\s*$`)},
	{"javascript", "javascript", prepareJavaScript, regexp.MustCompile(`(?m)^# pass 2$`)},
	{"dotnet", "", prepareDotNet, regexp.MustCompile(`"what":"count","more":3\}`)},
	{"faults-python", "faults", around(preparePython), regexp.MustCompile(`(?m)^5 passed in `)},
	{"faults-javascript", "faults", around(prepareNode), regexp.MustCompile(`(?m)^# pass 4$`)},
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
	if err == nil {
		err = os.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	results := make([]*result, len(request.Chosen))
	var wg sync.WaitGroup
	for i, t := range request.Chosen {
		results[i] = &result{}
		// Ends with the team's test runner, which runLimit bounds; awaited below.
		wg.Go(func() { results[i].run(ctx, t, request.Log) })
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

func (r *result) run(ctx context.Context, t *team, log io.Writer) {
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
	args, err := t.prepare(ctx, filepath.Join("..", "examples", t.folder), dir)
	r.preparation = time.Since(began)
	if err != nil {
		r.err = err
		return
	}
	runner := exec.CommandContext(ctx, args[0], args[1:]...)
	runner.Dir = dir
	runner.Env = append(os.Environ(), "NO_COLOR=1", "CI=true")
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
	python, err := setup.Python(ctx, "team-"+filepath.Base(folder), folder)
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

// prepareNode takes the library of the client's checks, since the folder has no package of its own.
func prepareNode(ctx context.Context, folder, dir string) ([]string, error) {
	installed, err := setup.NPM(ctx, "javascript", filepath.Join("clients", "javascript"))
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		return nil, err
	}
	return []string{"node", "--test", "--test-reporter=tap"}, os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules"))
}

// around lets the emulator run a team's command.
func around(prepare func(ctx context.Context, folder, dir string) ([]string, error)) func(ctx context.Context, folder, dir string) ([]string, error) {
	return func(ctx context.Context, folder, dir string) ([]string, error) {
		command, err := prepare(ctx, folder, dir)
		return slices.Concat([]string{"eventhubs", "emulator", "--hub", "orders:1", "--http", ":0", "--"}, command), err
	}
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
