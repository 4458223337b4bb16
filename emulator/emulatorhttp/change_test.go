package emulatorhttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
)

// call requests a path as a program does, and checks the status. A body is sent as JSON.
func (p page) call(t *testing.T, method, path, body string, status int) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	if body != "" {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code != status {
		t.Fatalf("%s %s %.200s: status %d, want %d: %s", method, path, body, w.Code, status, w.Body)
	}
	return w
}

// A problem is the answer to a request that fails.
type problem struct{ Error, Field, Value string }

func TestFaultsAreSetListedAndCleared(t *testing.T) {
	p := newPage(t, nil, nil)
	rule := `{"rule": "throttle hub=events partition=0 share=10% seed=7 for=1h count=3"}`
	set := decode[emulatorhttp.Rule](t, p.call(t, http.MethodPost, "/api/faults", rule, http.StatusCreated))
	if set.ID != 1 || set.Rule != "throttle hub=events partition=0 share=10% seed=7 for=1h count=3" || set.Remaining == nil || *set.Remaining != 3 ||
		set.Ends == nil || set.Ends.Sub(set.Begins).Hours() != 1 || set.Over || set.Hits != 0 {
		t.Errorf("the fault is %+v", set)
	}
	second := decode[emulatorhttp.Rule](t, p.call(t, http.MethodPost, "/api/faults", `{"rule": "cut-before"}`, http.StatusCreated))
	if second.ID != 2 || second.Remaining != nil || second.Ends != nil {
		t.Errorf("the second fault is %+v, want no count and no end", second)
	}
	if n := len(p.server.Faults()); n != 2 {
		t.Fatalf("the server has %d faults, want 2", n)
	}
	type list struct{ Faults []emulatorhttp.Rule }
	if got := decode[list](t, p.get(t, "/api/faults", http.StatusOK)); len(got.Faults) != 2 || got.Faults[1].ID != 2 {
		t.Errorf("the list is %+v", got)
	}
	if got := decode[emulatorhttp.Snapshot](t, p.get(t, "/api/snapshot", http.StatusOK)); len(got.Rules) != 2 || got.Rules[1].Rule != "cut-before" {
		t.Errorf("the snapshot has %+v", got.Rules)
	}
	p.call(t, http.MethodDelete, "/api/faults/1", "", http.StatusOK)
	p.call(t, http.MethodDelete, "/api/faults/1", "", http.StatusNotFound)
	p.call(t, http.MethodDelete, "/api/faults/x", "", http.StatusBadRequest)
	if faults := p.server.Faults(); len(faults) != 1 || faults[0].ID != 2 {
		t.Errorf("left are %v, want fault 2", faults)
	}
	if got := p.call(t, http.MethodDelete, "/api/faults", "", http.StatusOK).Body.String(); got != "{\"removed\":1}\n" || len(p.server.Faults()) != 0 {
		t.Errorf("clearing all says %s and leaves %v", got, p.server.Faults())
	}
	if got := p.get(t, "/api/faults", http.StatusOK).Body.String(); got != "{\"faults\":[]}\n" {
		t.Errorf("the empty list is %s", got)
	}
}

func TestErrorsOfChangesNameTheField(t *testing.T) {
	p := newPage(t, nil, &emulatorhttp.Options{Hidden: []string{"secret"}})
	if err := p.server.AddHub(emulator.Hub{Name: "secret"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		want               problem // its Error is a part of the text
	}{
		{"POST", "/api/faults", `{"rule": "throttle share=0.1"}`, 400, problem{`fault rule: share is "0.1": want a percentage`, "share", "0.1"}},
		{"POST", "/api/faults", `{"rule": "throttle hub=x"}`, 400, problem{"there is no such hub: create it first", "hub", "x"}},
		{"POST", "/api/faults", `{"rule": "nothing"}`, 400, problem{"a rule begins with its fault, one of throttle", "fault", "nothing"}},
		{"POST", "/api/faults", `{}`, 400, problem{"a rule begins with its fault", "fault", ""}},
		{"POST", "/api/faults", `{"rule": 7}`, 400, problem{"rule is 7: want a string", "rule", "7"}},
		{"POST", "/api/faults", `{"rules": ["throttle"]}`, 400, problem{"there is no field rules: send rule", "rules", ""}},
		{"POST", "/api/faults", `[1]`, 400, problem{"the body is no JSON object: send one with the fields rule", "", ""}},
		{"POST", "/api/faults", `null`, 400, problem{"the body is no JSON object", "", ""}},
		{"POST", "/api/faults", `{"rule": "` + strings.Repeat("a", 70_000) + `"}`, 413, problem{"the body is too large: send at most 65536 bytes", "", ""}},
		{"DELETE", "/api/faults/x", "", 400, problem{`id is "x": want the number of a fault`, "id", ""}},
		{"DELETE", "/api/faults/7", "", 404, problem{"there is no fault 7", "id", ""}},
		{"POST", "/api/hubs", `{"name": "a b"}`, 400, problem{`Name is "a b"; ' ' is not allowed`, "name", ""}},
		{"POST", "/api/hubs", `{"name": "a", "partitions": -1}`, 400, problem{"Partitions is -1; it must be between 1 and 32768", "partitions", ""}},
		{"POST", "/api/hubs", `{"name": "a", "partitions": "4"}`, 400, problem{`partitions is "4": want a whole number`, "partitions", `"4"`}},
		{"POST", "/api/hubs", `{"name": "a", "consumerGroups": ["x/y"]}`, 400, problem{"a slash is reserved for addresses", "consumerGroups", ""}},
		{"POST", "/api/hubs", `{"name": "a", "consumerGroups": "x"}`, 400, problem{"want an array of strings", "consumerGroups", `"x"`}},
		{"POST", "/api/hubs", `{"name": "EVENTS"}`, 409, problem{`there is a hub "EVENTS" already`, "name", ""}},
		{"PATCH", "/api/hubs/events", `{"partitions": 3}`, 400, problem{"partitions is 3: hub events has 4, and their number can only grow", "partitions", ""}},
		{"PATCH", "/api/hubs/events", `{"partitions": 99999}`, 400, problem{"it must have between 1 and 32768", "partitions", ""}},
		{"PATCH", "/api/hubs/events", `{"disabled": "yes"}`, 400, problem{`disabled is "yes": want true or false`, "disabled", `"yes"`}},
		{"PATCH", "/api/hubs/events", `{"name": "x"}`, 400, problem{"there is no field name: send disabled, partitions", "name", ""}},
		{"PATCH", "/api/hubs/x", `{"disabled": true}`, 404, problem{`there is no hub "x"`, "name", ""}},
		{"DELETE", "/api/hubs/x", "", 404, problem{`there is no hub "x"`, "name", ""}},
		{"DELETE", "/api/hubs/secret", "", 404, problem{`there is no hub "secret"`, "name", ""}},
		{"GET", "/api/hubs/secret", "", 404, problem{`there is no hub "secret"`, "name", ""}},
	} {
		got := decode[problem](t, p.call(t, test.method, test.path, test.body, test.status))
		if !strings.Contains(got.Error, test.want.Error) || got.Field != test.want.Field || got.Value != test.want.Value || strings.Contains(got.Error, "emulator: ") {
			t.Errorf("%s %s %.60s: got %+v, want %+v", test.method, test.path, test.body, got, test.want)
		}
	}
	if n := len(p.server.Faults()); n != 0 {
		t.Errorf("%d faults are set after errors, want none", n)
	}
	if ids := p.server.PartitionIDs("events"); len(ids) != 4 || p.server.PartitionIDs("secret") == nil {
		t.Errorf("a request that failed has changed the hubs: %v", ids)
	}
}

// No page of another site or of another port of this machine changes anything, even if it can make
// the browser send a request.
func TestForeignPagesChangeNothing(t *testing.T) {
	p := newPage(t, nil, nil)
	for _, test := range []struct {
		name    string
		headers map[string]string
		status  int
	}{
		{"a program", nil, 201},
		{"the page itself", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, 201},
		{"the page in a browser without Sec-Fetch-Site", map[string]string{"Origin": "http://127.0.0.1:8080"}, 201},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"another site in a browser without Sec-Fetch-Site", map[string]string{"Origin": "https://evil.example"}, 403},
		{"another port of this machine", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, 403},
		{"another port, without Sec-Fetch-Site", map[string]string{"Origin": "http://127.0.0.1:3000"}, 403},
		{"a sandbox or a file", map[string]string{"Origin": "null"}, 403},
		{"a form", map[string]string{"Content-Type": "text/plain"}, 415},
		{"another form", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
		{"no type", map[string]string{"Content-Type": ""}, 415},
		{"a name that was made to point here", map[string]string{"Host": "evil.example"}, 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/faults", strings.NewReader(`{"rule": "throttle"}`))
		r.Host = "127.0.0.1:8080"
		r.Header.Set("Content-Type", "application/json")
		for name, value := range test.headers {
			if name == "Host" {
				r.Host = value
			}
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if set := p.server.RemoveFaults(); w.Code != test.status || (set == 1) != (test.status == 201) {
			t.Errorf("%s: status %d and %d faults, want %d: %s", test.name, w.Code, set, test.status, w.Body)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: the answer has %s", test.name, name)
			}
		}
	}
	for _, request := range []string{"POST /api/events", "DELETE /api/faults", "DELETE /api/faults/1", "POST /api/hubs", "PATCH /api/hubs/events", "DELETE /api/hubs/events"} {
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
		r.Host = "localhost"
		r.Header.Set("Origin", "http://localhost:3000")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s from another port: status %d, want 403", request, w.Code)
		}
	}
}

func TestAReadOnlyPageChangesNothing(t *testing.T) {
	p := newPage(t, nil, &emulatorhttp.Options{ReadOnly: true})
	for _, request := range []string{"POST /api/events", "POST /api/faults", "DELETE /api/faults", "DELETE /api/faults/1", "POST /api/hubs", "PATCH /api/hubs/events", "DELETE /api/hubs/events"} {
		method, path, _ := strings.Cut(request, " ")
		got := decode[problem](t, p.call(t, method, path, `{"rule": "throttle"}`, http.StatusForbidden))
		if !strings.Contains(got.Error, "Options.ReadOnly") {
			t.Errorf("%s: %q, want the option's name", request, got.Error)
		}
	}
	p.get(t, "/api/faults", http.StatusOK)
	p.get(t, "/api/hubs", http.StatusOK)
	if got := decode[emulatorhttp.Snapshot](t, p.get(t, "/api/snapshot", http.StatusOK)); !got.ReadOnly {
		t.Error("the snapshot does not say so, and the page would show a form")
	}
}

func TestHubsAreCreatedChangedAndDeleted(t *testing.T) {
	p := newPage(t, nil, &emulatorhttp.Options{Hidden: []string{"secret"}})
	if err := p.server.AddHub(emulator.Hub{Name: "secret"}); err != nil {
		t.Fatal(err)
	}
	p.seed(t, "0", emulator.Event{}, emulator.Event{})
	hub := func(method, path, body string, status int) string {
		got := decode[emulatorhttp.HubSummary](t, p.call(t, method, path, body, status))
		got.Created = got.Created.Truncate(0)
		text, err := json.Marshal(struct {
			N string
			D bool
			P int
			G []string
			E int
		}{got.Name, got.Disabled, got.Partitions, got.ConsumerGroups, got.Events})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/api/hubs/events", "", 200, `{"N":"events","D":false,"P":4,"G":["$Default"],"E":2}`},
		{"POST", "/api/hubs", `{"name": "a/b", "partitions": 2, "consumerGroups": ["g"]}`, 201, `{"N":"a/b","D":false,"P":2,"G":["$Default","g"],"E":0}`},
		{"POST", "/api/hubs", `{"name": "off", "disabled": true}`, 201, `{"N":"off","D":true,"P":4,"G":["$Default"],"E":0}`},
		{"PATCH", "/api/hubs/A/B", `{"partitions": 5, "disabled": true}`, 200, `{"N":"a/b","D":true,"P":5,"G":["$Default","g"],"E":0}`},
		{"PATCH", "/api/hubs/a/b", `{"disabled": false}`, 200, `{"N":"a/b","D":false,"P":5,"G":["$Default","g"],"E":0}`},
		{"PATCH", "/api/hubs/a/b", `{"partitions": 5}`, 200, `{"N":"a/b","D":false,"P":5,"G":["$Default","g"],"E":0}`},
		{"DELETE", "/api/hubs/events", "", 200, `{"N":"events","D":false,"P":4,"G":["$Default"],"E":2}`},
		{"POST", "/api/hubs", `{"name": "events"}`, 201, `{"N":"events","D":false,"P":4,"G":["$Default"],"E":0}`},
	} {
		if got := hub(step.method, step.path, step.body, step.status); got != step.want {
			t.Errorf("%s %s %s: got %s, want %s", step.method, step.path, step.body, got, step.want)
		}
	}
	type list struct{ Hubs []emulatorhttp.HubSummary }
	var names []string
	for _, h := range decode[list](t, p.get(t, "/api/hubs", http.StatusOK)).Hubs {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "a/b events off" {
		t.Errorf("the hubs are %q, want a/b events off", got)
	}
}

// A slowStore is a store whose updates wait.
type slowStore struct {
	emulator.Store
	updates chan struct{} // gets a token when an update begins, and before it ends
}

func (s *slowStore) Update(...emulator.Change) error {
	s.updates <- struct{}{}
	s.updates <- struct{}{}
	return nil
}

func (s *slowStore) Scan([]byte, func(key, value []byte) error) error { return nil }

func (s *slowStore) Log(string) emulator.LogState { return emulator.LogState{} }

// Several programs may ask for the same number of partitions at once: the hub gets that number.
func TestPartitionsAreAddedUpToTheNumberOnce(t *testing.T) {
	store := &slowStore{updates: make(chan struct{}, 1000)}
	p := newPage(t, &emulator.Options{Store: store}, nil)
	for len(store.updates) > 0 {
		<-store.updates
	}
	store.updates = make(chan struct{})
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() { // ends with its answer
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/api/hubs/events", strings.NewReader(`{"partitions": 8}`))
			r.Host = "127.0.0.1:8080"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			p.handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("status %d, want 200: %s", w.Code, w.Body)
			}
		})
	}
	<-store.updates // the first request adds partitions, and the others look at the hub
	for range 1000 {
		runtime.Gosched()
	}
	done := make(chan struct{})
	go func() { // ends with the requests
		requests.Wait()
		close(done)
	}()
	for waiting := true; waiting; {
		select {
		case <-store.updates:
		case <-done:
			waiting = false
		}
	}
	if n := len(p.server.PartitionIDs("events")); n != 8 {
		t.Errorf("the hub has %d partitions, want 8", n)
	}
}
