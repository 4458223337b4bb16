package suites

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

const pythonVersion = "5.15.1"

var pythonSuite = &suite{
	name: "python", title: "Python azure-eventhub", version: pythonVersion, tests: "live tests and the tests of its AMQP, over TCP and WebSocket",
	prepare: preparePython, run: runPython,
}

// preparePython takes the source distribution, which contains the tests. Of the helpers of the
// tests, azure-sdk-tools, which are not published, a small module takes the place.
func preparePython(ctx context.Context) (string, error) {
	if err := setup.Need("Python 3.9 or newer, with venv", "python3"); err != nil {
		return "", err
	}
	folder := filepath.Join("suites", "python")
	return setup.Install("python-suite", folder, []string{"requirements.txt", "devtools_testutils.py", "sitecustomize.py"}, func(dir string) error {
		python := filepath.Join(dir, "venv", "bin", "python")
		for _, command := range [][]string{
			{"python3", "-m", "venv", "venv"},
			{python, "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"},
			{python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "azure-eventhub==" + pythonVersion},
			{"tar", "--extract", "--file", "azure_eventhub-" + pythonVersion + ".tar.gz"},
		} {
			if err := setup.Command(ctx, dir, command[0], command[1:]...); err != nil {
				return err
			}
		}
		return nil
	})
}

// runPython runs the files of tests several at a time. Most of their time they wait.
func runPython(ctx context.Context, w *world, dir string, log io.Writer) ([]test, error) {
	const atOnce = 8
	tests := filepath.Join(dir, "azure_eventhub-"+pythonVersion, "tests")
	var files []string
	for _, pattern := range []string{"livetest/*/test_*.py", "pyamqp_tests/*/test_*.py", "pyamqp_tests/*/*/test_*.py"} {
		found, err := filepath.Glob(filepath.Join(tests, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	results, errs := make([][]test, len(files)), make([]error, len(files))
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, file := range files {
		// Ends with its tests, each of which has a deadline; awaited below.
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i], errs[i] = runPythonFile(ctx, w, dir, tests, file, log)
		})
	}
	wg.Wait()
	return slices.Concat(results...), errors.Join(errs...)
}

func runPythonFile(ctx context.Context, w *world, dir, tests, file string, log io.Writer) ([]test, error) {
	report := filepath.Join(w.directory, filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file)+".xml")
	command := exec.CommandContext(ctx, filepath.Join(dir, "venv", "bin", "python"), "-B", "-m", "pytest", "-p", "no:cacheprovider",
		"--asyncio-mode=auto", "--timeout=600", "--junit-xml="+report, "-q", file)
	command.Dir = tests
	command.Env = append(append(os.Environ(), w.environment()...),
		"PYTHONPATH="+dir,
		"EVENTHUB_RESOURCE_GROUP=suites",
		"EVENT_HUB_NAMESPACE=emulator",
		"EVENTHUB_RESOURCE_MANAGER_URL=https://"+managementHost+"/",
		"AZURE_STORAGE_ACCOUNT="+storageAccount,
	)
	printed, err := output(command, log)
	text, missing := os.ReadFile(report)
	if missing != nil {
		return nil, fmt.Errorf("%w\n%.3000s", errors.Join(missing, err), printed)
	}
	return junit(text)
}

// junit reads the report of a run.
func junit(text []byte) ([]test, error) {
	var report struct {
		Suites []struct {
			Cases []struct {
				Class   string    `xml:"classname,attr"`
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		return nil, err
	}
	all := make(map[string]outcome)
	for _, s := range report.Suites {
		for _, c := range s.Cases {
			name := c.Class + "." + c.Name
			switch {
			case c.Failure != nil || c.Error != nil:
				all[name] = failed
			case c.Skipped != nil:
				all[name] = skipped
			default:
				all[name] = passed
			}
		}
	}
	return sorted(all), nil
}
