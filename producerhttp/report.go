package producerhttp

import (
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/producerview"
)

// A report is one look at the producers. Its JSON is the documented answer.
type report struct {
	Time      time.Time  `json:"time"`
	Producers []producer `json:"producers"`

	names []string // of all producers, also those that are not asked for
	only  string   // the producer that was asked for; empty for all
}

// A producer is one of a report.
type producer struct {
	Name      string                   `json:"name"`
	Namespace string                   `json:"fullyQualifiedNamespace"`
	Hub       string                   `json:"eventHub"`
	ID        string                   `json:"identifier"`
	Closed    bool                     `json:"closed"`
	Health    eventhubs.Health         `json:"health"`
	Stats     eventhubs.Stats          `json:"stats"`
	Rates     []rate                   `json:"rates"`
	Changes   []eventhubs.HealthChange `json:"changes"`

	moments []producerview.Moment
}

// newReport looks at each producer.
func newReport(producers map[string]*eventhubs.BufferedProducer, names []string, only string) *report {
	r := &report{Producers: []producer{}, names: names, only: only}
	for _, name := range names {
		p := producers[name]
		if p == nil {
			continue
		}
		moments := producerview.Moments(p)
		r.Producers = append(r.Producers, producer{
			Name: name, Namespace: p.FullyQualifiedNamespace(), Hub: p.EventHubName(), ID: p.Identifier(), Closed: p.IsClosed(),
			Health: p.Health(), Stats: p.Stats(), Rates: ratesOf(moments), Changes: p.HealthChanges(),
			moments: moments,
		})
	}
	r.Time = time.Now().UTC() // after the looks: no time in them is later
	return r
}
