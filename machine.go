package eventhubs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The forms that programs read: the words of enumerations, and results as log attributes or JSON
// fields. Logs and JSON have the same names and values. Durations are in seconds.

// wordOf returns the word of an enumeration's value; values count from 0.
func wordOf[T ~int](kind string, value T, words []string) string {
	if value < 0 || int(value) >= len(words) {
		return kind + "(" + strconv.Itoa(int(value)) + ")"
	}
	return words[value]
}

// readWord sets an enumeration's value to the one with that word.
func readWord[T ~int](kind string, value *T, text []byte, words []string) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return invalid("%q is not a %s: it must be one of %s", text, kind, strings.Join(words, ", "))
	}
	*value = T(i)
	return nil
}

var (
	storageWords      = []string{"pending", "stored", "not stored", "possibly stored"}
	healthStateWords  = []string{"connecting", "ready", "blocked", "throttled", "silent", "failing", "refused", "unauthorized", "unreachable"}
	waitingWords      = []string{"not waiting", "for events", "for the link", "for the service", "throttled", "to retry", "for the list of partitions", "stopped", "for credit", "for a handler"}
	partitioningWords = []string{"round robin", "sticky", "service assigned"}
	retryModeWords    = []string{"exponential", "fixed"}
)

// String returns the storage in words, for example "possibly stored".
func (s Storage) String() string { return wordOf("Storage", s, storageWords) }

// MarshalText returns what String does.
func (s Storage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (s *Storage) UnmarshalText(text []byte) error { return readWord("Storage", s, text, storageWords) }

// String returns the state in one word, for example "throttled".
func (s HealthState) String() string { return wordOf("HealthState", s, healthStateWords) }

// MarshalText returns what String does.
func (s HealthState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (s *HealthState) UnmarshalText(text []byte) error {
	return readWord("HealthState", s, text, healthStateWords)
}

// String returns what the partition waits for, for example "for the link".
func (w Waiting) String() string { return wordOf("Waiting", w, waitingWords) }

// MarshalText returns what String does.
func (w Waiting) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (w *Waiting) UnmarshalText(text []byte) error { return readWord("Waiting", w, text, waitingWords) }

// String returns the partitioning in words, for example "round robin".
func (p Partitioning) String() string { return wordOf("Partitioning", p, partitioningWords) }

// MarshalText returns what String does.
func (p Partitioning) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (p *Partitioning) UnmarshalText(text []byte) error {
	return readWord("Partitioning", p, text, partitioningWords)
}

// String returns the mode in one word, for example "exponential".
func (m RetryMode) String() string { return wordOf("RetryMode", m, retryModeWords) }

// MarshalText returns what String does.
func (m RetryMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (m *RetryMode) UnmarshalText(text []byte) error {
	return readWord("RetryMode", m, text, retryModeWords)
}

// attributes are those of a result. text, time, texts and err leave out an empty value.
type attributes []slog.Attr

func (a *attributes) add(attr slog.Attr) { *a = append(*a, attr) }

func (a *attributes) text(name, text string) {
	if text != "" {
		a.add(slog.String(name, text))
	}
}

func (a *attributes) time(name string, t time.Time) {
	if !t.IsZero() {
		a.add(slog.Time(name, t))
	}
}

func (a *attributes) texts(name string, texts []string) {
	if len(texts) > 0 {
		a.add(slog.Any(name, texts))
	}
}

func (a *attributes) seconds(name string, d time.Duration) {
	a.add(slog.Float64(name+"Seconds", d.Seconds()))
}

// err adds an error's text, and its code.
func (a *attributes) err(name, code string, err error) {
	if err != nil {
		a.add(slog.String(name, err.Error()))
		a.text(code, string(CodeOf(err)))
	}
}

// value returns all attributes as one log value.
func (a attributes) value() slog.Value { return slog.GroupValue(a...) }

// json returns all attributes as a JSON object.
func (a attributes) json() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, attr := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(attr.Value.Any())
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(attr.Key)) // a name from this package
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o Outcome) attributes() (a attributes) {
	a.add(slog.String("storage", o.Storage.String()))
	a.text("partition", o.PartitionID)
	a.add(slog.Int("tries", o.Tries))
	a.seconds("queued", o.Queued)
	a.seconds("onWire", o.OnWire)
	a.err("error", "code", o.Err)
	return a
}

// LogValue returns the outcome as a group: its storage in words, its error as text and as a code.
func (o Outcome) LogValue() slog.Value { return o.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (o Outcome) MarshalJSON() ([]byte, error) { return o.attributes().json() }

// LogValue returns the batch as a group: its partition, its number of events and bytes, and its
// outcome.
func (b *Batch) LogValue() slog.Value { return b.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (b *Batch) MarshalJSON() ([]byte, error) { return b.attributes().json() }

func (b *Batch) attributes() (a attributes) {
	a.text("partition", b.PartitionID)
	a.add(slog.Int("events", b.Count))
	a.add(slog.Int("bytes", b.Bytes))
	if b.Recovered {
		a.add(slog.Bool("recovered", true))
	}
	a.add(slog.Any("outcome", b.Outcome))
	return a
}

// LogValue returns the LogValue of the outcome, which is pending at first.
func (d *Delivery) LogValue() slog.Value { return d.Outcome().LogValue() }

// MarshalJSON returns the same as LogValue, as an object.
func (d *Delivery) MarshalJSON() ([]byte, error) { return d.Outcome().MarshalJSON() }

// LogValue returns the producer's names as a group. Its present activity is in Stats and Health.
func (p *BufferedProducer) LogValue() slog.Value { return p.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (p *BufferedProducer) MarshalJSON() ([]byte, error) { return p.attributes().json() }

func (p *BufferedProducer) attributes() (a attributes) {
	a.add(slog.String("fullyQualifiedNamespace", p.FullyQualifiedNamespace()))
	a.add(slog.String("eventHub", p.EventHubName()))
	a.add(slog.String("identifier", p.Identifier()))
	return a
}

func (h Health) attributes() (a attributes) {
	a.add(slog.String("state", h.State.String()))
	a.time("since", h.Since)
	a.err("error", "code", h.Err)
	a.texts("partitions", h.Partitions)
	a.texts("full", h.Full)
	a.time("lastSuccess", h.LastSuccess)
	a.time("lastFailure", h.LastFailure)
	a.err("lastError", "lastCode", h.LastErr)
	a.time("tokenExpires", h.TokenExpires)
	return a
}

// LogValue returns the health as a group: its state in words, its errors as text and as codes.
// Unknown and empty values are left out.
func (h Health) LogValue() slog.Value { return h.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (h Health) MarshalJSON() ([]byte, error) { return h.attributes().json() }

func (c HealthChange) attributes() (a attributes) {
	a.time("at", c.At)
	a.add(slog.String("state", c.State.String()))
	a.text("message", c.Message)
	a.err("error", "code", c.Err)
	a.texts("partitions", c.Partitions)
	if c.Omitted > 0 {
		a.add(slog.Int("omitted", c.Omitted))
	}
	return a
}

// LogValue returns the change as a group: its state in words, its error as text and as a code.
// Empty values are left out.
func (c HealthChange) LogValue() slog.Value { return c.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (c HealthChange) MarshalJSON() ([]byte, error) { return c.attributes().json() }

func (s Stats) attributes() (a attributes) {
	a.add(slog.Int("bufferedEvents", s.BufferedEvents))
	a.add(slog.Int("bufferedBytes", s.BufferedBytes))
	a.seconds("oldestEventAge", s.OldestEventAge)
	a.add(slog.Int("waitingCallers", s.WaitingCallers))
	a.add(slog.Int("maxBufferedEvents", s.MaxBufferedEvents))
	a.add(slog.Int("maxBufferedBytes", s.MaxBufferedBytes))
	a.add(slog.Uint64("storedEvents", s.StoredEvents))
	a.add(slog.Uint64("storedBytes", s.StoredBytes))
	a.add(slog.Uint64("notStoredEvents", s.NotStoredEvents))
	a.add(slog.Uint64("possiblyStoredEvents", s.PossiblyStoredEvents))
	a.add(slog.Uint64("storedBatches", s.StoredBatches))
	a.add(slog.Uint64("failedBatches", s.FailedBatches))
	a.add(slog.Uint64("retries", s.Retries))
	a.add(slog.Uint64("ambiguousTries", s.AmbiguousTries))
	a.add(slog.Uint64("throttledTries", s.ThrottledTries))
	a.seconds("throttledTotal", s.ThrottledTotal)
	a.add(slog.Uint64("unheardFailures", s.UnheardFailures))
	a.add(slog.Uint64("handlerPanics", s.HandlerPanics))
	a.seconds("queuedTotal", s.QueuedTotal)
	a.seconds("onWireTotal", s.OnWireTotal)
	a.add(slog.Float64("fill", s.Fill))
	if s.Journal != nil {
		a.add(slog.Any("journal", s.Journal))
	}
	return a
}

// LogValue returns the numbers as a group, with the journal's, and without the partitions: each
// [PartitionStats] has its own LogValue.
func (s Stats) LogValue() slog.Value { return s.attributes().value() }

// MarshalJSON returns the same as LogValue as an object, and the partitions.
func (s Stats) MarshalJSON() ([]byte, error) {
	partitions := s.Partitions
	if partitions == nil {
		partitions = []PartitionStats{}
	}
	return append(s.attributes(), slog.Any("partitions", partitions)).json()
}

func (s JournalState) attributes() (a attributes) {
	a.add(slog.Int("events", s.Events))
	a.add(slog.Int("recovered", s.Recovered))
	a.time("oldest", s.Oldest)
	a.add(slog.Int64("bytes", s.Bytes))
	a.add(slog.Int64("maxBytes", s.MaxBytes))
	if s.DiskFree > 0 {
		a.add(slog.Int64("diskFree", s.DiskFree))
	}
	a.time("lastSync", s.LastSync)
	a.seconds("slowestSync", s.SlowestSync)
	a.err("error", "code", s.Err)
	return a
}

// LogValue returns the numbers as a group, the error as text and as a code. Unknown values are left
// out, and so is the checkpoint, whose bytes are the program's own.
func (s JournalState) LogValue() slog.Value { return s.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (s JournalState) MarshalJSON() ([]byte, error) { return s.attributes().json() }

func (s PartitionStats) attributes() (a attributes) {
	a.add(slog.String("id", s.ID))
	a.add(slog.Int("bufferedEvents", s.BufferedEvents))
	a.add(slog.Int("bufferedBytes", s.BufferedBytes))
	a.add(slog.Int("batchesInFlight", s.BatchesInFlight))
	a.seconds("oldestEventAge", s.OldestEventAge)
	a.add(slog.String("waiting", s.Waiting.String()))
	a.seconds("runningAge", s.RunningAge)
	a.add(slog.String("state", s.State.String()))
	a.time("since", s.Since)
	a.err("error", "code", s.Err)
	a.err("lastError", "lastCode", s.LastErr)
	a.time("lastFailure", s.LastFailure)
	a.time("failingSince", s.FailingSince)
	a.add(slog.Int64("lastNumber", s.LastNumber))
	a.add(slog.Int("maxMessageSize", s.MaxMessageSize))
	return a
}

// LogValue returns the numbers as a group, the error as text and as a code.
func (s PartitionStats) LogValue() slog.Value { return s.attributes().value() }

// MarshalJSON returns the same as LogValue, as an object.
func (s PartitionStats) MarshalJSON() ([]byte, error) { return s.attributes().json() }

// LogValue returns the error's text. An error that wraps this one is logged as text too, so the
// attribute always has one type. [CodeOf] returns its code.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalJSON returns an object with the text, the code and the other fields.
func (e *Error) MarshalJSON() ([]byte, error) {
	var a attributes
	a.err("error", "code", e)
	a.text("condition", e.Condition)
	a.text("partition", e.PartitionID)
	a.add(slog.Int("tries", e.Tries))
	a.text("trackingId", e.TrackingID)
	a.add(slog.Bool("transient", e.Transient))
	a.time("since", e.Since)
	return a.json()
}

// LogValue returns the error's text.
func (e *EventTooLargeError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalJSON returns an object with the text, the code and the sizes.
func (e *EventTooLargeError) MarshalJSON() ([]byte, error) {
	var a attributes
	a.err("error", "code", e)
	a.add(slog.Int("size", e.Size))
	a.add(slog.Int("limit", e.Limit))
	return a.json()
}

// LogValue returns the error's text.
func (e *UndeliveredError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalJSON returns an object with the text, the code of the first failure and the counts.
func (e *UndeliveredError) MarshalJSON() ([]byte, error) {
	var a attributes
	a.err("error", "code", e)
	a.add(slog.Int("notStored", e.NotStored))
	a.add(slog.Int("possiblyStored", e.PossiblyStored))
	a.add(slog.Int("pending", e.Pending))
	a.add(slog.Int("kept", e.Kept))
	return a.json()
}
