package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// A progress shows on a terminal how far a publication is. Elsewhere it shows no bar. It also
// writes whole lines, so that they do not mix with the bar.
type progress struct {
	// Immutable after newProgress.
	w     io.Writer
	width int              // of the terminal, in characters; 0: w is no terminal
	look  func() situation // asks the publication

	total int // expected events; 0: not known. Immutable after start.

	running sync.WaitGroup
	end     chan struct{} // closed by stop

	// Guards w and the field below; writing to a terminal is the only wait under it.
	mu    sync.Mutex
	drawn bool // the cursor's line shows the bar
}

const (
	drawEvery  = 100 * time.Millisecond
	barWidth   = 20
	rateWindow = 5 * time.Second // the rate shown is that of the latest 5 s
	eraseLine  = "\r\x1b[K"
)

// A situation is the state of a publication at one time.
type situation struct {
	at       time.Time
	stored   int
	failed   int
	buffered int
}

func newProgress(w io.Writer, width int, look func() situation) *progress {
	return &progress{w: w, width: width, look: look, end: make(chan struct{})}
}

// terminalWidth returns the number of characters in a line of the terminal w; 0 if w is no
// terminal.
func terminalWidth(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// start begins to draw the bar, if there is a terminal to draw on.
func (pr *progress) start() {
	if pr.width == 0 {
		return
	}
	// draw ends when stop closes pr.end; stop waits for it.
	pr.running.Go(pr.draw)
}

// stop removes the bar. It is called once.
func (pr *progress) stop() {
	close(pr.end)
	pr.running.Wait()
	pr.line("")
}

func (pr *progress) draw() {
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	history := []situation{pr.look()}
	for {
		select {
		case <-pr.end:
			return
		case <-ticker.C:
			now := pr.look()
			history = append(history, now)
			for len(history) > 2 && now.at.Sub(history[1].at) >= rateWindow {
				history = history[1:]
			}
			text := now.text(pr.total, history[0])
			pr.mu.Lock()
			// A wrapped line could not be erased.
			io.WriteString(pr.w, eraseLine+text[:min(len(text), pr.width-1)])
			pr.drawn = true
			pr.mu.Unlock()
		}
	}
}

// line writes text as a line of its own. Empty text only removes the bar.
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

// text returns the bar: how many of total events are stored, the rate since an earlier situation,
// and the time left.
func (s situation) text(total int, since situation) string {
	var text string
	if total > 0 {
		filled := min(barWidth*(s.stored+s.failed)/total, barWidth)
		text = "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "] "
		text += fmt.Sprintf("%d of %d events", s.stored, total)
	} else {
		text = fmt.Sprintf("%d events", s.stored)
	}
	rate := 0.0
	if d := s.at.Sub(since.at).Seconds(); d > 0 {
		rate = float64(s.stored-since.stored) / d
	}
	text += fmt.Sprintf(", %.0f/s, %d buffered", rate, s.buffered)
	if s.failed > 0 {
		text += fmt.Sprintf(", %d failed", s.failed)
	}
	if left := total - s.stored - s.failed; left > 0 && rate > 0 {
		text += fmt.Sprintf(", %v left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return text
}
