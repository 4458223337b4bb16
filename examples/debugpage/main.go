// A service mounts a page about its producers beside its other handlers. On-call reads it with curl
// or in a browser, while a partition is throttled and afterwards.
//
// With -listen 127.0.0.1:8080 the example goes on: three producers with a steady stream, and
// troubles that come and go. Then look at http://127.0.0.1:8080/debug/eventhubs/ in a browser.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
	"github.com/go-eventhubs/eventhubs/producerhttp"
)

func main() {
	listen := flag.String("listen", "", "`address` at which the page stays until Ctrl-C, such as 127.0.0.1:8080")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := show
	if *listen != "" {
		run = func(ctx context.Context) error { return serve(ctx, *listen) }
	}
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// show publishes while partition 1 is throttled, and reads the page as a program does.
func show(ctx context.Context) (err error) {
	h, err := hub.Open(3, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime: eventhubs.SendAtOnce,
		Logger:      slog.New(slog.DiscardHandler), // the page shows what the log would say
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	mux := http.NewServeMux()
	mux.Handle("/debug/eventhubs/", producerhttp.New(producer, &producerhttp.Options{Name: "orders"}))
	service := httptest.NewServer(mux) // a service of your own has its http.Server
	defer service.Close()

	publish := func() error {
		for i := range 3 {
			if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("an order"), PartitionID: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(publish(), producer.Flush(ctx)); err != nil {
		return err
	}
	throttled := make(chan struct{}, 100)
	h.OnTransfer(func(op emulator.Operation) emulator.Action {
		if op.PartitionID != "1" {
			return emulator.Pass()
		}
		throttled <- struct{}{}
		return emulator.Reject("com.microsoft:server-busy", "The namespace is busy. Please wait 10 milliseconds and try again.")
	})
	if err := publish(); err != nil {
		return err
	}
	for _, id := range []string{"0", "2"} {
		if err := producer.FlushPartition(ctx, id); err != nil {
			return err
		}
	}
	for range 2 { // at the second one the producer has seen the first refusal
		select {
		case <-throttled:
		case <-time.After(2 * time.Second): // a hub of your own does not refuse
		}
	}
	if err := read(ctx, service.URL); err != nil {
		return err
	}
	h.OnTransfer(nil)
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	fmt.Println()
	return read(ctx, service.URL)
}

// read prints a part of what the page says. The whole of it: curl URL, or a browser.
func read(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/debug/eventhubs/?format=json", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var report struct {
		Producers []struct {
			Name   string
			Health struct{ State string }
			Stats  struct {
				Partitions []struct {
					ID, State, LastCode string
					BufferedEvents      int
				}
			}
			Changes []struct{ State string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		return err
	}
	for _, p := range report.Producers {
		var changes []string
		for _, c := range p.Changes {
			changes = append(changes, c.State)
		}
		fmt.Printf("%s is %s; its states so far: %s\n", p.Name, p.Health.State, strings.Join(changes, ", "))
		for _, part := range p.Stats.Partitions {
			fmt.Printf("  partition %s: %s, %d buffered", part.ID, part.State, part.BufferedEvents)
			if part.LastCode != "" {
				fmt.Printf(", last error: %s", part.LastCode)
			}
			fmt.Println()
		}
	}
	return nil
}

// A trouble befalls one producer, for a minute of every two.
type trouble struct {
	producer string
	action   func(emulator.Operation) emulator.Action
	journal  bool
}

var troubles = []trouble{
	{producer: "audit", journal: true, action: func(emulator.Operation) emulator.Action { return emulator.Silence() }},
	{producer: "clicks", action: func(emulator.Operation) emulator.Action {
		return emulator.Reject("com.microsoft:server-busy", "The request was terminated because the namespace is being throttled. Please wait 4 seconds and try again.")
	}},
	{producer: "orders", action: func(op emulator.Operation) emulator.Action {
		if op.PartitionID == "1" {
			return emulator.Silence()
		}
		return emulator.Pass()
	}},
}

// serve shows the page until ctx ends. Its troubles need an emulator for each producer.
func serve(ctx context.Context, address string) (err error) {
	page := producerhttp.New(nil, nil)
	for _, t := range troubles {
		server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: t.producer, Partitions: 4}}})
		if err != nil {
			return err
		}
		defer server.Close()
		options := &eventhubs.Options{}
		if t.journal {
			directory, err := os.MkdirTemp("", "journal")
			if err != nil {
				return err
			}
			defer os.RemoveAll(directory)
			options.Journal = &eventhubs.JournalOptions{Directory: directory, MaxBytes: 8 << 20}
		}
		producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString(t.producer), "", options)
		if err != nil {
			return err
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := producer.Close(closing); err != nil {
				log.Print(err)
			}
		}()
		if err := page.Add(t.producer, producer); err != nil {
			return err
		}
		go stream(ctx, producer) // ends with ctx
		go t.befall(ctx, server) // ends with ctx
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/eventhubs/", page)
	service := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { // ends when the server is closed
		<-ctx.Done()
		_ = service.Close()
	}()
	fmt.Printf("http://%s/debug/eventhubs/ until Ctrl-C\n", address)
	if err := service.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stream enqueues 200 events a second. When the buffer is full, Enqueue waits.
func stream(ctx context.Context, producer *eventhubs.BufferedProducer) {
	body := []byte(strings.Repeat("x", 1000))
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			ticker.Stop()
			return
		case <-ticker.C:
			_ = producer.Enqueue(ctx, &eventhubs.Event{Body: body}) // fails when ctx ends
		}
	}
}

// befall begins and ends the trouble.
func (t *trouble) befall(ctx context.Context, server *emulator.Server) {
	for bad := false; ; bad = !bad {
		server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if bad && op.Kind == emulator.KindTransfer {
				return t.action(op)
			}
			return emulator.Pass()
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
		}
	}
}
