package metricsserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

// The documents for the person on call: every name in them must exist, and everything that exists
// must be named.

const operations = "../../docs/operations.md"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// constants returns the texts of a file's constants whose names begin with prefix. It looks up
// references like Code(connection.CodeQuotaExceeded) in also.
func constants(t *testing.T, path, prefix string, also map[string]string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		value := spec.Values[0]
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
			value = call.Args[0]
		}
		switch v := value.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts[spec.Names[0].Name] = text
		case *ast.SelectorExpr:
			texts[spec.Names[0].Name] = also[v.Sel.Name]
		}
		return true
	})
	return texts
}

func TestTheRunbookHasEveryCodeErrorAndMetric(t *testing.T) {
	text := read(t, operations)
	below := constants(t, "../connection/errors.go", "Code", nil)
	codes := constants(t, "../../errors.go", "Code", below)
	metrics := constants(t, "../../telemetry/names.go", "Metric", nil)
	if len(codes) < 15 || len(metrics) < 20 {
		t.Fatalf("only %d codes and %d metrics were found", len(codes), len(metrics))
	}
	exported := slices.Collect(maps.Values(codes))
	for name, value := range below {
		if !slices.Contains(exported, value) {
			t.Errorf("the code %q, %s of package connection, comes out and is not exported", value, name)
		}
	}
	for name, value := range codes {
		if value == "" || !strings.Contains(text, "\n| `"+value+"` |") && !strings.Contains(text, "` (`"+value+"`) |") {
			t.Errorf("no row of %s is about the code %q, %s", operations, value, name)
		}
	}
	for _, name := range metrics {
		if !strings.Contains(text, "\n| `"+name+"` ") {
			t.Errorf("no row of %s is about the metric %s", operations, name)
		}
	}
	sentinels := regexp.MustCompile(`(?m)^\t(Err\w+) += (?:errors\.New|newSentinel)`).FindAllStringSubmatch(read(t, "../../errors.go"), -1)
	if len(sentinels) < 8 {
		t.Fatalf("only %d errors were found in errors.go", len(sentinels))
	}
	for _, s := range sentinels {
		if !strings.Contains(text, "\n| `"+s[1]+"` ") {
			t.Errorf("no row of %s is about %s", operations, s[1])
		}
	}
	for state := eventhubs.HealthConnecting; state <= eventhubs.HealthUnreachable; state++ {
		if !strings.Contains(text, "*"+state.String()+"*") {
			t.Errorf("%s says nothing of the health %q", operations, state)
		}
	}
	for waiting := eventhubs.WaitingForNothing; !strings.HasPrefix(waiting.String(), "Waiting("); waiting++ {
		if !strings.Contains(text, "\n| *"+waiting.String()+"* |") {
			t.Errorf("no row of %s says what to do about partitions that wait %s", operations, waiting)
		}
	}
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notASlug = regexp.MustCompile(`[^a-z0-9 -]`)
)

// anchors are the anchors of a document's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		slug := notASlug.ReplaceAllString(strings.ToLower(h[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

func TestTheRunbooksLinksLeadSomewhere(t *testing.T) {
	text := read(t, operations)
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 20 {
		t.Fatalf("only %d links were found", len(links))
	}
	for _, l := range links {
		known := anchors(text)
		file, anchor, anchored := strings.Cut(l[1], "#")
		if path := filepath.Join(filepath.Dir(operations), file); file != "" {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is no %s", l[1])
			} else if anchored {
				known = anchors(read(t, path))
			}
		}
		if anchored && !slices.Contains(known, anchor) {
			t.Errorf("there is no heading for %s", l[1])
		}
	}
}

func TestEachAlertNamesItsLineOfTheRunbook(t *testing.T) {
	text := read(t, operations)
	known := anchors(text)
	alerts := strings.Split(read(t, "../../docs/operations/alerts.yaml"), "- alert: ")[1:]
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		_, url, found := strings.Cut(alert, "runbook_url: https://github.com/go-eventhubs/eventhubs/blob/main/docs/operations.md#")
		if anchor := strings.TrimSpace(url); !found || !slices.Contains(known, anchor) {
			t.Errorf("%s: the runbook has no section %q", name, anchor)
		}
		if !strings.Contains(text, name) {
			t.Errorf("%s: the runbook does not name it", name)
		}
	}
	for _, named := range regexp.MustCompile(`EventHubs[A-Z]\w+`).FindAllString(text, -1) {
		if !slices.ContainsFunc(alerts, func(alert string) bool { return strings.HasPrefix(alert, named+"\n") }) {
			t.Errorf("the runbook names %s, and there is no such alert", named)
		}
	}
	if len(alerts) < 10 {
		t.Errorf("only %d alerts were found", len(alerts))
	}
}

// scraped returns Prometheus' input after everything has happened once, including a lost connection
// and a panic.
func scraped(t *testing.T) string {
	t.Helper()
	actions := make(chan emulator.Action, 3)
	for _, action := range []emulator.Action{emulator.Cut().Stored(), emulator.Reject("com.microsoft:server-busy", "Please wait 1 milliseconds and try again."), emulator.Reject("amqp:not-allowed", "no")} {
		actions <- action
	}
	server := emulatortest.New(t, &emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			select {
			case action := <-actions:
				return action
			default:
			}
		}
		return emulator.Pass()
	}})
	options := &eventhubs.Options{Logger: slog.New(slog.DiscardHandler), OnBatchSucceeded: func(context.Context, *eventhubs.Batch) {}, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}
	metrics, err := metricsserver.Start("127.0.0.1:0", options, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = metrics.Close(t.Context()) }()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close(t.Context()) }()
	for range 2 {
		_, _ = producer.Publish(t.Context(), &eventhubs.Event{PartitionID: "0"}) // the first is finally refused
	}
	kept := *options // some figures are of a producer with a journal only, and some of one without
	kept.Journal = &eventhubs.JournalOptions{Directory: t.TempDir()}
	journaled, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &kept)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = journaled.Close(t.Context()) }()
	return get(t, "http://"+metrics.Addr()+"/metrics")
}

func TestTheDashboardAndTheAlertsAskForWhatThereIs(t *testing.T) {
	exposition := scraped(t)
	dashboard := read(t, "../../docs/operations/dashboard.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is not valid JSON")
	}
	metric := regexp.MustCompile(`\b(eventhubs_producer|messaging_client)_\w+`)
	label := regexp.MustCompile(`\b(eventhubs_(?:storage|waiting|handler|health_state)|messaging_destination_\w+|error_type)\b`)
	sample := regexp.MustCompile(`(?m)^(\w+)\{`)
	var there []string
	for _, s := range sample.FindAllStringSubmatch(exposition, -1) {
		there = append(there, s[1])
	}
	for file, text := range map[string]string{"dashboard.json": dashboard, "alerts.yaml": read(t, "../../docs/operations/alerts.yaml")} {
		names := metric.FindAllString(text, -1)
		for _, name := range names {
			if !slices.Contains(there, name) {
				t.Errorf("%s asks for %s, which is not there", file, name)
			}
		}
		for _, name := range label.FindAllString(text, -1) {
			if !strings.Contains(exposition, name+`="`) {
				t.Errorf("%s asks for the label %s, which is not there", file, name)
			}
		}
		if len(names) < 15 {
			t.Errorf("%s: only %d metrics were found", file, len(names))
		}
	}
}

func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	dashboard := read(t, "../../docs/operations/dashboard.json")
	for _, name := range constants(t, "../../telemetry/names.go", "Metric", nil) {
		if shown := strings.ReplaceAll(name, ".", "_"); !strings.Contains(dashboard, shown) && name != "messaging.client.sent.messages" { // settled.events contains it
			t.Errorf("no panel shows %s", name)
		}
	}
}
