package scripted

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing/synctest"
)

// A Notebook is a log that a test reads line by line.
type Notebook struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (n *Notebook) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(line)
}

func (n *Notebook) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

// Lines returns the lines that contain a text.
func (n *Notebook) Lines(text string) (found []string) {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
