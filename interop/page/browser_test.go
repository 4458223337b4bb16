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

// browser finds Chromium. Without it the tests cannot run.
func browser(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("none of %s is installed; interop/page/run does it on Debian, elsewhere CHROMIUM names the program", strings.Join(browsers, ", "))
	return ""
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

// openTab starts an emulator, and a browser at its page. Both end with the test.
func openTab(t *testing.T, options *emulator.Options) *tab {
	t.Helper()
	server, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return openTabOf(t, server, "")
}

// openTabOf starts a browser at the page of a server, at a fragment of it. It ends with the test.
func openTabOf(t *testing.T, server *emulator.Server, fragment string) *tab {
	t.Helper()
	w := &tab{server: server, http: httptest.NewServer(emulatorhttp.New(server, nil))}
	t.Cleanup(w.http.Close)
	allocator, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser(t)), chromedp.NoSandbox, chromedp.WindowSize(1280, 1620))...)
	t.Cleanup(cancel)
	w.ctx, cancel = chromedp.NewContext(allocator, chromedp.WithListener(w.hear))
	t.Cleanup(cancel)
	if err := chromedp.Do(w.ctx); err != nil { // starts the browser, which ends with this context
		t.Fatal(err)
	}
	if _, err := chromedp.Call(w.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	w.do(t, chromedp.Navigate(w.http.URL+"/"+fragment))
	return w
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
		if !strings.HasPrefix(url, w.http.URL+"/") {
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
