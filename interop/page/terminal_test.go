package page_test

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// A terminal holds the output of a program: lines, and the few controls that this project's command
// uses.
type terminal struct {
	lines [][]rune
	at    int // in the last line
}

// write puts a program's output on the screen.
func (s *terminal) write(text string) {
	if len(s.lines) == 0 {
		s.lines = [][]rune{nil}
	}
	text = strings.ReplaceAll(text, "\x1b[K", "\x7f") // erase to the end of the line
	for _, c := range text {
		last := &s.lines[len(s.lines)-1]
		switch c {
		case '\r':
			s.at = 0
		case '\n':
			s.lines, s.at = append(s.lines, nil), 0
		case '\x7f':
			*last = (*last)[:min(s.at, len(*last))]
		default:
			*last = append((*last)[:min(s.at, len(*last))], append([]rune{c}, (*last)[min(s.at+1, len(*last)):]...)...)
			s.at++
		}
	}
}

// text returns the screen's content.
func (s *terminal) text() string {
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// A shot is a terminal at one time.
type shot struct {
	title, command, screen string
}

// A shell runs the command on a terminal, with script(1).
type shell struct {
	directory string // of the program
	env       []string
}

func newShell(t *testing.T, server *emulator.Server) *shell {
	t.Helper()
	directory := buildCommand(t)
	path := "PATH=" + directory + string(os.PathListSeparator) + os.Getenv("PATH")
	return &shell{directory, append(os.Environ(), path, "EVENTHUBS_CONNECTION_STRING="+server.ConnectionString(""))}
}

// buildCommand returns the folder with the program eventhubs.
func buildCommand(t *testing.T) string {
	t.Helper()
	path, err := setup.Go(t.Context(), "eventhubs", "../..", "./cmd/eventhubs")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path)
}

// run runs a command to its end. It returns the screen at the end, and the last screen that matched
// during.
func (s *shell) run(t *testing.T, command string, during *regexp.Regexp) (end, meanwhile string) {
	t.Helper()
	wide := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", "stty cols 120 && "+command, os.DevNull)
	wide.Dir, wide.Env, wide.Stdin = "../../examples/data", s.env, nil
	output, err := wide.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := wide.Start(); err != nil {
		t.Fatal(err)
	}
	var screen terminal
	chunk := make([]byte, 4096)
	for {
		n, err := output.Read(chunk)
		// The command writes each change at once, so no character is split.
		screen.write(string(chunk[:n]))
		if text := screen.text(); during != nil && during.MatchString(text) {
			meanwhile = text
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := wide.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, screen.text())
	}
	return screen.text(), meanwhile
}

const terminalStyle = `
body { margin: 0; background: #fff }
main { width: max-content; padding: 2px }
figure { margin: 0 0 14px; border: 1px solid #b8c0c8; border-radius: 7px; overflow: hidden; min-width: 960px }
figure:last-child { margin: 0 }
figcaption { background: #eaeef2; color: #57606a; font: 13px "DejaVu Sans", sans-serif; padding: 5px 14px; border-bottom: 1px solid #b8c0c8 }
pre { margin: 0; padding: 10px 14px; font: 15px/1.3 "DejaVu Sans Mono", monospace; color: #1f2328 }
`

// portray makes a picture of terminals.
func portray(t *testing.T, shots []shot) []byte {
	t.Helper()
	var body bytes.Buffer
	fmt.Fprintf(&body, "<!doctype html><meta charset=utf-8><style>%s</style><main>", terminalStyle)
	for _, s := range shots {
		fmt.Fprintf(&body, "<figure><figcaption>%s</figcaption><pre><b>$ %s</b>\n%s</pre></figure>", html.EscapeString(s.title), html.EscapeString(s.command), html.EscapeString(s.screen))
	}
	body.WriteString("</main>")
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body.Bytes()) }))
	t.Cleanup(served.Close)
	ctx := newTab(t, nil)
	size := emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 1200, DeviceScaleFactor: 2}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(served.URL)); err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(ctx, chromedp.Screenshot(chromedp.CSS("main")))
	if err != nil {
		t.Fatal(err)
	}
	return smaller(t, picture)
}

// TestPictureOfTheCommandLine takes the picture for docs/cli.md and the README, if CLI_SCREENSHOT
// names a file. The picture shows the program's output on a terminal.
func TestPictureOfTheCommandLine(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders", Partitions: 4}, {Name: "events", Partitions: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	sh := newShell(t, server)
	const publish, check = "eventhubs publish --key properties.net --rate 600 earthquakes.ndjson", "eventhubs check --send"
	published, meanwhile := sh.run(t, publish, regexp.MustCompile(`^\[#{4,13}\.+\] \d+ of 1707 events, \d+/s, \d+ buffered, \d+s left$`))
	checked, _ := sh.run(t, check, nil)
	if meanwhile == "" {
		t.Error("the bar was not seen half way")
	}
	for _, want := range []string{"total    1707", "1707 events in ", "Sent to event hub events in 127.0.0.1:"} {
		if !strings.Contains(published, want) {
			t.Errorf("publish does not say %q:\n%s", want, published)
		}
	}
	if !strings.Contains(checked, "Events can be sent.") {
		t.Errorf("check says\n%s", checked)
	}
	picture := portray(t, []shot{
		{"while it runs", publish, meanwhile},
		{"at its end", publish, published},
		{"the way to the hub, step by step", check, checked},
	})
	if len(picture) < 10_000 || len(picture) > 150_000 {
		t.Errorf("the picture has %d bytes", len(picture))
	}
	if file := os.Getenv("CLI_SCREENSHOT"); file != "" {
		if err := os.WriteFile(file, picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
