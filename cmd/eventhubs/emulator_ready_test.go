package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadyFileIsThereWhileClientsCanConnect(t *testing.T) {
	for _, left := range []struct {
		name, content string
		exists        bool
	}{
		{"no file", "", false},
		{"one of mktemp", "", true},
		{"one of a killed emulator", "EVENTHUBS_CONNECTION_STRING=Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=k;SharedAccessKey=v\n", true},
	} {
		t.Run(left.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ready")
			if left.exists {
				if err := os.WriteFile(file, []byte(left.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command, p := startEmulatorCommand(t, "--ready-file", file)
			wantContent(t, file, "EVENTHUBS_CONNECTION_STRING="+p.env[connectionEnv]+"\nEVENTHUB_NAME=events\n")
			if command.stop() != exitOK {
				t.Error("the emulator failed")
			}
			wantFiles(t, filepath.Dir(file))
		})
	}
}

// wantContent fails the test unless a file has exactly this content.
func wantContent(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); string(got) != want {
		t.Errorf("%s has %q, %v, want %q", file, got, err, want)
	}
}

// wantFiles fails the test unless a folder has exactly these files.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has %v, want %v", dir, got, want)
	}
}

func TestReadyFileOfSomeoneElseIsKept(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "package.json")
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program{}.run(t, "emulator", "--ready-file", file).want(t, exitBadInput, "--ready-file "+file+" exists and is no emulator's")
	program{}.run(t, "emulator", "--ready-file", dir).want(t, exitBadInput, "is a directory")
	missing := filepath.Join(dir, "missing", "ready")
	program{}.run(t, "emulator", "--ready-file", missing).want(t, exitFailed, "--ready-file "+missing+" cannot be written: ")
	program{}.run(t, "emulator", "--ready-file", filepath.Join(dir, "ready"), "--addr", "127.0.0.1:1x").want(t, exitBadInput)
	wantContent(t, file, "{}\n")
	wantFiles(t, dir, "package.json")
}

func TestReadyFileGoesAwayWhenTheEmulatorCannotStart(t *testing.T) {
	taken := startServer(t)
	dir := t.TempDir()
	program{}.run(t, "emulator", "--ready-file", filepath.Join(dir, "ready"), "--addr", taken.Addr()).want(t, exitFailed, "taken by another program")
	wantFiles(t, dir)
}

func TestReadyFileOfTheNextEmulatorIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ready")
	first, _ := startEmulatorCommand(t, "--ready-file", file)
	second, p := startEmulatorCommand(t, "--ready-file", file)
	wantContent(t, file, "EVENTHUBS_CONNECTION_STRING="+p.env[connectionEnv]+"\nEVENTHUB_NAME=events\n")
	if first.stop() != exitOK {
		t.Error("the first emulator failed")
	}
	wantContent(t, file, "EVENTHUBS_CONNECTION_STRING="+p.env[connectionEnv]+"\nEVENTHUB_NAME=events\n")
	if second.stop() != exitOK {
		t.Error("the second emulator failed")
	}
	wantFiles(t, filepath.Dir(file))
}
