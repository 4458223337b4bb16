package world

import (
	"os"
	"path/filepath"
	"testing"
)

// Root returns the directory of the repository.
func Root(t *testing.T) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory
		}
		above := filepath.Dir(directory)
		if above == directory {
			t.Fatal("no directory above the test has a go.mod")
		}
		directory = above
	}
}
