package emulator

import (
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memorylimit"
)

func TestZeroOptionsMeanTheDefaults(t *testing.T) {
	for name, options := range map[string]*Options{"nil": nil, "zero": {}} {
		got, err := options.withDefaults()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Addr != "127.0.0.1:0" || got.MaxMessageSize != 1_046_528 || got.IdleTimeout != 4*time.Minute || got.Logger == nil ||
			got.MaxMemory != memorylimit.Find()/4 {
			t.Errorf("%s: defaults are %+v", name, got)
		}
		if len(got.Hubs) != 1 || got.Hubs[0].Name != "events" || got.Hubs[0].Partitions != 4 {
			t.Errorf("%s: default hubs are %+v", name, got.Hubs)
		}
	}
}

func TestOptionsAreCopied(t *testing.T) {
	options := &Options{Hubs: []Hub{{Name: "h"}}}
	if _, err := options.withDefaults(); err != nil {
		t.Fatal(err)
	}
	if options.Addr != "" || options.Hubs[0].Partitions != 0 {
		t.Errorf("withDefaults changed the caller's options to %+v", options)
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	hub := func(h Hub) Options { return Options{Hubs: []Hub{{Name: "first"}, h}} }
	for _, test := range []struct {
		name    string
		options Options
		want    string
	}{
		{"message size in kilobytes", Options{MaxMessageSize: 256}, "Options.MaxMessageSize is 256"},
		{"negative message size", Options{MaxMessageSize: -3}, "Options.MaxMessageSize is -3"},
		{"huge message size", Options{MaxMessageSize: 1 << 30}, "Options.MaxMessageSize is 1073741824"},
		{"memory in megabytes", Options{MaxMemory: 512}, "Options.MaxMemory is 512; it counts bytes and must be at least 1048576"},
		{"short idle time-out", Options{IdleTimeout: time.Second}, "Options.IdleTimeout is 1s"},
		{"hub without a name", hub(Hub{}), "Options.Hubs[1].Name"},
		{"hub with a space", hub(Hub{Name: "a b"}), `' ' is not allowed`},
		{"hub with a semicolon", hub(Hub{Name: "a;b"}), `';' is not allowed`},
		{"hub twice", hub(Hub{Name: "FIRST"}), "appears twice"},
		{"hub like an address", hub(Hub{Name: "h/partitions/1"}), "reserved for addresses"},
		{"hub with an empty part", hub(Hub{Name: "h//1"}), "reserved for addresses"},
		{"long name", hub(Hub{Name: strings.Repeat("x", 257)}), "between 1 and 256"},
		{"negative partitions", hub(Hub{Name: "h", Partitions: -1}), "Options.Hubs[1].Partitions is -1"},
		{"too many partitions", hub(Hub{Name: "h", Partitions: 40_000}), "Options.Hubs[1].Partitions is 40000"},
		{"long group", hub(Hub{Name: "h", ConsumerGroups: []string{strings.Repeat("x", 51)}}), "between 1 and 50"},
		{"group with a slash", hub(Hub{Name: "h", ConsumerGroups: []string{"a/b"}}), "a slash"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(&test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v; want an error with %q", err, test.want)
			}
		})
	}
}

func TestDefaultConsumerGroupMayBeListed(t *testing.T) {
	o := &Options{Hubs: []Hub{{Name: "h", ConsumerGroups: []string{"$default", "mine"}}}}
	if _, err := o.withDefaults(); err != nil {
		t.Error(err)
	}
}
