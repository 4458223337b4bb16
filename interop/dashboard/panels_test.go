package dashboard_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// normal is the history of a publication without trouble.
func normal(t *testing.T) *history {
	h, p := newHistory(t), startPublication(t)
	for range 8 {
		p.next(t, h, emulator.Pass())
	}
	p.end(t, 0)
	return h
}

// troubled is the history of a publication that is throttled, loses its connection, and has its
// events refused, each three times.
func troubled(t *testing.T) *history {
	h, p := newHistory(t), startPublication(t)
	busy := emulator.Reject("com.microsoft:server-busy", "Please wait 1 milliseconds and try again.")
	for range 3 {
		p.next(t, h, busy, emulator.Cut().Stored(), emulator.Pass())
		p.next(t, h, emulator.Reject("amqp:not-allowed", "no"))
	}
	p.next(t, h, emulator.Pass())
	p.next(t, h, emulator.Pass())
	p.end(t, 1)
	return h
}

// Queries without a result in good health, with the reason; "panel: legend" of each.
var emptyWhenWell = map[string]string{
	"Events not stored, or possibly: {{eventhubs_storage}}: {{error_type}}": "no event has failed",
	"Failed tries: {{error_type}}":                                          "no try has failed",
	"Throttling: tries a second":                                            "the service was not busy",
	"Throttling: partitions waiting":                                        "the service was not busy",
	"Connections: lost: {{error_type}}":                                     "no connection was lost",
}

// Queries with zero in good health, and more in trouble. Two more could be here: unheard failures
// and panics. The command never has them, since its handler for failures does not panic.
var zeroWhenWell = []string{"Failed tries: of them ambiguous"}

// asGrafana replaces Grafana's variables as if all values were chosen.
func asGrafana(expression string) string {
	return strings.NewReplacer("$__rate_interval", rateInterval, "$job", "("+job+")", "$hub", "(orders)").Replace(expression)
}

// highest returns the highest value that a graph shows; NaN if it shows none.
func highest(matrix promql.Matrix) float64 {
	most := math.NaN()
	for _, series := range matrix {
		for _, point := range series.Floats {
			if math.IsNaN(most) || point.F > most {
				most = point.F
			}
		}
	}
	return most
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// ofJournal reports whether a query is about the journal, which most producers do not have.
func ofJournal(expression string) bool {
	return strings.Contains(expression, "eventhubs_producer_journal_")
}

// checkPanels calls check with the name and the highest value of each query about the journal, or
// of each other one. Without a journal, the queries about it must find nothing.
func checkPanels(t *testing.T, h *history, journal bool, check func(name string, most float64)) {
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			if ofJournal(target.Expr) != journal {
				if !journal && len(h.ask(t, asGrafana(target.Expr))) > 0 {
					t.Errorf("%s: finds something without a journal", panel.Title)
				}
				continue
			}
			name := fmt.Sprintf("%s: %s", panel.Title, target.LegendFormat)
			matrix := h.ask(t, asGrafana(target.Expr))
			check(name, highest(matrix))
			for _, series := range matrix {
				for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
					// Series of possibly stored events may lack it.
					if !series.Metric.Has(label[1]) && label[1] != "error_type" {
						t.Errorf("%s: the legend wants the label %s, and there are %v", name, label[1], series.Metric)
					}
				}
			}
		}
	}
}

func TestPanelsShowANormalRun(t *testing.T) {
	unused := maps.Clone(emptyWhenWell)
	checkPanels(t, normal(t), false, func(name string, most float64) {
		delete(unused, name)
		reason, empty := emptyWhenWell[name]
		switch {
		case empty && !math.IsNaN(most):
			t.Errorf("%s: finds %v, and should find nothing: %s", name, most, reason)
		case !empty && math.IsNaN(most):
			t.Errorf("%s: finds nothing", name)
		case slices.Contains(zeroWhenWell, name) && most != 0:
			t.Errorf("%s: finds %v, want 0", name, most)
		}
	})
	for name := range unused {
		t.Errorf("no panel has a query %s", name)
	}
}

func TestPanelsShowTrouble(t *testing.T) {
	checkPanels(t, troubled(t), false, func(name string, most float64) {
		_, empty := emptyWhenWell[name]
		switch {
		case math.IsNaN(most):
			t.Errorf("%s: finds nothing", name)
		case (empty || slices.Contains(zeroWhenWell, name)) && most <= 0:
			t.Errorf("%s: finds %v at most, and there was such trouble", name, most)
		}
	})
}

func TestPanelsShowTheJournal(t *testing.T) {
	queries := 0
	checkPanels(t, journaled(t), true, func(name string, most float64) {
		queries++
		switch failed := strings.HasSuffix(name, "failed"); {
		case math.IsNaN(most):
			t.Errorf("%s: finds nothing", name)
		case failed && most != 0, !failed && most <= 0:
			t.Errorf("%s: finds %v at most, with a sound journal that has events", name, most)
		}
	})
	if queries < 7 {
		t.Errorf("%d queries are about the journal, want one for each of its seven metrics at least", queries)
	}
}

func TestNoAlertIsToldOfASoundJournal(t *testing.T) {
	h := journaled(t)
	for _, rule := range readAlerts(t) {
		if told, _ := h.alarms(t, rule); len(told) > 0 {
			t.Errorf("%s is told of a sound journal: %v", rule.Alert, told)
		}
	}
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func TestVariablesFindTheirValues(t *testing.T) {
	h := normal(t)
	for _, variable := range readDashboard(t).Templating.List {
		if variable.Type != "query" {
			continue
		}
		query := labelValues.FindStringSubmatch(variable.Query)
		if query == nil {
			t.Errorf("%s asks %q, want label_values", variable.Name, variable.Query)
			continue
		}
		want := map[string]string{"job": job, "hub": "orders"}[variable.Name]
		matrix := h.ask(t, asGrafana(query[1]))
		if len(matrix) == 0 || slices.ContainsFunc(matrix, func(s promql.Series) bool { return s.Metric.Get(query[2]) != want }) {
			t.Errorf("%s: got the series %v, want such with %s=%q", variable.Name, matrix, query[2], want)
		}
	}
}
