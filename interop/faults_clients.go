package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// prepareFaults builds the program for clients in Go.
func prepareFaults(which string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		program, err := setup.Go(ctx, "faults", "", "./clients/faults")
		return []string{program, which}, err
	}
}

func prepareJavaScriptFaults(ctx context.Context) ([]string, error) {
	folder := filepath.Join("clients", "javascript")
	dir, err := setup.NPM(ctx, "javascript", folder)
	if err != nil {
		return nil, err
	}
	return []string{"node", filepath.Join(dir, "faults.mjs")}, setup.CopyFiles(folder, dir, "faults.mjs")
}

func preparePythonFaults(ctx context.Context) ([]string, error) {
	command, err := preparePython(ctx)
	if err != nil {
		return nil, err
	}
	script := &command[len(command)-1]
	*script = filepath.Join(filepath.Dir(*script), "faults.py")
	return command, nil
}

func prepareJavaFaults(ctx context.Context) ([]string, error) {
	command, err := setup.Java(ctx, "java", filepath.Join("clients", "java"), "Faults.java")
	return append(command, "interop.Faults"), err
}

// staggered is the time between the starts of two processes.
const staggered = time.Second

// dotnetAtOnce bounds the processes of .NET's program, one for each trial.
const dotnetAtOnce = 10

// performDotnetFaults runs .NET's program once for each trial.
func performDotnetFaults(ctx context.Context, command []string, r *faultRun) {
	version, _, err := setup.AboutDotNet()
	if err != nil {
		fmt.Fprintln(r.log, err)
	}
	r.hear(&faultLine{Client: "dotnet", Version: version})
	places := make(chan struct{}, dotnetAtOnce)
	var wg sync.WaitGroup
	for _, hub := range r.hubs {
		places <- struct{}{}
		time.Sleep(staggered) // starting takes all of the machine
		// Ends with its process, which faultLimit bounds; awaited below.
		wg.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, faultLimit)
			defer cancel()
			r.performDotnet(ctx, command, hub)
		})
	}
	wg.Wait()
}

// A dotnetError is the program's report of an error.
type dotnetError struct {
	Type, Reason, Message string
}

// performDotnet runs .NET's program for one trial and hears its lines.
func (r *faultRun) performDotnet(ctx context.Context, command []string, hub string) {
	arguments := map[string][]string{
		"send": {"publish", "info", "one"}, "blind": {"publish", "one"}, "receive": {"consume", "80"},
	}[r.trials[hub].role]
	running, stop := context.WithCancel(ctx)
	defer stop()
	var began float64 // by the program's clock
	over, finished := false, time.Time{}
	seen := make(map[int64]bool)
	environment := []string{"CONN=" + r.server.ConnectionString(""), "HUB=" + hub}
	err := hearLines(running, "dotnet "+hub, slices.Concat(command, arguments), environment, r.log, r.log, func(text []byte) {
		var line struct {
			T    float64
			What string
			More json.RawMessage
		}
		if json.Unmarshal(text, &line) != nil || over {
			return
		}
		var failure dotnetError
		switch line.What {
		case "partition":
			began = line.T
			return
		case "event":
			var event struct{ SequenceNumber int64 }
			_ = json.Unmarshal(line.More, &event)
			if seen[event.SequenceNumber] = true; len(seen) < 5 {
				return
			}
		case "done":
			if strings.Contains(string(line.More), "info") {
				return
			}
		case "failed", "error":
			_ = json.Unmarshal(line.More, &failure)
		default:
			return
		}
		over, finished = true, time.Now()
		seconds := line.T - began
		r.hear(&faultLine{Hub: hub, Seconds: &seconds, Events: len(seen), Class: strings.TrimSpace(failure.Type + " " + failure.Reason), Message: failure.Message})
		if r.trials[hub].role == "receive" {
			stop() // it would wait for more
		}
	})
	if err != nil {
		fmt.Fprintln(r.log, err)
	}
	if over && ctx.Err() == nil { // it has closed the client before it ended
		closed := time.Since(finished).Seconds()
		r.hear(&faultLine{Hub: hub, Closed: &closed})
	}
}
