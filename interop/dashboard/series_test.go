package dashboard_test

import (
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	scrapeInterval = 15 * time.Second

	// rateInterval is Grafana's $__rate_interval for that scrape interval: four times as much.
	rateInterval = "1m"

	job = "shop"
)

// began is the time of the first scrape.
var began = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// A history has Prometheus' data: scrapes that count as scrapeInterval apart.
type history struct {
	db     *tsdb.DB
	engine *promql.Engine
	last   time.Time // of the latest sample
}

func newHistory(t *testing.T) *history {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableNegativeOffset: true, EnableAtModifier: true, Parser: newParser()})
	t.Cleanup(func() {
		if err := errors.Join(engine.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return &history{db: db, engine: engine, last: began.Add(-scrapeInterval)}
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// scrape reads metrics as Prometheus does: with the labels job and instance, and the format that
// the server chooses.
func (h *history) scrape(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", acceptedFormats)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	h.last = h.last.Add(scrapeInterval)
	appender := h.db.Appender(t.Context())
	for series, value := range samplesOf(t, text, response.Header.Get("Content-Type")) {
		series = labels.NewBuilder(series).Set("job", job).Set("instance", "shop-1:9464").Labels()
		if _, err := appender.Append(0, series, h.last.UnixMilli(), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
}

// acceptedFormats is what Prometheus asks for.
const acceptedFormats = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

// samplesOf yields the series of a scrape with their values.
func samplesOf(t *testing.T, text []byte, contentType string) iter.Seq2[labels.Labels, float64] {
	return func(yield func(labels.Labels, float64) bool) {
		p, err := textparse.New(text, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			entry, err := p.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if entry != textparse.EntrySeries {
				continue
			}
			var series labels.Labels
			p.Labels(&series)
			if _, _, value := p.Series(); !yield(series, value) {
				return
			}
		}
	}
}

// load adds series in the notation of promtool's tests, such as "name{label="x"} 0+1x10": samples
// that are scrapeInterval apart.
func (h *history) load(t *testing.T, lines string) {
	t.Helper()
	appender := h.db.Appender(t.Context())
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		series, values, err := newParser().ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		at := began
		for _, v := range values {
			if !v.Omitted {
				if _, err := appender.Append(0, series, at.UnixMilli(), v.Value); err != nil {
					t.Fatal(err)
				}
			}
			if at.After(h.last) {
				h.last = at
			}
			at = at.Add(scrapeInterval)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates an expression at every scrape from the first to the latest.
func (h *history) ask(t *testing.T, expression string) promql.Matrix {
	t.Helper()
	query, err := h.engine.NewRangeQuery(t.Context(), h.db, nil, expression, began, h.last, scrapeInterval)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	matrix, err := result.Matrix()
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	var kept promql.Matrix // Exec's own memory is freed with the query
	for _, series := range matrix {
		kept = append(kept, promql.Series{Metric: series.Metric.Copy(), Floats: append([]promql.FPoint(nil), series.Floats...)})
	}
	return kept
}
