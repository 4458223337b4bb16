package dashboard_test

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// A shop is a program that publishes orders through trouble, in virtual time. Its metrics are
// scraped each scrapeInterval, from the handler that serves Prometheus.
type shop struct {
	t        *testing.T
	job      string
	server   *emulator.Server
	producer *eventhubs.BufferedProducer
	options  eventhubs.Options
	disk     *forgetful.Disk // of the journal; nil without one
	metrics  http.Handler
	scraped  *scraped
}

// A scraped is what Prometheus would have of a shop.
type scraped struct {
	job    string
	series map[string]*line // by its labels as text
	times  []time.Time      // of the scrapes
}

// A line is a series with its samples.
type line struct {
	labels  labels.Labels
	samples []sample
}

type sample struct {
	scrape int // the index in scraped.times
	value  float64
}

// A shopKind says how a shop differs from one with default options.
type shopKind struct {
	options func(*eventhubs.Options)
	journal *eventhubs.JournalOptions // on a disk in memory
	auth    *emulator.Authentication  // with TLS, under a production name
	connect func(*emulator.Server) string
}

// diskSize is enough for every alert.
const diskSize = 8 << 30

// inShop runs a trouble in a shop, in a bubble of virtual time, and returns what was scraped.
func inShop(t *testing.T, job string, kind shopKind, trouble func(*shop)) *scraped {
	s := &shop{job: job, scraped: &scraped{job: job, series: map[string]*line{}}}
	synctest.Test(t, func(t *testing.T) {
		s.t = t
		s.open(kind)
		s.pass(2*time.Minute, s.order) // all is well at first
		trouble(s)
	})
	return s.scraped
}

func (s *shop) open(kind shopKind) {
	s.server = emulatortest.New(s.t, &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "orders", Partitions: 2}}, Authentication: kind.auth})
	s.options = eventhubs.Options{
		Logger:        slog.New(slog.DiscardHandler),
		MaxWaitTime:   10 * time.Millisecond,
		OnBatchFailed: func(context.Context, *eventhubs.Batch) {},
	}
	s.options.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.server.Dial(ctx) }
	if kind.journal != nil {
		s.disk = forgetful.New()
		s.disk.SyncTime = 3 * time.Millisecond
		s.disk.SetSize(diskSize)
		s.options.Journal = s.journalOn(s.disk, kind.journal)
	}
	connection := s.server.ConnectionString("orders")
	if kind.auth != nil {
		s.options.Connection.TLSConfig = s.server.TLSConfig()
		connection = kind.connect(s.server)
	}
	if kind.options != nil {
		kind.options(&s.options)
	}
	observed := s.options
	metrics, provider, err := metricsserver.Handler(&observed, log.New(s.t.Output(), "", 0))
	if err != nil {
		s.t.Fatal(err)
	}
	s.metrics = metrics
	if s.producer, err = eventhubs.NewBufferedProducerFromConnectionString(connection, "orders", &observed); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		// Their errors are about the trouble.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.server.SetHook(nil)
		_ = s.producer.Close(ctx)
		_ = provider.Shutdown(context.Background())
	})
}

func (s *shop) journalOn(disk *forgetful.Disk, options *eventhubs.JournalOptions) *eventhubs.JournalOptions {
	own := *options
	own.Directory = "journal"
	testseam.JournalOn(&own, disk, 64<<10)
	return &own
}

// pass lets time pass, and scrapes. Before each scrape interval it calls each, unless that is nil.
func (s *shop) pass(d time.Duration, each func()) {
	for range d / scrapeInterval {
		if each != nil {
			each()
		}
		time.Sleep(scrapeInterval)
		synctest.Wait() // an answer may come at this moment
		s.scrape()
	}
}

// order enqueues an event for partition 0.
func (s *shop) order() {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	// Its failure is part of some troubles.
	_ = s.producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("an order"), PartitionID: "0"})
}

// on has the next transfers answered by these actions in turn, and the others by the last one.
func (s *shop) on(kind emulator.Kind, actions ...emulator.Action) {
	var next atomicIndex
	s.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != kind {
			return emulator.Pass()
		}
		return actions[min(next.take(), len(actions)-1)]
	})
}

// well ends the trouble.
func (s *shop) well() { s.server.SetHook(nil) }

func (s *shop) scrape() {
	request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", acceptedFormats)
	response := httptest.NewRecorder()
	s.metrics.ServeHTTP(response, request)
	if response.Code != http.StatusOK {
		s.t.Fatalf("%s: %d %s", s.job, response.Code, response.Body)
	}
	sc := s.scraped
	sc.times = append(sc.times, time.Now())
	for series, value := range samplesOf(s.t, response.Body.Bytes(), response.Header().Get("Content-Type")) {
		name := series.Get(model.MetricNameLabel)
		if !strings.HasPrefix(name, "eventhubs_") && !strings.HasPrefix(name, "messaging_") {
			continue // of Go and of the process
		}
		series = labels.NewBuilder(series).Set("job", sc.job).Set("instance", sc.job+":9464").Labels()
		known := sc.series[series.String()]
		if known == nil {
			known = &line{labels: series}
			sc.series[series.String()] = known
		}
		known.samples = append(known.samples, sample{len(sc.times) - 1, value})
	}
}

// names are the names of all metrics.
func (sc *scraped) names() []string {
	var names []string
	for _, l := range sc.series {
		names = append(names, l.labels.Get(model.MetricNameLabel))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
