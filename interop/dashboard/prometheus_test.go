package dashboard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// These are the system's programs of Prometheus, or Debian's package. It is unpacked below the
// user's cache directory, so it needs no root, and its service does not start.
var programs = sync.OnceValues(func() (found struct{ prometheus, promtool string }, err error) {
	found.prometheus, err = exec.LookPath("prometheus")
	if err == nil {
		found.promtool, err = exec.LookPath("promtool")
	}
	if err == nil {
		return found, nil
	}
	dir, err := setup.CacheDirectory("prometheus-debian")
	if err != nil {
		return found, err
	}
	bin := filepath.Join(dir, "usr", "bin")
	found.prometheus, found.promtool = filepath.Join(bin, "prometheus"), filepath.Join(bin, "promtool")
	if _, err := os.Stat(found.promtool); err == nil {
		return found, nil
	}
	if err := unpackPrometheus(dir); err != nil {
		return found, fmt.Errorf("prometheus and promtool are missing, and Debian's package could not be fetched: install them from your system's packages (on Debian: apt-get install prometheus): %w", err)
	}
	return found, nil
})

func unpackPrometheus(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := setup.Command(ctx, dir, "apt-get", "download", "-qq", "prometheus")
	if err != nil && os.Geteuid() == 0 { // the lists of packages are missing or old
		err = errors.Join(setup.Command(ctx, dir, "apt-get", "update", "-qq"), setup.Command(ctx, dir, "apt-get", "download", "-qq", "prometheus"))
	}
	if err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "prometheus_*.deb"))
	if err != nil || len(packages) == 0 {
		return errors.Join(err, errors.New("apt-get has downloaded no prometheus_*.deb"))
	}
	fresh, err := os.MkdirTemp(dir, "unpacked-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	return errors.Join(setup.Command(ctx, dir, "dpkg-deb", "--extract", packages[len(packages)-1], fresh), os.Rename(filepath.Join(fresh, "usr"), filepath.Join(dir, "usr")))
}

// promtool runs promtool in a directory and returns what it says.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	found, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), found.promtool, args...)
	command.Dir = dir
	said, err := command.CombinedOutput()
	return string(said), err
}

// at is the time of the n-th scrape of a shop, and of rules' evaluation.
func at(scrape int) time.Time { return began.Add(time.Duration(scrape) * scrapeInterval) }

// backfill writes the shops' series to a directory, as Prometheus' own blocks.
func backfill(t *testing.T, shops []*scraped) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var text bytes.Buffer
	byName := map[string][]*line{} // a metric's series come together
	for _, sc := range shops {
		for _, key := range slices.Sorted(maps.Keys(sc.series)) {
			l := sc.series[key]
			name := l.labels.Get(model.MetricNameLabel)
			byName[name] = append(byName[name], l)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		for _, l := range byName[name] {
			series := seriesText(l.labels)
			for _, s := range l.samples {
				fmt.Fprintf(&text, "%s %s %d\n", series, strconv.FormatFloat(s.value, 'g', -1, 64), at(s.scrape).Unix())
			}
		}
	}
	text.WriteString("# EOF\n")
	if err := os.WriteFile(filepath.Join(dir, "scraped"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := promtool(t, dir, "tsdb", "create-blocks-from", "openmetrics", "--quiet", "scraped", "data"); err != nil {
		t.Fatalf("promtool: %v\n%s", err, said)
	}
	return filepath.Join(dir, "data")
}

// seriesText returns a series in the notation of all of Prometheus' versions.
func seriesText(l labels.Labels) string {
	var pairs []string
	l.Range(func(label labels.Label) {
		if label.Name != model.MetricNameLabel {
			pairs = append(pairs, label.Name+"="+strconv.Quote(label.Value))
		}
	})
	return l.Get(model.MetricNameLabel) + "{" + strings.Join(pairs, ",") + "}"
}

// A prometheus is a running server.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts a server over data, with the alerting rules. It scrapes what the
// configuration names.
func startPrometheus(t *testing.T, data, scrapeConfigs string) *prometheus {
	t.Helper()
	found, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	text := fmt.Sprintf("global: {evaluation_interval: 1s}\nrule_files: [%q]\n%s", rules, scrapeConfigs)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil { // Prometheus cannot take a listener
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), found.prometheus, "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+address,
		"--storage.tsdb.retention.time=100y", "--log.level=info", "--web.console.templates="+t.TempDir(), "--web.console.libraries="+t.TempDir())
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() }) // the end of the test's context kills it
	ready := make(chan error, 1)
	go func() { // ends with the server
		var said strings.Builder
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "Server is ready to receive web requests") {
				ready <- nil
			}
		}
		select {
		case ready <- fmt.Errorf("it ended: %s", said.String()):
		default:
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("prometheus: %v", err)
	}
	return &prometheus{t: t, url: "http://" + address}
}

// get asks the server's API.
func (p *prometheus) get(path string, parameters url.Values, data any) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+parameters.Encode(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s %s: %s, %v: %s", path, parameters, response.Status, err, text)
	}
}

// ask evaluates an expression at every scrape, as Grafana does.
func (p *prometheus) ask(expression string, until time.Time) model.Matrix {
	p.t.Helper()
	var result struct{ Result model.Matrix }
	p.get("/api/v1/query_range", url.Values{
		"query": {expression}, "start": {strconv.FormatInt(began.Unix(), 10)}, "end": {strconv.FormatInt(until.Unix(), 10)}, "step": {strconv.Itoa(int(scrapeInterval.Seconds()))},
	}, &result)
	return result.Result
}
