package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheDocumentsScriptsRunTests runs the shell scripts of "Without Go". Each has npm test, for
// which another program stands in. It fails unless it finds the emulator.
func TestTheDocumentsScriptsRunTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/emulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Without Go\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("docs/emulator.md has no section Without Go")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	for name, script := range map[string]string{
		"eventhubs": "#!/bin/sh\nexec env " + programEnv + "=1 '" + self + "' \"$@\"\n",
		"npm":       "#!/bin/sh\necho x >line && eventhubs publish --hub \"$EVENTHUB_NAME\" line && echo \"npm $1 at $EVENTHUBS_EMULATOR_URL\"\n",
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	scripts := 0
	for i, part := range strings.Split(section, "```sh\n") {
		script, _, _ := strings.Cut(part, "```")
		if i == 0 || !strings.Contains(script, "npm test") {
			continue
		}
		scripts++
		shell := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
		shell.Dir = t.TempDir()
		shell.Env = append(os.Environ(), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"), connectionEnv+"=")
		output, err := shell.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "npm test at http://127.0.0.1:") {
			t.Errorf("%s\nended: %v\n%s", script, err, output)
		}
		// The second script's emulator has ended when it has closed its output.
		wantFiles(t, shell.Dir, "line")
	}
	if scripts != 2 {
		t.Errorf("%d scripts run npm test, want 2", scripts)
	}
}
