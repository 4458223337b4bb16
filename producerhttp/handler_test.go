package producerhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/producerhttp"
)

// with sets a header of a request.
func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// newHandler makes a handler that shows a producer whose partitions are not known.
func newHandler(t *testing.T, options *producerhttp.Options) *producerhttp.Handler {
	t.Helper()
	return producerhttp.New(newProducer(t, newServer(t, 2, emulator.Options{}), eventhubs.Options{}), options)
}

func TestTheFormatFollowsParameterAndAccept(t *testing.T) {
	h := newHandler(t, nil)
	const text, html, inJSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
	for _, c := range []struct{ target, accept, want string }{
		{"/", "", text},
		{"/", "*/*", text},
		{"/", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", html},
		{"/", "application/json", inJSON},
		{"/", "application/json, text/plain, */*", inJSON},
		{"/", "text/plain, application/json", text},
		{"/", "application/*", inJSON},
		{"/", "text/*", text},
		{"/", "text/html;q=0.5, application/json;q=0.9, text/plain;q=0.7", inJSON},
		{"/", "*/*;q=0.1, text/html;q=0.2", html},
		{"/", "text/plain;q=0, */*", html},
		{"/", "image/png", text},
		{"/", "application/json;q=9, text/html;q=x", text},
		{"/", ";;;, ,", text},
		{"/?format=html", "application/json", html},
		{"/?format=json", "text/html", inJSON},
		{"/?format=text", "text/html", text},
	} {
		w := ask(t, h, c.target, with("Accept", c.accept))
		if got := w.Header().Get("Content-Type"); got != c.want || w.Code != http.StatusOK {
			t.Errorf("%s with Accept %q: got %q with status %d, want %q", c.target, c.accept, got, w.Code, c.want)
		}
		if got := w.Header().Get("Vary"); got != "Accept" {
			t.Errorf("Vary is %q, want Accept", got)
		}
	}
	two := ask(t, h, "/", func(r *http.Request) { r.Header["Accept"] = []string{"image/png", "application/json"} })
	if got := two.Header().Get("Content-Type"); got != inJSON {
		t.Errorf("with two Accept headers the answer is %q, want JSON", got)
	}
}

func TestWrongRequestsSayWhatToDo(t *testing.T) {
	h := newHandler(t, &producerhttp.Options{Name: "shop"})
	for _, c := range []struct {
		target string
		status int
		says   string
	}{
		{"/?format=xml", 400, `format is "xml": it must be html, text or json`},
		{"/?fromat=json", 400, `there is no parameter "fromat": use format and producer`},
		{"/?producer=shp", 404, `there is no producer "shp": these are there: shop`},
		{"/?file=../page.html", 404, `the page has no file "../page.html"`},
		{"/?file=page.html", 404, `the page has no file`},
		{"/?producer=%zz", 400, `the parameters cannot be read: invalid URL escape "%zz": encode each name and value`},
		{"/?producer=%0aevil", 404, `there is no producer "\nevil"`},
	} {
		w := ask(t, h, c.target)
		if got := w.Body.String(); w.Code != c.status || !strings.Contains(got, c.says) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: status %d, %q; want %d, %q on one line", c.target, w.Code, got, c.status, c.says)
		}
		w = ask(t, h, c.target, with("Accept", "application/json"))
		var answer struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != c.status || !strings.Contains(answer.Error, c.says) {
			t.Errorf("%s in JSON: status %d, %q, %v", c.target, w.Code, answer.Error, err)
		}
	}
}

func TestTheHandlerIsReadOnly(t *testing.T) {
	h := newHandler(t, nil)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace, "PURGE"} {
		w := ask(t, h, "/", func(r *http.Request) { r.Method = method })
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q; want 405 and GET, HEAD", method, w.Code, w.Header().Get("Allow"))
		}
	}
	server := httptest.NewServer(h)
	defer server.Close()
	response, err := http.Head(server.URL + "/?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ContentLength < 100 || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: status %d, %d bytes, %v; want those of GET", response.StatusCode, response.ContentLength, response.Header)
	}
}

func TestTheHandlerWorksBelowAnyPrefix(t *testing.T) {
	h := newHandler(t, nil)
	for pattern, target := range map[string]string{
		"/debug/eventhubs/": "/debug/eventhubs/", "/debug/eventhubs": "/debug/eventhubs", "/": "/", "/a/{rest...}": "/a/b/c", "GET /x": "/x",
	} {
		mux := http.NewServeMux()
		mux.Handle(pattern, h)
		page := get(t, mux, target+"?format=html")
		refers := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1)
		if len(refers) < 5 {
			t.Fatalf("%s: the page refers to %v", pattern, refers)
		}
		for _, r := range refers {
			link := strings.ReplaceAll(r[1], "&amp;", "&")
			if !strings.HasPrefix(link, "?") {
				t.Errorf("%s: the page refers to %q, want a reference to its own address", pattern, link)
				continue
			}
			get(t, mux, target+link)
		}
	}
}

func TestThePageLoadsOnlyItsOwnFiles(t *testing.T) {
	h := newHandler(t, nil)
	for target, kind := range map[string]string{"/?format=html": "text/html", "/?file=base.css": "text/css", "/?file=page.css": "text/css", "/?file=page.js": "text/javascript", "/?file=icon.svg": "image/svg+xml"} {
		w := ask(t, h, target)
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || !strings.HasPrefix(got, kind) {
			t.Errorf("%s: status %d, %q, want %q", target, w.Code, got, kind)
		}
		body := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		for _, foreign := range []string{"http://", "https://", "url(", " style=", "<style", " onclick", " onload", "@import"} {
			if strings.Contains(body, foreign) {
				t.Errorf("%s has %q", target, foreign)
			}
		}
		for _, script := range regexp.MustCompile(`<script[^>]*>(.*)`).FindAllStringSubmatch(body, -1) {
			if script[1] != "</script>" {
				t.Errorf("%s has an inline script: %s", target, script[0])
			}
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Access-Control-Allow-Origin": "",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", target, header, got, want)
			}
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; ") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: the policy is %q", target, got)
		}
	}
}

func TestOnlyClientsThatMeanThisServerGetIn(t *testing.T) {
	closed, named, open := newHandler(t, nil), newHandler(t, &producerhttp.Options{Hosts: []string{"Shop.Example"}}), newHandler(t, &producerhttp.Options{Hosts: []string{"*"}})
	for host, want := range map[string][3]int{
		"127.0.0.1:8080": {200, 200, 200}, "[::1]:8080": {200, 200, 200}, "localhost": {200, 200, 200}, "10.1.2.3": {200, 200, 200},
		"shop.example:8080": {403, 200, 200}, "evil.example": {403, 403, 200}, "shop.example.evil.example": {403, 403, 200}, "": {403, 403, 200}, "a\xff\n": {403, 403, 200},
	} {
		for i, h := range []http.Handler{closed, named, open} {
			for _, target := range []string{"/", "/?file=page.js"} {
				w := ask(t, h, target, func(r *http.Request) { r.Host = host })
				if w.Code != want[i] {
					t.Errorf("host %q, handler %d, %s: status %d, want %d", host, i, target, w.Code, want[i])
				}
				if w.Code == 403 && !strings.Contains(w.Body.String(), "add the name to producerhttp.Options.Hosts") {
					t.Errorf("host %q is refused with %q", host, w.Body)
				}
			}
		}
	}
	for _, c := range []struct {
		site, mode string
		want       int
	}{{"same-origin", "cors", 200}, {"none", "navigate", 200}, {"", "", 200}, {"cross-site", "no-cors", 403}, {"cross-site", "cors", 403}, {"cross-site", "navigate", 200}} {
		w := ask(t, closed, "/?format=json", with("Sec-Fetch-Site", c.site), with("Sec-Fetch-Mode", c.mode))
		if w.Code != c.want {
			t.Errorf("a request from %q with mode %q: status %d, want %d", c.site, c.mode, w.Code, c.want)
		}
	}
}

func TestSeveralProducersAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, 2, emulator.Options{})
		orders, audit := newProducer(t, server, eventhubs.Options{}), newProducer(t, server, eventhubs.Options{})
		h := producerhttp.New(nil, nil)
		if got := get(t, h, "/"); got != "There are no producers.\n" {
			t.Errorf("without producers the text is %q", got)
		}
		if got := get(t, h, "/?format=json"); !strings.HasSuffix(got, `"producers":[]}`+"\n") {
			t.Errorf("without producers the JSON is %s", got)
		}
		wantAll(t, "page", get(t, h, "/?format=html"), "There are no producers.")
		zero := new(producerhttp.Handler)
		if err := zero.Add("orders", orders); err != nil || !strings.Contains(get(t, zero, "/"), "orders") {
			t.Errorf("the zero handler takes a producer: %v", err)
		}
		const harmful = `<b onclick="x">&?=`
		for name, p := range map[string]*eventhubs.BufferedProducer{"orders": orders, harmful: audit} {
			for range 2 { // the same once more is no error
				if err := h.Add(name, p); err != nil {
					t.Error(err)
				}
			}
		}
		stream(t, orders, 2, 10*time.Second)
		a := read(t, h, "/?format=json")
		if len(a.Producers) != 2 || a.Producers[0].Name != harmful || a.Producers[1].Name != "orders" || a.Producers[0].Stats.StoredEvents != 0 || a.Producers[1].Stats.StoredEvents != 20 {
			t.Errorf("the producers are %+v", a.Producers)
		}
		if one := read(t, h, "/?format=json&producer=orders"); len(one.Producers) != 1 || one.Producers[0].Name != "orders" {
			t.Errorf("the one producer is %+v", one.Producers)
		}
		wantAll(t, "text", get(t, h, "/"), harmful+": connecting\n", "\n\norders: ready for 10s\n")
		page := get(t, h, "/?format=html")
		wantAll(t, "page", page, `<a href="?" aria-current="page">All</a>`, `<a href="?producer=orders">orders</a>`, "&lt;b onclick=&#34;x&#34;&gt;&amp;?=</h2>")
		if strings.Contains(page, "<b") && strings.Contains(page, harmful) {
			t.Error("a name is HTML on the page")
		}
		link := regexp.MustCompile(`href="(\?producer=%3c[^"]*)"`).FindStringSubmatch(page)
		if link == nil {
			t.Fatalf("the page has no link to %q:\n%s", harmful, page)
		}
		wantAll(t, "page", get(t, h, "/"+strings.ReplaceAll(link[1], "&amp;", "&")+"&format=html"), "<title>&lt;b onclick", ` aria-current="page">&lt;b`)

		for name, p := range map[string]*eventhubs.BufferedProducer{"orders": audit, "": orders, "a\nb": orders, "\xff": orders, strings.Repeat("x", 257): orders, "nil": nil} {
			if err := h.Add(name, p); err == nil || !strings.HasPrefix(err.Error(), "producerhttp: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("Add(%.10q) returned %v, want an error on one line", name, err)
			}
		}
		h.Remove("orders")
		h.Remove("orders")
		if a := read(t, h, "/?format=json"); len(a.Producers) != 1 || a.Producers[0].Name != harmful {
			t.Errorf("after Remove the producers are %+v", a.Producers)
		}
		if w := ask(t, h, "/?producer=orders"); w.Code != http.StatusNotFound {
			t.Errorf("a removed producer has status %d", w.Code)
		}
		if err := h.Add("orders", audit); err != nil {
			t.Errorf("a name that is free again: %v", err)
		}
		for _, p := range []*eventhubs.BufferedProducer{orders, audit} {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A text from outside cannot forge lines of the text, and is no HTML on the page.
func TestTextsFromOutsideStayTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hostile = "line\nforged: ready\x1b[2J<script>alert(1)</script>\u2028end"
		server := newServer(t, 1, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				return emulator.Reject("amqp:not-allowed", hostile)
			}
			return emulator.Pass()
		}})
		failed := make(chan struct{}, 10)
		p := newProducer(t, server, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {
			failed <- struct{}{}
			panic(secretBody + " in a panic")
		}})
		h := producerhttp.New(p, nil)
		stream(t, p, 1, 2*time.Second)
		<-failed
		text := get(t, h, "/")
		wantAll(t, "text", text, "orders: refused for", "line forged: ready [2J<script>alert(1)</script> end", "Handlers that panicked or ended their goroutine: ", "  Failed: ")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "forged") || strings.ContainsAny(line, "\x1b\r") {
				t.Errorf("a line is forged: %q", line)
			}
		}
		page := get(t, h, "/?format=html")
		wantAll(t, "page", page, "&lt;script&gt;alert(1)&lt;/script&gt;")
		if strings.Contains(page, "<script>alert") {
			t.Error("the text of an error is HTML on the page")
		}
		_ = p.Close(t.Context())
	})
}

// The credential's token and the key appear nowhere, also when they are refused.
func TestNoSecretIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, 1, emulator.Options{})
		wrong := strings.Replace(server.ConnectionString("orders"), signingKey, "d3Jvbmctc2VjcmV0LXNpZ25pbmcta2V5", 1)
		options := eventhubs.Options{Logger: discard}
		options.Connection.DialContext = dialer(server)
		byKey, err := eventhubs.NewBufferedProducerFromConnectionString(wrong, "", &options)
		if err != nil {
			t.Fatal(err)
		}
		endpoint, _, _ := strings.Cut(server.ConnectionString("orders"), ";SharedAccessKeyName")
		const signature = "SharedAccessSignature sr=sb%3a%2f%2femulator-in-memory.invalid%2forders&sig=d3Jvbmctc2lnbmF0dXJl&se=4102444800&skn=RootManageSharedAccessKey"
		bySignature, err := eventhubs.NewBufferedProducerFromConnectionString(endpoint+";SharedAccessSignature="+signature+";EntityPath=orders;UseDevelopmentEmulator=true", "", &options)
		if err != nil {
			t.Fatal(err)
		}
		h := producerhttp.New(byKey, &producerhttp.Options{Name: "key"})
		if err := h.Add("signature", bySignature); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*eventhubs.BufferedProducer{byKey, bySignature} {
			if err := p.Connect(t.Context(), nil); err == nil {
				t.Error("Connect succeeded with a wrong key")
			}
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(secretBody), PartitionKey: secretKey}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		for _, format := range []string{"text", "html", "json"} {
			answer := get(t, h, "/?format="+format) // looks for the other secrets
			wantAll(t, format, answer, "unauthorized")
			for _, secret := range []string{"d3Jvbmct", "4102444800"} {
				if strings.Contains(answer, secret) {
					t.Errorf("%s shows %q:\n%s", format, secret, answer)
				}
			}
		}
		for _, p := range []*eventhubs.BufferedProducer{byKey, bySignature} {
			if err := p.Abandon(t.Context()); !errors.Is(err, eventhubs.ErrAbandoned) {
				t.Error(err)
			}
		}
	})
}

// A handler that hangs is shown, too, and the request does not wait for it.
func TestAHangingHandlerIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p := newProducer(t, newServer(t, 1, emulator.Options{}), eventhubs.Options{OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { <-hold }})
		h := producerhttp.New(p, nil)
		stream(t, p, 1, 30*time.Second)
		began := time.Now()
		wantAll(t, "text", get(t, h, "/"), "orders: blocked for 19s", `a handler of partition "0" has not returned for 29s`, "for a handler")
		if took := time.Since(began); took != 0 {
			t.Errorf("the request took %v", took)
		}
		close(hold)
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The rates of an idle hour are zero, and those of a change are of its time.
func TestRatesCoverTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducer(t, newServer(t, 1, emulator.Options{}), eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		h := producerhttp.New(p, nil)
		look := func(what string, want ...map[string]float64) {
			t.Helper()
			got := read(t, h, "/?format=json").Producers[0].Rates
			if len(got) != len(want) {
				t.Fatalf("%s: the rates are %v, want %v", what, got, want)
			}
			for i, w := range want {
				for name, value := range w {
					if !about(got[i][name], value) {
						t.Errorf("%s: %s over %v s is %v, want %v", what, name, got[i]["seconds"], got[i][name], value)
					}
				}
			}
		}
		rates := func(seconds, stored float64) map[string]float64 {
			return map[string]float64{"seconds": seconds, "storedEvents": stored, "acceptedEvents": stored, "storedBatches": stored}
		}
		look("at first")
		stream(t, p, 1, 10*time.Second)
		look("after 10 s", rates(10, 1))
		stream(t, p, 1, 50*time.Second)
		look("after 1 min", rates(60, 1))
		stream(t, p, 1, 4*time.Minute)
		look("after 5 min", rates(60, 1), rates(300, 1))
		time.Sleep(2 * time.Minute)
		look("after a pause", rates(60, 0), rates(300, 0.6), rates(420, 300./420))
		for range 100 { // just after a moment: they count for it, not for the hour that follows
			if err := p.Enqueue(t.Context(), &eventhubs.Event{PartitionID: "0"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		look("after an hour", rates(60, 0), rates(300, 0), rates(900, 0))
		stream(t, p, 1, 30*time.Second)
		look("after the hour", rates(60, 0.5), rates(300, 0.1), rates(900, 1./30))
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Everything may happen at once.
func TestTheHandlerTakesConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducer(t, newServer(t, 4, emulator.Options{}), eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		h := producerhttp.New(p, nil)
		ended := make(chan struct{})
		for i := range 4 {
			go func() { // ends after 50 looks
				for n := range 50 {
					_ = get(t, h, "/?format="+[]string{"text", "json", "html"}[n%3])
					name := fmt.Sprint("other-", i)
					if err := h.Add(name, p); err != nil {
						t.Error(err)
					}
					h.Remove(name)
					time.Sleep(100 * time.Millisecond)
				}
				ended <- struct{}{}
			}()
		}
		stream(t, p, 4, 5*time.Second)
		for range 4 {
			<-ended
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
