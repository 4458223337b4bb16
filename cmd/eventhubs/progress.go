package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// A progress shows on a terminal how far a publication is; elsewhere it shows no bar. It also
// writes whole lines, so that they and the bar do not run into each other.
type progress struct {
	// Immutable after newProgress.
	w        io.Writer
	terminal bool
	tally    *tally

	total int // events expected; 0: not known. Immutable after start.

	running sync.WaitGroup
	end     chan struct{} // closed by stop

	mu    sync.Mutex // guards w and the field below; writing to a terminal is the only wait under it
	drawn bool       // the line that the cursor is on shows the bar
}

const (
	drawEvery = 100 * time.Millisecond
	barWidth  = 30
	eraseLine = "\r\x1b[K"
)

func newProgress(w io.Writer, t *tally) *progress {
	return &progress{w: w, terminal: isTerminal(w), tally: t, end: make(chan struct{})}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// start begins to draw the bar, if there is a terminal to draw on.
func (pr *progress) start() {
	if !pr.terminal {
		return
	}
	// draw ends when stop closes pr.end; stop waits for it.
	pr.running.Go(pr.draw)
}

// stop takes the bar away. It is called once.
func (pr *progress) stop() {
	close(pr.end)
	pr.running.Wait()
	pr.line("")
}

func (pr *progress) draw() {
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-pr.end:
			return
		case <-ticker.C:
			stored, failed := pr.tally.counts()
			pr.mu.Lock()
			io.WriteString(pr.w, eraseLine+bar(stored, failed, pr.total))
			pr.drawn = true
			pr.mu.Unlock()
		}
	}
}

// line writes text as a line of its own, or only takes the bar away if text is empty.
func (pr *progress) line(text string) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.drawn {
		io.WriteString(pr.w, eraseLine)
		pr.drawn = false
	}
	if text != "" {
		fmt.Fprintln(pr.w, text)
	}
}

// bar returns the bar's text: how many of total events are stored and how many failed.
func bar(stored, failed, total int) string {
	var text string
	if total > 0 {
		filled := min(barWidth*(stored+failed)/total, barWidth)
		text = "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "] "
		text += fmt.Sprintf("%d of %d events", stored, total)
	} else {
		text = fmt.Sprintf("%d events", stored)
	}
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	return text
}
