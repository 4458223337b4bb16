package producerhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/producerhttp"
)

// A service mounts the handler beside its others. A program reads the JSON.
func ExampleNew() {
	server, err := emulator.New(nil) // in place of the service
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = producer.Close(context.Background()) }()

	mux := http.NewServeMux()
	mux.Handle("/debug/eventhubs/", producerhttp.New(producer, nil))
	service := httptest.NewServer(mux) // or http.ListenAndServe("127.0.0.1:6060", mux)
	defer service.Close()

	if _, err := producer.Publish(context.Background(), &eventhubs.Event{Body: []byte("a reading"), PartitionID: "2"}); err != nil {
		log.Fatal(err)
	}

	response, err := http.Get(service.URL + "/debug/eventhubs/?format=json")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var report struct {
		Producers []struct {
			Name   string
			Health struct{ State string }
			Stats  struct{ StoredEvents, BufferedEvents int }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		log.Fatal(err)
	}
	for _, p := range report.Producers {
		fmt.Printf("%s: %s, %d stored, %d buffered\n", p.Name, p.Health.State, p.Stats.StoredEvents, p.Stats.BufferedEvents)
	}
	// Output: events: ready, 1 stored, 0 buffered
}

// A process with several producers names them.
func ExampleHandler_Add() {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders"}, {Name: "audit"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	handler := producerhttp.New(nil, nil)
	for _, name := range []string{"orders", "audit"} {
		producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString(name), "", nil)
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = producer.Close(context.Background()) }()
		if err := handler.Add(name, producer); err != nil {
			log.Fatal(err)
		}
		defer handler.Remove(name)
	}

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/debug/eventhubs/?producer=audit", nil))
	var first string
	_, _ = fmt.Fscanln(w.Body, &first, new(string))
	fmt.Println(first)
	// Output: audit:
}
