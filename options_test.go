package eventhubs

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnEndlessRefreshInterval(t *testing.T) {
	for _, interval := range []time.Duration{math.MaxInt64, math.MaxInt64 / 3 * 2, 200 * 365 * 24 * time.Hour} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%v: panic: %v", interval, r)
				}
			}()
			d := &directory{parts: &parts{options: &Options{PartitionRefreshInterval: interval}}}
			for range 1000 {
				if got := d.refreshInterval(); got <= 0 || time.Now().Add(got).UnixNano() < 0 {
					t.Errorf("%v: the interval is %v, due at %d", interval, got, time.Now().Add(got).UnixNano())
					return
				}
			}
		}()
	}
}

func TestOptionsMayBeChangedAfterTheConstructor(t *testing.T) {
	o := &Options{Identifier: "before", Retry: RetryOptions{MaxRetries: 3}}
	p, err := NewBufferedProducerFromConnectionString(emulatorString, "hub", o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	o.Identifier, o.Retry.MaxRetries = "after", 9
	if p.Identifier() != "before" || p.options.Retry.MaxRetries != 3 {
		t.Errorf("the producer has %q and %d retries, want the constructor's values", p.Identifier(), p.options.Retry.MaxRetries)
	}
}

// The defaults are those of the manual. A zero field has its default, whatever the other fields
// are.
func TestZeroMeansTheDefault(t *testing.T) {
	want := Options{
		MaxWaitTime: 250 * time.Millisecond, MaxBufferedEvents: 2500, MaxBufferedBytes: 64 << 20, MaxConcurrentSendsPerPartition: 1,
		DeliveryTimeout: 15 * time.Minute, PartitionRefreshInterval: 10 * time.Minute,
		Retry: RetryOptions{MaxRetries: 15, RetryDelay: 800 * time.Millisecond, MaxRetryDelay: time.Minute, TryTimeout: time.Minute},
	}
	for name, o := range map[string]*Options{"nil": nil, "zero": {}, "one field": {Retry: RetryOptions{MaxRetryDelay: time.Minute}}} {
		got, err := o.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if got.Identifier == "" {
			t.Errorf("%s: there is no identifier", name)
		}
		got.Identifier = ""
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// docs/options.md has every field, with the code's default.
func TestTheTableOfOptionsIsTheStructs(t *testing.T) {
	text, err := os.ReadFile("docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := (*Options)(nil).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	for _, want := range []any{defaults, defaults.Retry, *new(JournalOptions).withDefaults(), ConnectionOptions{}, Event{}} {
		value := reflect.ValueOf(want)
		name := value.Type().Name()
		i := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, name+"\n") })
		if i < 0 {
			t.Errorf("there is no table of %s", name)
			continue
		}
		rows := map[string]string{}
		for line := range strings.Lines(sections[i]) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(cells[1], " `") {
				rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
			}
		}
		for field, v := range value.Fields() {
			if !field.IsExported() {
				continue
			}
			row, ok := rows[field.Name]
			delete(rows, field.Name)
			switch {
			case !ok:
				t.Errorf("%s.%s is not in its table", name, field.Name)
			case v.Kind() == reflect.Int || v.Kind() == reflect.Int64 || v.Kind() == reflect.Bool:
				if got := asWritten(field.Name, v.Interface()); got != row {
					t.Errorf("%s.%s is %s by default, its table says %s", name, field.Name, got, row)
				}
			}
		}
		for row := range rows {
			t.Errorf("the table of %s has %s, the struct has not", name, row)
		}
	}
}

// asWritten returns a default as a person writes it.
func asWritten(field string, value any) string {
	switch v := value.(type) {
	case Partitioning:
		return map[Partitioning]string{RoundRobin: "`RoundRobin`"}[v]
	case RetryMode:
		return map[RetryMode]string{RetryExponential: "`RetryExponential`"}[v]
	case JournalSync:
		return map[JournalSync]string{SyncEach: "`SyncEach`"}[v]
	case int64: // bytes of a disk
		return fmt.Sprintf("%d GiB", v>>30)
	case bool:
		return map[bool]string{false: "off", true: "on"}[v]
	case time.Duration:
		switch {
		case v%time.Minute == 0:
			return fmt.Sprintf("%d min", v/time.Minute)
		case v%time.Second == 0:
			return fmt.Sprintf("%d s", v/time.Second)
		}
		return fmt.Sprintf("%d ms", v.Milliseconds())
	case int:
		switch {
		case strings.HasSuffix(field, "Bytes") && v%(1<<20) == 0:
			return fmt.Sprintf("%d MiB", v>>20)
		case v >= 1000:
			return fmt.Sprintf("%d,%03d", v/1000, v%1000)
		}
	}
	return fmt.Sprint(value)
}
