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

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

const pythonVersion = "5.15.1"

var pythonSuite = &suite{
	name: "python", title: "Python azure-eventhub", version: pythonVersion, tests: "live tests and the tests of its AMQP",
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

func runPython(ctx context.Context, w *world, dir string, log io.Writer) ([]test, error) {
	report := filepath.Join(w.directory, "python.xml")
	tests := filepath.Join(dir, "azure_eventhub-"+pythonVersion, "tests")
	command := exec.CommandContext(ctx, filepath.Join(dir, "venv", "bin", "python"), "-B", "-m", "pytest", "-p", "no:cacheprovider",
		"--asyncio-mode=auto", "--timeout=600", "--junit-xml="+report, "-q", "livetest", "pyamqp_tests")
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
