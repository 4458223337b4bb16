package dashboard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

func readAlerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, faults := rulefmt.Parse([]byte(read(t, alertsFile)), false, model.UTF8Validation, newParser(), nil)
	for _, fault := range faults {
		t.Fatal(fault)
	}
	var rules []rulefmt.Rule
	for _, group := range groups.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// alarms returns the first samples of an alert whose expression has held for the time in its "for",
// one for each series. The result holds says whether it has held at all.
func (h *history) alarms(t *testing.T, rule rulefmt.Rule) (told []promql.Sample, held bool) {
	t.Helper()
	matrix := h.ask(t, rule.Expr)
	for _, series := range matrix {
		since := int64(0)
		for i, point := range series.Floats {
			if i == 0 || point.T-series.Floats[i-1].T > scrapeInterval.Milliseconds() {
				since = point.T
			}
			if point.T-since >= time.Duration(rule.For).Milliseconds() {
				told = append(told, promql.Sample{T: point.T, F: point.F, Metric: series.Metric})
				break
			}
		}
	}
	return told, len(matrix) > 0
}

// summary returns the text for the person on call.
func summary(t *testing.T, rule rulefmt.Rule, alarm promql.Sample) string {
	t.Helper()
	text := "{{$labels := .Labels}}{{$value := .Value}}" + rule.Annotations["summary"]
	data := template.AlertTemplateData(alarm.Metric.Map(), nil, "", alarm)
	expanded, err := template.NewTemplateExpander(t.Context(), text, rule.Alert, data, model.Time(alarm.T), nil, nil, nil).Expand()
	if err != nil {
		t.Errorf("%s: %v", rule.Alert, err)
	}
	return expanded
}

// An alertCase is a history that fires an alert, and one that does not. In both, $ stands for the
// labels of a producer.
type alertCase struct {
	alert    string
	told     string
	quiet    string
	expected string // the summary
}

// Samples are 15 s apart; x80 are 20 minutes.
var alertCases = []alertCase{
	{"EventHubsPublishingFails",
		`eventhubs_producer_trouble_duration_seconds{$} 0+15x80
		 eventhubs_producer_health{$, eventhubs_health_state="throttled"} 0x80`,
		`eventhubs_producer_trouble_duration_seconds{$} 0+15x80
		 eventhubs_producer_health{$, eventhubs_health_state="throttled"} 1x80`,
		"Publishing to orders has failed for 5m 15s."},
	{"EventHubsUnauthorized",
		`eventhubs_producer_health{$, eventhubs_health_state="unauthorized"} 0x4 1x20`,
		`eventhubs_producer_health{$, eventhubs_health_state="unauthorized"} 0x4 1x6 0x20`,
		"The service refuses the producer for orders, or the credential gives no token."},
	{"EventHubsEventsNotStored",
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="not stored", error_type="timeout", messaging_destination_partition_id="1"} _x40 7x40`,
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="not stored", error_type="cleared"} 0+7x80
		 eventhubs_producer_settled_events_total{$, eventhubs_storage="stored"} 0+100x80
		 eventhubs_producer_settled_events_total{$, eventhubs_storage="not stored", error_type="timeout"} 7x80`,
		"7 events for orders are not stored: timeout."},
	{"EventHubsEventsPossiblyStored",
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="possibly stored", error_type="timeout"} _x40 3x40`,
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="possibly stored", error_type="timeout"} 3x80`,
		"3 events for orders may be stored or not."},
	{"EventHubsUnheardFailures",
		`eventhubs_producer_unheard_events_total{$} 0x40 4x40`,
		`eventhubs_producer_unheard_events_total{$} 4x80`,
		"4 events have failed, and no handler or Delivery reported them."},
	{"EventHubsProducerFenced",
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="not stored", error_type="fenced"} _x40 2x40`,
		`eventhubs_producer_settled_events_total{$, eventhubs_storage="not stored", error_type="timeout"} 0+1x80`,
		"Another producer has taken over orders."},
	{"EventHubsPartitionStopped",
		`eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 0x4 2x4`,
		`eventhubs_producer_partitions{$, eventhubs_waiting="for events"} 4x80
		 eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 0x80`,
		"2 partitions of orders take no events until ResumePartition."},
	{"EventHubsPartitionStopped",
		`eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 0x4 2x4`,
		`eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 2x80
		 eventhubs_producer_journal_limit_bytes{$} 1000x80`, // another alert
		"2 partitions of orders take no events until ResumePartition."},
	{"EventHubsBufferNearlyFull",
		`eventhubs_producer_buffer_utilization_ratio{$} 0.9x80`,
		`eventhubs_producer_buffer_utilization_ratio{$} 0.9x10 0.1 0.9x10 0.1 0.9x10`,
		"The buffer for orders is 90% full."},
	{"EventHubsCallersWait",
		`eventhubs_producer_waiting_callers{$} 3x80`,
		`eventhubs_producer_waiting_callers{$} 3x10 0x80`,
		"3 callers wait for room in the buffer for orders."},
	{"EventHubsOldEvents",
		`eventhubs_producer_oldest_event_age_seconds{$} 0+15x80`,
		`eventhubs_producer_oldest_event_age_seconds{$} 59x80`,
		"The oldest event for orders has waited for 3m 15s."},
	{"EventHubsOldEvents",
		`eventhubs_producer_oldest_event_age_seconds{$} 0+15x80`,
		`eventhubs_producer_oldest_event_age_seconds{$} 0+15x80
		 eventhubs_producer_journal_limit_bytes{$} 1000x80`, // another alert, later
		"The oldest event for orders has waited for 3m 15s."},
	{"EventHubsThrottled",
		`eventhubs_producer_throttled_tries_total{$} 0+1x80`,
		`eventhubs_producer_throttled_tries_total{$} 0+1x5 5x80`,
		"The service is too busy for orders."},
	{"EventHubsHandlersSlow",
		`eventhubs_producer_handler_duration_seconds_bucket{$, le="5"} 0x80
		 eventhubs_producer_handler_duration_seconds_bucket{$, le="10"} 0+1x80
		 eventhubs_producer_handler_duration_seconds_bucket{$, le="+Inf"} 0+1x80`,
		`eventhubs_producer_handler_duration_seconds_bucket{$, le="5"} 0+1x80
		 eventhubs_producer_handler_duration_seconds_bucket{$, le="+Inf"} 0+1x80`,
		"Handlers for orders take 9.95s."},
	{"EventHubsHandlerHangs",
		`eventhubs_producer_handler_running_seconds{$} 0+15x80`,
		`eventhubs_producer_handler_running_seconds{$} 0 15 30 45 0 15 30 45 0`,
		"A handler for orders has not returned for 1m 15s."},
	{"EventHubsHandlerPanics",
		`eventhubs_producer_handler_panics_total{$} 0x4 1x4`,
		`eventhubs_producer_handler_panics_total{$} 1x80`,
		"A handler for orders has panicked."},
	{"EventHubsTokenEnds",
		`eventhubs_producer_token_remaining_seconds{$} 600-15x40
		 messaging_client_sent_messages_total{$} 0+1x40`,
		`eventhubs_producer_token_remaining_seconds{$} 600-15x40
		 messaging_client_sent_messages_total{$} 5x40`,
		"The authorization for orders ends in 1m 15s."},
	{"EventHubsConnectionsLost",
		`eventhubs_producer_connections_lost_total{$, error_type="connection-lost"} 0+1x80`,
		`eventhubs_producer_connections_lost_total{$, error_type="connection-lost"} 0x40 1x80`,
		"6 connections were lost in 10 minutes."},
	{"EventHubsJournalNearlyFull",
		`eventhubs_producer_journal_utilization_ratio{$} 0.1x80
		 eventhubs_producer_journal_disk_free_bytes{$} 2000000000x80`,
		`eventhubs_producer_journal_utilization_ratio{$} 0.7x80
		 eventhubs_producer_journal_disk_free_bytes{$} 3000000000x80`,
		"The journal for orders is nearly full, or its disk is."},
	{"EventHubsJournalNearlyFull",
		`eventhubs_producer_journal_utilization_ratio{$} 0.9x80`,
		`eventhubs_producer_journal_utilization_ratio{$} 0.9x10 0.1 0.9x10 0.1 0.9x10`,
		"The journal for orders is nearly full, or its disk is."},
	{"EventHubsJournalFailed",
		`eventhubs_producer_journal_failed{$} 0x4 1x4`,
		`eventhubs_producer_journal_failed{$} 0x80`,
		"The journal for orders has failed, and Enqueue returns errors."},
	{"EventHubsJournalOldEvents",
		`eventhubs_producer_oldest_event_age_seconds{$} 3600+15x80
		 eventhubs_producer_journal_limit_bytes{$} 1000x80`,
		`eventhubs_producer_oldest_event_age_seconds{$} 3600+15x80`,
		"The oldest event in the journal for orders has waited for 1h 5m 15s."},
	{"EventHubsJournalPartitionFenced",
		`eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 0x4 2x4
		 eventhubs_producer_journal_limit_bytes{$} 1000x80`,
		`eventhubs_producer_partitions{$, eventhubs_waiting="stopped"} 2x80`,
		"2 partitions of orders were taken over by another producer with a copy of the journal."},
}

func (c alertCase) history(t *testing.T, series string) *history {
	h := newHistory(t)
	h.load(t, strings.ReplaceAll(series, "$", `job="shop", instance="shop-1:9464", messaging_destination_name="orders"`))
	return h
}

func TestEachAlertIsToldWhenItShouldBe(t *testing.T) {
	rules := readAlerts(t)
	for _, rule := range rules {
		if !slices.ContainsFunc(alertCases, func(c alertCase) bool { return c.alert == rule.Alert }) {
			t.Errorf("%s has no case", rule.Alert)
		}
	}
	for _, c := range alertCases {
		i := slices.IndexFunc(rules, func(r rulefmt.Rule) bool { return r.Alert == c.alert })
		if i < 0 {
			t.Errorf("there is no alert %s", c.alert)
			continue
		}
		told, _ := c.history(t, c.told).alarms(t, rules[i])
		if len(told) != 1 {
			t.Errorf("%s: got %v, want it told once", c.alert, told)
			continue
		}
		if got := summary(t, rules[i], told[0]); c.expected != "" && got != c.expected || strings.Contains(got, "<no value>") {
			t.Errorf("%s: got %q, want %q", c.alert, got, c.expected)
		}
		told, _ = c.history(t, c.quiet).alarms(t, rules[i])
		for _, alarm := range told {
			// Series that exist at Prometheus' own start are new to it.
			if model.Time(alarm.T).Time().Sub(began) > 5*time.Minute {
				t.Errorf("%s is told for nothing: %v", c.alert, alarm)
			}
		}
	}
}

func TestNoAlertIsToldOfANormalRun(t *testing.T) {
	h := normal(t)
	for _, rule := range readAlerts(t) {
		if _, held := h.alarms(t, rule); held {
			t.Errorf("%s holds when all is well", rule.Alert)
		}
	}
}

func TestTroubleIsTold(t *testing.T) {
	h := troubled(t)
	var told, held []string
	for _, rule := range readAlerts(t) {
		alarms, now := h.alarms(t, rule)
		switch {
		case len(alarms) > 0:
			told = append(told, rule.Alert)
		case now:
			held = append(held, rule.Alert)
		}
	}
	if want := []string{"EventHubsEventsNotStored"}; !slices.Equal(told, want) {
		t.Errorf("told: got %q, want %q", told, want)
	}
	if want := []string{"EventHubsThrottled"}; !slices.Equal(held, want) {
		t.Errorf("not yet for long enough: got %q, want %q", held, want)
	}
}
