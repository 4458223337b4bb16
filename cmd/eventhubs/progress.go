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

	finish func() // ends the bar of start

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
	reason   string // why publishing is in trouble; empty if it is not
}

func newProgress(w io.Writer, width int, look func() situation) *progress {
	return &progress{w: w, width: width, look: look}
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

// start begins to draw the bar of the publication, if there is a terminal to draw on.
func (pr *progress) start() {
	if pr.width == 0 {
		return
	}
	history := []situation{pr.look()}
	pr.finish = pr.watch(func() string {
		now := pr.look()
		history = append(history, now)
		for len(history) > 2 && now.at.Sub(history[1].at) >= rateWindow {
			history = history[1:]
		}
		return now.text(pr.total, history[0])
	})
}

// stop removes the bar. It is called once, after start.
func (pr *progress) stop() {
	if pr.finish != nil {
		pr.finish()
	}
}

// watch draws text's result again and again, if there is a terminal to draw on. The returned
// function removes it. It is called once.
func (pr *progress) watch(text func() string) (stop func()) {
	if pr.width == 0 {
		return func() {}
	}
	end := make(chan struct{})
	var drawing sync.WaitGroup
	// The goroutine ends when stop closes end; stop waits for it.
	drawing.Go(func() {
		ticker := time.NewTicker(drawEvery)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				pr.show(text())
			}
		}
	})
	return func() {
		close(end)
		drawing.Wait()
		pr.line("")
	}
}

// show replaces the bar.
func (pr *progress) show(text string) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	// A wrapped line could not be erased. A character that is cut in two is left out.
	io.WriteString(pr.w, eraseLine+strings.ToValidUTF8(text[:min(len(text), pr.width-1)], ""))
	pr.drawn = true
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
		text = bar(float64(s.stored+s.failed)/float64(total)) + fmt.Sprintf("%d of %d events", s.stored, total)
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
	if s.reason != "" {
		text += ": " + s.reason
	}
	return text
}

// bar returns a bar of which a part is filled.
func bar(part float64) string {
	filled := min(int(barWidth*part), barWidth)
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "] "
}
