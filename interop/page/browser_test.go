package page_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
)

// patience bounds every wait: the page asks once a second.
const patience = 20 * time.Second

// browsers are the names of Chromium on different systems.
var browsers = []string{"chromium-headless-shell", "headless_shell", "chromium", "chromium-browser", "google-chrome", "chrome"}

// findBrowser finds Chromium. Without it the tests cannot run.
func findBrowser() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s is installed; interop/page/run does it on Debian, elsewhere CHROMIUM names the program", strings.Join(browsers, ", "))
}

// endBrowser ends the browser of startBrowser.
var endBrowser = func() {}

// startBrowser starts one browser for all tests. Each test has a tab of its own.
var startBrowser = sync.OnceValues(func() (context.Context, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, err
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	running, end := chromedp.NewContext(allocator)
	endBrowser = func() {
		end()
		endAllocator()
	}
	return running, chromedp.Do(running) // starts the browser, which ends with this context
})

func TestMain(m *testing.M) {
	code := m.Run()
	endBrowser()
	os.Exit(code)
}

// A tab shows the page of an emulator.
type tab struct {
	ctx    context.Context
	http   *httptest.Server
	server *emulator.Server

	mu        sync.Mutex // guards the fields below
	requested []string
	complaint []string // errors in the browser's console
}

// openTab starts an emulator, and opens a tab at its page. Both end with the test.
func openTab(t *testing.T, options *emulator.Options) *tab {
	t.Helper()
	server, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return openTabOf(t, server, "")
}

// openTabOf opens a tab at the page of a server, at a fragment of it. It ends with the test.
func openTabOf(t *testing.T, server *emulator.Server, fragment string) *tab {
	t.Helper()
	return openTabWith(t, server, nil, fragment)
}

// openTabWith is openTabOf with options of the page.
func openTabWith(t *testing.T, server *emulator.Server, options *emulatorhttp.Options, fragment string) *tab {
	t.Helper()
	w := &tab{server: server, http: httptest.NewServer(emulatorhttp.New(server, options))}
	t.Cleanup(w.http.Close)
	w.ctx = newTab(t, w.hear)
	if _, err := chromedp.Call(w.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	w.resize(t, 1280, 1620)
	w.do(t, chromedp.Navigate(w.http.URL+"/"+fragment))
	return w
}

// newTab opens an empty tab, which ends with the test. A function hears its events.
func newTab(t *testing.T, hear func(any)) context.Context {
	t.Helper()
	running, err := startBrowser()
	if err != nil {
		t.Fatal(err)
	}
	var options []chromedp.ContextOption
	if hear != nil {
		options = append(options, chromedp.WithListener(hear))
	}
	ctx, cancel := chromedp.NewContext(running, options...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// resize sets the size of the page's window. A narrow one is a phone's.
func (w *tab) resize(t *testing.T, width, height int64) {
	t.Helper()
	size := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500}
	if _, err := chromedp.Call(w.ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
		t.Fatal(err)
	}
}

// scheme makes the system light or dark for the page.
func (w *tab) scheme(t *testing.T, name string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
}

// hear notes the page's requests and errors.
func (w *tab) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.requested = append(w.requested, e.Request.URL)
	case *runtime.EventExceptionThrown:
		w.complaint = append(w.complaint, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		w.complaint = append(w.complaint, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		w.complaint = append(w.complaint, e.Entry.Text)
	}
}

// peaceful fails if the page sent a request to another host, or if its scripts failed.
func (w *tab) peaceful(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, url := range w.requested {
		// Chromium has an icon of its own in a field for a time.
		if !strings.HasPrefix(url, w.http.URL+"/") && !strings.HasPrefix(url, "data:image/svg+xml;base64,") {
			t.Errorf("the page has asked for %s", url)
		}
	}
	for _, text := range w.complaint {
		t.Errorf("the page complains: %s", text)
	}
	if len(w.requested) < 4 {
		t.Errorf("the page has asked for %q only", w.requested)
	}
}

// do runs actions.
func (w *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// until waits until a condition in JavaScript holds. (The page's policy forbids chromedp's own way
// to wait for one.)
func (w *tab) until(t *testing.T, condition string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	look := "new Promise(done => { const look = () => (" + condition + ") ? done(true) : setTimeout(look, 20); look() })"
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise)); err != nil {
		text, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("%s: %v; the page shows:\n%s", condition, err, text)
	}
}

// eval returns the value of an expression in JavaScript.
func eval[T any](t *testing.T, w *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wantNames wants a name for each element that a screen reader names, and so many elements of each
// role at least.
func (w *tab) wantNames(t *testing.T, where string, least map[string]int) {
	t.Helper()
	tree, err := chromedp.Call(w.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		return strings.Trim(string(v.Value), `"`)
	}
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role := text(n.Role)
		roles[role]++
		switch role {
		case "button", "link", "searchbox", "combobox", "textbox", "region", "navigation", "columnheader", "rowheader", "image":
			if text(n.Name) == "" {
				t.Errorf("%s: a %s has no name", where, role)
			}
		}
	}
	for role, n := range least {
		if roles[role] < n {
			t.Errorf("%s: %d elements are a %s, want %d at least; there are %v", where, roles[role], role, n, roles)
		}
	}
}
