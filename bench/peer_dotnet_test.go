package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

func TestTheDotnetProgramIsNamedAsMissing(t *testing.T) {
	t.Setenv(setup.DotNetVariable, filepath.Join(t.TempDir(), "nothing"))
	if _, err := prepareDotnet(t.Context()); err == nil || !strings.Contains(err.Error(), setup.DotNetVariable) {
		t.Errorf("got %v, want an error that names %s", err, setup.DotNetVariable)
	}
}

// A script stands in for .NET's program, which is not on every machine.
func TestWhatTheDotnetProgramPrintsIsAMeasurement(t *testing.T) {
	path := filepath.Join(t.TempDir(), "client")
	script := "#!/bin/sh\nif [ \"$2\" = batch ]; then echo '{\"what\":\"error\",\"more\":{\"message\":\"no way\"}}'; exit 1; fi\n" +
		`echo '{"events":1000,"seconds":2.5,"client_cpu_s":1.5,"max_rss_mb":10,"alloc_bytes_per_event":3,"warmup_events":8}'` + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(setup.DotNetVariable, path)
	p, err := prepareDotnet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var m measurement
	if err := p.publish(t.Context(), p, &job{Scenario: of(dotnet, 100)}, &m); err != nil {
		t.Fatal(err)
	}
	want := measurement{Sent: 1008, Events: 1000, Bytes: 100_000, Seconds: 2.5, CPU: 1500 * time.Millisecond, Mallocs: -1, Allocated: 3000, PeakRSS: 10 << 20}
	if m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	if err := p.publish(t.Context(), p, &job{Scenario: of(dotnetByHand, 100)}, &m); err == nil || !strings.Contains(err.Error(), "no way") {
		t.Errorf("got %v, want what .NET has said", err)
	}
}
