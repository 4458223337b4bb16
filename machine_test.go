package eventhubs

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// logged returns a value's form in a log, as JSON and as text.
func logged(value any) (asJSON, asText string) {
	noTime := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "v" {
			return slog.Attr{}
		}
		return a
	}}
	var j, text bytes.Buffer
	slog.New(slog.NewJSONHandler(&j, noTime)).Info("", "v", value)
	slog.New(slog.NewTextHandler(&text, noTime)).Info("", "v", value)
	return strings.TrimSpace(j.String()), strings.TrimSpace(text.String())
}

var machineTime = time.Date(2030, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

// throttledError is an Error of a lower layer. It says more than a log needs.
func throttledError() *Error {
	below := &connection.Error{Code: connection.CodeThrottled, Condition: "com.microsoft:server-busy", Description: "please wait", TrackingID: "t-1", Transient: true, Wait: 4 * time.Second, Err: errors.New("please wait")}
	e := failure(below, "3", 2).(*Error)
	e.Since = machineTime
	return e
}

func namedProducer(t *testing.T) *BufferedProducer {
	t.Helper()
	p, err := NewBufferedProducerFromConnectionString("Endpoint=sb://Name.servicebus.windows.net;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0", "orders", &Options{Identifier: "shop-1"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResultsSayToMachinesWhatTheySayToPeople(t *testing.T) {
	text := throttledError().Error()
	if !strings.HasPrefix(text, "eventhubs: partition 3: com.microsoft:server-busy: please wait") || !strings.HasSuffix(text, "(2 tries)") {
		t.Errorf("the text is %q", text)
	}
	failed := Outcome{Storage: PossiblyStored, PartitionID: "3", Tries: 2, Queued: 250 * time.Millisecond, OnWire: 2 * time.Second, Err: throttledError()}
	partition := PartitionStats{ID: "3", BufferedEvents: 2, BufferedBytes: 10, BatchesInFlight: 1, OldestEventAge: time.Second, Waiting: WaitingThrottled, RunningAge: 0,
		State: HealthThrottled, Since: machineTime, Err: throttledError(), LastErr: throttledError(), LastFailure: machineTime, FailingSince: machineTime, LastNumber: -1, MaxMessageSize: 100}
	for name, c := range map[string]struct {
		value                   any
		asJSON, inJSON, asValue string // encoding/json; slog's JSON, if it differs; slog's text
	}{
		"Outcome, stored": {value: Outcome{Storage: Stored, PartitionID: "0", Tries: 1, Queued: time.Millisecond, OnWire: 20 * time.Millisecond},
			asJSON:  `{"storage":"stored","partition":"0","tries":1,"queuedSeconds":0.001,"onWireSeconds":0.02}`,
			asValue: `v.storage=stored v.partition=0 v.tries=1 v.queuedSeconds=0.001 v.onWireSeconds=0.02`},
		"Outcome, failed": {value: failed,
			asJSON:  `{"storage":"possibly stored","partition":"3","tries":2,"queuedSeconds":0.25,"onWireSeconds":2,"error":"` + text + `","code":"throttled"}`,
			asValue: `v.storage="possibly stored" v.partition=3 v.tries=2 v.queuedSeconds=0.25 v.onWireSeconds=2 v.error="` + text + `" v.code=throttled`},
		"Outcome, pending": {value: new(Delivery).Outcome(),
			asJSON:  `{"storage":"pending","tries":0,"queuedSeconds":0,"onWireSeconds":0,"error":"no outcome yet","code":"pending"}`,
			asValue: `v.storage=pending v.tries=0 v.queuedSeconds=0 v.onWireSeconds=0 v.error="no outcome yet" v.code=pending`},
		"Batch": {value: &Batch{PartitionID: "3", Count: 2, Bytes: 10, Outcome: Outcome{Storage: Stored, PartitionID: "3", Tries: 1}},
			asJSON:  `{"partition":"3","events":2,"bytes":10,"outcome":{"storage":"stored","partition":"3","tries":1,"queuedSeconds":0,"onWireSeconds":0}}`,
			asValue: `v.partition=3 v.events=2 v.bytes=10 v.outcome.storage=stored v.outcome.partition=3 v.outcome.tries=1 v.outcome.queuedSeconds=0 v.outcome.onWireSeconds=0`},
		"Batch, recovered": {value: &Batch{PartitionID: "3", Count: 2, Bytes: 10, Recovered: true, Outcome: Outcome{Storage: Stored, PartitionID: "3", Tries: 1}},
			asJSON:  `{"partition":"3","events":2,"bytes":10,"recovered":true,"outcome":{"storage":"stored","partition":"3","tries":1,"queuedSeconds":0,"onWireSeconds":0}}`,
			asValue: `v.partition=3 v.events=2 v.bytes=10 v.recovered=true v.outcome.storage=stored v.outcome.partition=3 v.outcome.tries=1 v.outcome.queuedSeconds=0 v.outcome.onWireSeconds=0`},
		"JournalState": {value: &JournalState{Events: 1, Recovered: 2, Oldest: machineTime, Bytes: 3, MaxBytes: 4, DiskFree: 5, Checkpoint: []byte("secret"), LastSync: machineTime, SlowestSync: time.Millisecond},
			asJSON:  `{"events":1,"recovered":2,"oldest":"2030-01-02T03:04:05.6Z","bytes":3,"maxBytes":4,"diskFree":5,"lastSync":"2030-01-02T03:04:05.6Z","slowestSyncSeconds":0.001}`,
			asValue: `v.events=1 v.recovered=2 v.oldest=2030-01-02T03:04:05.600Z v.bytes=3 v.maxBytes=4 v.diskFree=5 v.lastSync=2030-01-02T03:04:05.600Z v.slowestSyncSeconds=0.001`},
		"JournalState, failed": {value: JournalState{Err: fmt.Errorf("eventhubs: %w: the disk is bad", ErrJournal)},
			asJSON:  `{"events":0,"recovered":0,"bytes":0,"maxBytes":0,"slowestSyncSeconds":0,"error":"eventhubs: the journal has failed: the disk is bad","code":"journal"}`,
			asValue: `v.events=0 v.recovered=0 v.bytes=0 v.maxBytes=0 v.slowestSyncSeconds=0 v.error="eventhubs: the journal has failed: the disk is bad" v.code=journal`},
		"UndeliveredError, kept": {value: &UndeliveredError{NotStored: 1, Kept: 3, Err: ErrExpired}, asJSON: `{"error":"eventhubs: 1 event not stored, 3 events kept in the journal; the first failure: the event has expired","code":"expired","notStored":1,"possiblyStored":0,"pending":0,"kept":3}`,
			inJSON: `"eventhubs: 1 event not stored, 3 events kept in the journal; the first failure: the event has expired"`, asValue: `v="eventhubs: 1 event not stored, 3 events kept in the journal; the first failure: the event has expired"`},
		"Delivery": {value: new(Delivery),
			asJSON:  `{"storage":"pending","tries":0,"queuedSeconds":0,"onWireSeconds":0,"error":"no outcome yet","code":"pending"}`,
			asValue: `v.storage=pending v.tries=0 v.queuedSeconds=0 v.onWireSeconds=0 v.error="no outcome yet" v.code=pending`},
		"BufferedProducer": {value: namedProducer(t),
			asJSON:  `{"fullyQualifiedNamespace":"name.servicebus.windows.net","eventHub":"orders","identifier":"shop-1"}`,
			asValue: `v.fullyQualifiedNamespace=name.servicebus.windows.net v.eventHub=orders v.identifier=shop-1`},
		"Health": {value: Health{State: HealthThrottled, Since: machineTime, Err: throttledError(), Partitions: []string{"3"}, Full: []string{""}, LastFailure: machineTime, LastErr: throttledError()},
			asJSON: `{"state":"throttled","since":"2030-01-02T03:04:05.6Z","error":"` + text + `","code":"throttled","partitions":["3"],"full":[""],"lastFailure":"2030-01-02T03:04:05.6Z",` +
				`"lastError":"` + text + `","lastCode":"throttled"}`,
			asValue: `v.state=throttled v.since=2030-01-02T03:04:05.600Z v.error="` + text + `" v.code=throttled v.partitions=[3] v.full=[] v.lastFailure=2030-01-02T03:04:05.600Z v.lastError="` + text + `" v.lastCode=throttled`},
		"HealthChange": {value: HealthChange{At: machineTime, State: HealthThrottled, Message: "eventhubs: busy", Err: throttledError(), Partitions: []string{"3"}, Omitted: 2},
			asJSON:  `{"at":"2030-01-02T03:04:05.6Z","state":"throttled","message":"eventhubs: busy","error":"` + text + `","code":"throttled","partitions":["3"],"omitted":2}`,
			asValue: `v.at=2030-01-02T03:04:05.600Z v.state=throttled v.message="eventhubs: busy" v.error="` + text + `" v.code=throttled v.partitions=[3] v.omitted=2`},
		"Health, connecting": {value: Health{}, asJSON: `{"state":"connecting"}`, asValue: `v.state=connecting`},
		"PartitionStats": {value: partition,
			asJSON: `{"id":"3","bufferedEvents":2,"bufferedBytes":10,"batchesInFlight":1,"oldestEventAgeSeconds":1,"waiting":"throttled","runningAgeSeconds":0,"state":"throttled","since":"2030-01-02T03:04:05.6Z",` +
				`"error":"` + text + `","code":"throttled","lastError":"` + text + `","lastCode":"throttled","lastFailure":"2030-01-02T03:04:05.6Z","failingSince":"2030-01-02T03:04:05.6Z","lastNumber":-1,"maxMessageSize":100}`,
			asValue: `v.id=3 v.bufferedEvents=2 v.bufferedBytes=10 v.batchesInFlight=1 v.oldestEventAgeSeconds=1 v.waiting=throttled v.runningAgeSeconds=0 v.state=throttled v.since=2030-01-02T03:04:05.600Z v.error="` + text + `" v.code=throttled v.lastError="` + text +
				`" v.lastCode=throttled v.lastFailure=2030-01-02T03:04:05.600Z v.failingSince=2030-01-02T03:04:05.600Z v.lastNumber=-1 v.maxMessageSize=100`},
		"Error":                               {value: throttledError(), asJSON: `{"error":"` + text + `","code":"throttled","condition":"com.microsoft:server-busy","partition":"3","tries":2,"trackingId":"t-1","transient":true,"since":"2030-01-02T03:04:05.6Z"}`, inJSON: `"` + text + `"`, asValue: `v="` + text + `"`},
		"an Error, alone":                     {value: &Error{Err: errors.New("x")}, asJSON: `{"error":"eventhubs: x","tries":0,"transient":false}`, inJSON: `"eventhubs: x"`, asValue: `v="eventhubs: x"`},
		"an Error of a test, without a cause": {value: &Error{Code: CodeThrottled}, asJSON: `{"error":"eventhubs: throttled","code":"throttled","tries":0,"transient":false}`, inJSON: `"eventhubs: throttled"`, asValue: `v="eventhubs: throttled"`},
		"the zero Error": {value: new(Error), asJSON: `{"error":"eventhubs: a failure without a cause","tries":0,"transient":false}`, inJSON: `"eventhubs: a failure without a cause"`,
			asValue: `v="eventhubs: a failure without a cause"`},
		"a wrapped Error": {value: fmt.Errorf("y: %w", &Error{Err: errors.New("x")}), asJSON: `{}`, inJSON: `"y: eventhubs: x"`, asValue: `v="y: eventhubs: x"`},
		"EventTooLargeError": {value: &EventTooLargeError{Size: 2, Limit: 1}, asJSON: `{"error":"eventhubs: the event is too large: it takes 2 bytes encoded, the limit is 1","code":"too-large","size":2,"limit":1}`,
			inJSON: `"eventhubs: the event is too large: it takes 2 bytes encoded, the limit is 1"`, asValue: `v="eventhubs: the event is too large: it takes 2 bytes encoded, the limit is 1"`},
		"UndeliveredError": {value: &UndeliveredError{NotStored: 1, Pending: 2, Err: ErrClosed}, asJSON: `{"error":"eventhubs: 1 event not stored, 2 events still pending: the producer is closed","code":"closed","notStored":1,"possiblyStored":0,"pending":2,"kept":0}`,
			inJSON: `"eventhubs: 1 event not stored, 2 events still pending: the producer is closed"`, asValue: `v="eventhubs: 1 event not stored, 2 events still pending: the producer is closed"`},
	} {
		b, err := json.Marshal(c.value)
		if string(b) != c.asJSON || err != nil {
			t.Errorf("%s: encoding/json makes\n%s, %v, want\n%s", name, b, err, c.asJSON)
		}
		asJSON, asText := logged(c.value)
		if c.inJSON == "" {
			c.inJSON = c.asJSON
		}
		if want := `{"v":` + c.inJSON + `}`; asJSON != want {
			t.Errorf("%s: a JSONHandler makes\n%s, want\n%s", name, asJSON, want)
		}
		if asText != c.asValue {
			t.Errorf("%s: a TextHandler makes\n%s, want\n%s", name, asText, c.asValue)
		}
	}
}

// Stats have many fields. The log shows each of them once, by its own name.
func TestStatsTellMachinesEveryNumber(t *testing.T) {
	s := Stats{BufferedEvents: 1, BufferedBytes: 2, OldestEventAge: 3 * time.Second, WaitingCallers: 4, MaxBufferedEvents: 5, MaxBufferedBytes: 6, StoredEvents: 7, StoredBytes: 8, NotStoredEvents: 9,
		PossiblyStoredEvents: 10, StoredBatches: 11, FailedBatches: 12, Retries: 13, AmbiguousTries: 14, ThrottledTries: 15, ThrottledTotal: 16 * time.Second, UnheardFailures: 17, HandlerPanics: 18,
		QueuedTotal: 19 * time.Second, OnWireTotal: 20 * time.Second, Fill: 0.21}
	numbers := `"bufferedEvents":1,"bufferedBytes":2,"oldestEventAgeSeconds":3,"waitingCallers":4,"maxBufferedEvents":5,"maxBufferedBytes":6,"storedEvents":7,"storedBytes":8,"notStoredEvents":9,` +
		`"possiblyStoredEvents":10,"storedBatches":11,"failedBatches":12,"retries":13,"ambiguousTries":14,"throttledTries":15,"throttledTotalSeconds":16,"unheardFailures":17,"handlerPanics":18,` +
		`"queuedTotalSeconds":19,"onWireTotalSeconds":20,"fill":0.21`
	if b, err := json.Marshal(s); string(b) != `{`+numbers+`,"partitions":[]}` || err != nil {
		t.Errorf("encoding/json makes %s, %v", b, err)
	}
	s.Partitions = []PartitionStats{{ID: "0"}}
	b, err := json.Marshal(&s)
	if want := `{` + numbers + `,"partitions":[{"id":"0","bufferedEvents":0,`; !strings.HasPrefix(string(b), want) || err != nil {
		t.Errorf("encoding/json makes %s, %v, want %s…", b, err, want)
	}
	asJSON, asText := logged(s)
	if want := `{"v":{` + numbers + `}}`; asJSON != want {
		t.Errorf("a JSONHandler makes %s, want %s", asJSON, want)
	}
	if !strings.HasPrefix(asText, "v.bufferedEvents=1 v.bufferedBytes=2 v.oldestEventAgeSeconds=3 ") || !strings.HasSuffix(asText, " v.fill=0.21") {
		t.Errorf("a TextHandler makes %s", asText)
	}
	s.Journal = &JournalState{Events: 1}
	journal := `"journal":{"events":1,"recovered":0,"bytes":0,"maxBytes":0,"slowestSyncSeconds":0}`
	if b, err := json.Marshal(s); !strings.HasPrefix(string(b), `{`+numbers+`,`+journal+`,"partitions":[{`) || err != nil {
		t.Errorf("encoding/json makes %s, %v, want the journal in it", b, err)
	}
	if asJSON, _ := logged(s); asJSON != `{"v":{`+numbers+`,`+journal+`}}` {
		t.Errorf("a JSONHandler makes %s, want the journal in it", asJSON)
	}
}

func TestEnumerationsAreReadBack(t *testing.T) {
	type all struct {
		Storage      Storage
		State        HealthState
		Waiting      Waiting
		Partitioning Partitioning
		Mode         RetryMode
		Of           map[Storage]int
	}
	want := all{PossiblyStored, HealthUnreachable, WaitingForHandler, ServiceAssigned, RetryFixed, map[Storage]int{Stored: 1}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got all
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("of %s comes %+v, %v, want %+v", b, got, err, want)
	}
	var s Storage
	if err := s.UnmarshalText([]byte("lost")); !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), `"lost" is not a Storage: it must be one of pending, stored`) {
		t.Errorf("a word that is none: %v", err)
	}
}

func TestEnumerationsSayTheirWords(t *testing.T) {
	type enumeration interface {
		fmt.Stringer
		encoding.TextMarshaler
	}
	for want, values := range map[string][]enumeration{
		"pending, stored, not stored, possibly stored, Storage(4), Storage(-1)":                                                                                    {Pending, Stored, NotStored, PossiblyStored, PossiblyStored + 1, Storage(-1)},
		"connecting, ready, blocked, throttled, silent, failing, refused, unauthorized, unreachable, HealthState(9)":                                               {HealthConnecting, HealthReady, HealthBlocked, HealthThrottled, HealthSilent, HealthFailing, HealthRefused, HealthUnauthorized, HealthUnreachable, HealthUnreachable + 1},
		"not waiting, for events, for the link, for the service, throttled, to retry, for the list of partitions, stopped, for credit, for a handler, Waiting(10)": {WaitingForNothing, WaitingForEvents, WaitingForLink, WaitingForService, WaitingThrottled, WaitingToRetry, WaitingForList, WaitingStopped, WaitingForCredit, WaitingForHandler, WaitingForHandler + 1},
		"round robin, sticky, service assigned, Partitioning(3)":                                                                                                   {RoundRobin, Sticky, ServiceAssigned, ServiceAssigned + 1},
		"exponential, fixed, RetryMode(2)": {RetryExponential, RetryFixed, RetryFixed + 1},
	} {
		var words, texts, logs []string
		for _, v := range values {
			words = append(words, v.String())
			b, err := v.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(b))
			asJSON, _ := logged(v)
			var in struct{ V string }
			if err := json.Unmarshal([]byte(asJSON), &in); err != nil {
				t.Errorf("a JSONHandler makes %s of %v: %v", asJSON, v, err)
			}
			logs = append(logs, in.V)
		}
		for how, got := range map[string][]string{"String": words, "MarshalText": texts, "a JSONHandler": logs} {
			if text := strings.Join(got, ", "); text != want {
				t.Errorf("%s: %s, want %s", how, text, want)
			}
		}
	}
}
