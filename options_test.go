package eventhubs

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The defaults are those of the manual; a zero field has its default whatever the others say.
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

func TestABadOptionIsRefusedByName(t *testing.T) {
	for field, o := range map[string]Options{
		"MaxBufferedEvents":              {MaxBufferedEvents: -1},
		"MaxBufferedBytes":               {MaxBufferedBytes: -1},
		"MaxConcurrentSendsPerPartition": {MaxConcurrentSendsPerPartition: 101},
		"MaxRetries":                     {Retry: RetryOptions{MaxRetries: 1001}},
		"TryTimeout":                     {Retry: RetryOptions{TryTimeout: -time.Second}},
		"DeliveryTimeout":                {MaxWaitTime: time.Minute, DeliveryTimeout: time.Second},
		"StopPartitionOnFailure":         {StopPartitionOnFailure: true, Partitioning: ServiceAssigned},
		"Partitioning":                   {Partitioning: 3},
		"Mode":                           {Retry: RetryOptions{Mode: 2}},
		"Identifier":                     {Identifier: strings.Repeat("i", 129)},
	} {
		_, err := NewBufferedProducerFromConnectionString(emulatorString, "hub", &o)
		if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "Options."+field) && !strings.Contains(err.Error(), "Options.Retry."+field) {
			t.Errorf("%s: the constructor returned %v", field, err)
		}
	}
}

const (
	testKey        = "c2VjcmV0LXNlY3JldA=="
	emulatorString = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=name;SharedAccessKey=" + testKey + ";UseDevelopmentEmulator=true"
)

func TestTheHubIsNamedOnceOrAlike(t *testing.T) {
	tests := []struct {
		inString, argument string
		want               string // empty: refused
	}{
		{"", "hub", "hub"}, {"hub", "", "hub"}, {"hub", "hub", "hub"}, {"hub", "other", ""}, {"", "", ""}, {"", "a/b", ""},
	}
	for _, tt := range tests {
		text := emulatorString
		if tt.inString != "" {
			text += ";EntityPath=" + tt.inString
		}
		p, err := NewBufferedProducerFromConnectionString(text, tt.argument, nil)
		switch {
		case tt.want == "" && !errors.Is(err, ErrInvalidArgument):
			t.Errorf("%q and %q: the constructor returned %v, want ErrInvalidArgument", tt.inString, tt.argument, err)
		case tt.want != "" && (err != nil || p.EventHubName() != tt.want):
			t.Errorf("%q and %q: the constructor returned %v", tt.inString, tt.argument, err)
		}
		if p != nil {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAMalformedConnectionStringIsRefusedWithoutShowingIt(t *testing.T) {
	for _, text := range []string{
		"", testKey, "Endpoint=" + testKey, "SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKeyName;SharedAccessKey=" + testKey,
		"Endpoint=sb://%zz" + testKey + ";SharedAccessKeyName=n;SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKeyName=n;SharedAccessKey=x;UseDevelopmentEmulator=" + testKey,
		"Endpoint=" + testKey + ";SharedAccessKeyName=n;SharedAccessKey=x;UseDevelopmentEmulator=true",
	} {
		_, err := NewBufferedProducerFromConnectionString(text, "hub", nil)
		if !errors.Is(err, ErrInvalidArgument) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%q: the constructor returned %v", text, err)
		}
	}
}

func TestNamespaceAndCredentialAreChecked(t *testing.T) {
	for _, namespace := range []string{"", "sb://a.servicebus.windows.net", "a.servicebus.windows.net/", "a b"} {
		if _, err := NewBufferedProducer(namespace, "hub", nil, nil); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("namespace %q: %v", namespace, err)
		}
	}
	if _, err := NewBufferedProducer("a.servicebus.windows.net", "hub", nil, nil); !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "credential") {
		t.Errorf("a nil credential: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p, err := NewBufferedProducerFromConnectionString(emulatorString, "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, p); strings.Contains(text, testKey) {
			t.Errorf("%s shows the key", format)
		}
	}
}

// docs/options.md has every field, and the defaults that the code has.
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
	for _, want := range []any{defaults, defaults.Retry, ConnectionOptions{}, Event{}} {
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

// asWritten is a default as a person writes it.
func asWritten(field string, value any) string {
	switch v := value.(type) {
	case Partitioning:
		return map[Partitioning]string{RoundRobin: "`RoundRobin`"}[v]
	case RetryMode:
		return map[RetryMode]string{RetryExponential: "`RetryExponential`"}[v]
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
