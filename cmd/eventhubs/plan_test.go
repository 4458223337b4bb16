package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name    string
		args    []string
		want    map[string]float64
		because string
	}{
		{"bound by events", []string{"--events-per-second", "5000", "--bytes", "100"},
			map[string]float64{"ingress": 0.75, "throughput units": 5, "partitions": 5, "events per batch": 251, "MaxBufferedEvents": 51350, "MaxBufferedBytes": 64 << 20, "connections": 1},
			"ingress in events, 1000/s each"},
		{"bound by bytes", []string{"--events-per-second", "1000", "--bytes", "9950"},
			map[string]float64{"ingress": 10, "throughput units": 10, "partitions": 10, "events per batch": 26, "MaxBufferedEvents": 10270, "MaxBufferedBytes": 98 << 20},
			"ingress in bytes, 1 MB/s each"},
		{"bound by readers", []string{"--events-per-second", "1000", "--bytes", "950", "--readers", "5"},
			map[string]float64{"ingress": 1, "throughput units": 3, "partitions": 1}, "egress to 5 readers in bytes, 2 MB/s each"},
		{"full batches", []string{"--events-per-second", "1000", "--bytes", "100000", "--linger", "1s"},
			map[string]float64{"throughput units": 101, "events per batch": 10}, "batches are full before they have waited 1s"},
		{"more than Standard", []string{"--events-per-second", "100000", "--bytes", "10"},
			map[string]float64{"throughput units": 100, "partitions": 100}, "the Standard tier has at most 40: use Premium or Dedicated"},
		{"a trickle", []string{"--events-per-second", "0.5", "--bytes", "10"},
			map[string]float64{"throughput units": 1, "partitions": 1, "events per batch": 1, "batches": 0.5, "MaxBufferedEvents": 2500, "memory": 11}, "the default holds"},
		{"a fleet", []string{"--events-per-second", "10000", "--bytes", "100", "--processes", "1000"},
			map[string]float64{"connections": 1000, "start": 28, "events per batch": 1, "back": 40, "caught up": 20}, "use Sticky or ServiceAssigned"},
		{"a fleet without a namespace", []string{"--events-per-second", "30000", "--bytes", "100", "--processes", "1200", "--units", "40", "--outage", "10m"},
			map[string]float64{"start": 32, "back": 140, "caught up": 1800, "MaxBufferedEvents": 26007, "DeliveryTimeout": 2850},
			"40000 − 30000 events/s"},
		{"a fleet without a namespace for as long as the defaults allow", []string{"--events-per-second", "300", "--bytes", "100", "--processes", "100", "--units", "2", "--outage", "10m"},
			map[string]float64{"back": 140, "caught up": 106, "DeliveryTimeout": 0, "MaxRetries": 0}, "what one process holds at most after 10m0s"},
		{"a fleet with more units than it needs for a quarter of an hour", []string{"--events-per-second", "300", "--bytes", "100", "--processes", "100", "--units", "40", "--outage", "14m"},
			map[string]float64{"back": 140, "caught up": 7, "DeliveryTimeout": 980}, "2m20s to be back"},
		{"a process without a namespace", []string{"--events-per-second", "300", "--bytes", "100", "--units", "1", "--outage", "30m"},
			map[string]float64{"DeliveryTimeout": 2765}, "with the default of 15m0s events fail"},
		{"a fleet that never catches up", []string{"--events-per-second", "30000", "--bytes", "100", "--processes", "1200", "--units", "30"},
			map[string]float64{"caught up": 0, "back": 40}, "and no fewer come: add throughput units"},
		{"events that only a dedicated cluster takes", []string{"--events-per-second", "1", "--bytes", "15000000"},
			map[string]float64{"largest message": 20_000_000, "ingress": 15, "events per batch": 1, "batch": 15000.1, "MaxBufferedBytes": 158 << 20}, "an event of 15000000 bytes is beyond the 1045504 of most tiers: only a dedicated cluster takes it"},
		{"events that most tiers take", []string{"--events-per-second", "1", "--bytes", "1045504"},
			map[string]float64{"largest message": 0, "ingress": 1.046}, "1045504 bytes"},
		{"a slow way", []string{"--events-per-second", "1000", "--bytes", "950", "--latency", "10s"},
			map[string]float64{"partition limit": 0.1}, "a partition carries at most one full batch in 10s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := program{}.run(t, append([]string{"plan", "--output", "json"}, test.args...)...)
			got.want(t, exitOK)
			var p plan
			if err := json.Unmarshal([]byte(got.stdout), &p); err != nil {
				t.Fatal(err)
			}
			values := map[string]float64{}
			for _, f := range p.Figures {
				values[f.Name] = f.Value
			}
			for name, want := range test.want {
				if values[name] != want {
					t.Errorf("%s: got %v want %v", name, values[name], want)
				}
			}
			if !strings.Contains(got.stdout, test.because) || len(p.Assumptions) == 0 {
				t.Errorf("it does not say %q: %s", test.because, got.stdout)
			}
			text := program{}.run(t, append([]string{"plan"}, test.args...)...)
			text.want(t, exitOK)
			if !strings.Contains(text.stdout, test.because) || !strings.Contains(text.stdout, "\nAssumed:\n") || !strings.Contains(text.stdout, "[1] learn.microsoft.com/") {
				t.Errorf("the text does not say %q, assumptions and sources:\n%s", test.because, text.stdout)
			}
		})
	}
}

// TestPlanSaysWhatLostPacketsDo over a long way, and not over a short one.
func TestPlanSaysWhatLostPacketsDo(t *testing.T) {
	for latency, want := range map[string]bool{"20ms": false, "80ms": true} {
		got := program{}.run(t, "plan", "--events-per-second", "1000", "--bytes", "100", "--latency", latency)
		got.want(t, exitOK)
		if says := strings.Contains(got.stdout, "no packets are lost on the way"); says != want {
			t.Errorf("with %s it speaks of lost packets: %v, want %v", latency, says, want)
		}
	}
}

func TestPlanSaysNeverWithoutANumber(t *testing.T) {
	got := program{}.run(t, "plan", "--events-per-second", "5000", "--bytes", "800", "--units", "1", "--offline", "72h", "--outage", "10m", "--processes", "100")
	got.want(t, exitOK)
	for _, name := range []string{"sent", "caught up"} {
		if !regexp.MustCompile(`(?m)^` + name + ` +never  +the namespace takes 1000 events/s`).MatchString(got.stdout) {
			t.Errorf("got %s\nwant %s without a number", got.stdout, name)
		}
	}
}

func TestPlanOfAWrongCommandLine(t *testing.T) {
	ok := []string{"--events-per-second", "1", "--bytes", "1"}
	for want, args := range map[string][]string{
		"both --events-per-second":    {"--bytes", "1"},
		"--events-per-second is 0":    {"--bytes", "1", "--events-per-second", "0"},
		"--events-per-second is NaN":  {"--events-per-second", "NaN", "--bytes", "1"},
		"--events-per-second is +Inf": {"--events-per-second", "Inf", "--bytes", "1"},
		"and --bytes are needed":      {"--events-per-second", "1"},
		"--bytes is 0":                {"--events-per-second", "1", "--bytes", "0"},
		"--bytes is 2e+07":            {"--events-per-second", "1", "--bytes", "20000000"},
		"--processes is 0":            append([]string{"--processes", "0"}, ok...),
		"--readers is -1":             append([]string{"--readers", "-1"}, ok...),
		"--latency is 0s":             append([]string{"--latency", "0s"}, ok...),
		"--linger is -1s":             append([]string{"--linger", "-1s"}, ok...),
		"--units is 0":                append([]string{"--units", "0"}, ok...),
		"--outage is 25h0m0s":         append([]string{"--outage", "25h"}, ok...),
		`--output is "xml"`:           append([]string{"--output", "xml"}, ok...),
		`unexpected argument "x"`:     append([]string{"x"}, ok...),
	} {
		program{}.run(t, append([]string{"plan"}, args...)...).want(t, exitBadInput, want)
	}
}

// The help has the producer's own defaults.
func TestPlanBeginsWithTheProducersDefaults(t *testing.T) {
	opts, err := parsePlan([]string{"--events-per-second", "1", "--bytes", "1"})
	if err != nil {
		t.Fatal(err)
	}
	if opts.linger != defaults.MaxWaitTime || !strings.Contains(planHelp, "(default "+defaults.MaxWaitTime.String()+")") {
		t.Errorf("plan calculates with a linger of %v, the producer's default is %v; the help:\n%s", opts.linger, defaults.MaxWaitTime, planHelp)
	}
}
