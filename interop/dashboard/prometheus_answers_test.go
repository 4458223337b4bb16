package dashboard_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// lived are the shops of all troubles. They run once.
func lived(t *testing.T) (shops []*scraped) {
	for _, c := range troubles {
		shops = append(shops, inShop(t, c.job, c.kind, c.run))
	}
	return shops
}

func TestPrometheus(t *testing.T) {
	shops := lived(t)
	t.Run("EachAlertFiresInItsTroubleAndInNoOther", func(t *testing.T) { eachAlertFires(t, shops) })
	t.Run("EachPanelHasData", func(t *testing.T) { eachPanelHasData(t, shops) })
	t.Run("ScrapesTheCommand", func(t *testing.T) { scrapesTheCommand(t, shopOf(t, shops, "slow handlers")) })
}

func shopOf(t *testing.T, shops []*scraped, job string) *scraped {
	t.Helper()
	i := slices.IndexFunc(shops, func(sc *scraped) bool { return sc.job == job })
	if i < 0 {
		t.Fatalf("there is no shop %q", job)
	}
	return shops[i]
}

// eachAlertFires has promtool evaluate the rules, with the times in their "for", over what was
// scraped from each shop.
func eachAlertFires(t *testing.T, shops []*scraped) {
	type tested struct {
		Expr     string         `json:"expr"`
		EvalTime string         `json:"eval_time"`
		Expected []alertOfTrial `json:"exp_samples"`
	}
	type trial struct {
		Interval string              `json:"interval"`
		Input    []map[string]string `json:"input_series"`
		Tests    []tested            `json:"promql_expr_test"`
	}
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	for i, sc := range shops {
		t.Run(sc.job, func(t *testing.T) {
			one := trial{Interval: scrapeInterval.String()}
			for _, l := range sc.series {
				one.Input = append(one.Input, map[string]string{"series": seriesText(l.labels), "values": l.notation(len(sc.times))})
			}
			check := tested{
				// promtool's Prometheus has kept this of all evaluations up to the last one.
				Expr:     `group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1d]))`,
				EvalTime: (scrapeInterval * time.Duration(len(sc.times))).String(),
			}
			for _, alert := range troubles[i].fires {
				check.Expected = append(check.Expected, alertOfTrial{fmt.Sprintf(`{alertname=%q}`, alert), 1})
			}
			one.Tests = append(one.Tests, check)
			text, err := json.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": scrapeInterval.String(), "tests": []trial{one}})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "trial.yml"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if said, err := promtool(t, dir, "test", "rules", "trial.yml"); err != nil {
				t.Errorf("got other alerts than %q: %v\n%s", troubles[i].fires, err, said)
			}
		})
	}
}

// An alertOfTrial is an expected sample in promtool's file.
type alertOfTrial struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// notation returns the series in promtool's notation, a value for each scrape.
func (l *line) notation(scrapes int) string {
	values := make([]string, scrapes)
	for i := range values {
		values[i] = "_"
	}
	for _, s := range l.samples {
		values[s.scrape] = strconv.FormatFloat(s.value, 'f', -1, 64)
	}
	return strings.Join(values, " ")
}

// eachPanelHasData asks a server for what each panel shows of each trouble. Each query has data
// above zero in one of them at least.
func eachPanelHasData(t *testing.T, shops []*scraped) {
	server := startPrometheus(t, backfill(t, shops), "")
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	server.get("/api/v1/rules", nil, &rules)
	var loaded []string
	for _, rule := range rules.Groups[0].Rules {
		if loaded = append(loaded, rule.Name); rule.LastError != "" {
			t.Errorf("%s: %s", rule.Name, rule.LastError)
		}
	}
	for _, rule := range readAlerts(t) {
		if !slices.Contains(loaded, rule.Alert) {
			t.Errorf("the server has not loaded %s; it has %q", rule.Alert, loaded)
		}
	}
	queries := 0
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			queries++
			most, where := math.NaN(), ""
			for _, sc := range shops {
				query := strings.NewReplacer("$__rate_interval", rateInterval, "$job", "("+sc.job+")", "$hub", "(orders)").Replace(target.Expr)
				for _, series := range server.ask(query, at(len(sc.times))) {
					for _, pair := range series.Values {
						if v := float64(pair.Value); math.IsNaN(most) || v > most {
							most, where = v, sc.job
						}
					}
					for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
						if _, ok := series.Metric[model.LabelName(label[1])]; !ok && label[1] != "error_type" {
							t.Errorf("%s, %s: the legend wants the label %s, and there are %v", panel.Title, sc.job, label[1], series.Metric)
						}
					}
				}
			}
			switch {
			case math.IsNaN(most):
				t.Errorf("%s, %s: no trouble has data", panel.Title, target.LegendFormat)
			case most <= 0:
				t.Errorf("%s, %s: at most %v, in %q", panel.Title, target.LegendFormat, most, where)
			}
		}
	}
	if queries < 30 {
		t.Errorf("%d queries, want those of the whole dashboard", queries)
	}
}

// scrapesTheCommand has a server scrape "eventhubs publish --metrics". The stored series have the
// names and labels of the shops' series. The shop has a handler, as the command does.
func scrapesTheCommand(t *testing.T, sc *scraped) {
	p := startPublication(t)
	target, err := url.Parse(p.metrics)
	if err != nil {
		t.Fatal(err)
	}
	scrapes := make(chan struct{}, 1000)
	forward := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host}) }}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scrapes <- struct{}{}
		forward.ServeHTTP(w, r)
	}))
	defer gate.Close()
	server := startPrometheus(t, t.TempDir(), fmt.Sprintf("scrape_configs: [{job_name: shop, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{targets: [%q]}]}]\n", gate.Listener.Addr()))
	for range 5 {
		if _, err := fmt.Fprintln(p.lines, "an event"); err != nil {
			t.Fatal(err)
		}
		<-p.arrived
		p.answer <- emulator.Pass()
		for range 2 { // the server has stored the first when it asks for the second
			<-scrapes
		}
	}
	var result struct{ Result model.Vector }
	server.get("/api/v1/query", url.Values{"query": {`{__name__=~"eventhubs_.*|messaging_.*"}`}}, &result)
	var got []string
	for _, sample := range result.Result {
		got = append(got, string(sample.Metric[model.MetricNameLabel]))
		for _, label := range []model.LabelName{"job", "instance", "messaging_destination_name", "messaging_system", "server_address"} {
			if sample.Metric[label] == "" {
				t.Errorf("%v has no label %s", sample.Metric, label)
			}
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, sc.names()) {
		t.Errorf("the command has the metrics\n%q, the shop\n%q", got, sc.names())
	}
	go drain(scrapes)
	p.end(t, 0)
}

// drain ends with the channel, or with the program.
func drain(scrapes <-chan struct{}) {
	for range scrapes {
	}
}
