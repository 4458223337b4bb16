package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// getHealth asks for the health at a URL.
func getHealth(t *testing.T, url string) (status int, answer map[string]string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusServiceUnavailable {
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return response.StatusCode, answer
}

func TestHealthIsThatOfARunningEmulator(t *testing.T) {
	for _, args := range [][]string{
		nil, {"--tls"}, {"--auth"}, {"--websocket"}, {"--discard"}, {"--data", t.TempDir()}, {"--throughput-units", "1"}, {"--latency", "1ms"},
	} {
		command, _ := startEmulatorCommand(t, append(args, "--health", "127.0.0.1:0")...)
		said, _ := command.stderr.get()
		found := regexp.MustCompile(`Health: (http://\S+)\n`).FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("standard error names no URL: %s", said)
		}
		for range 2 {
			status, answer := getHealth(t, found[1])
			if status != http.StatusOK || answer["status"] != "healthy" || answer["message"] != "Service is healthy." {
				t.Errorf("%v: status %d, %v", args, status, answer)
			}
		}
		if status, _ := getHealth(t, found[1]+"/other"); status != http.StatusNotFound {
			t.Errorf("another path: status %d", status)
		}
		if command.stop() != exitOK {
			t.Errorf("%v: the emulator failed", args)
		}
	}
}

func TestHealthIsBadWhenSendsDoNotWork(t *testing.T) {
	on := func(kind emulator.Kind, action emulator.Action) emulator.Hook {
		return func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == kind {
				return action
			}
			return emulator.Pass()
		}
	}
	busy := emulator.Reject("com.microsoft:server-busy", "busy")
	for name, test := range map[string]struct {
		hook emulator.Hook
		want int
	}{
		"well":                  {nil, http.StatusOK},
		"busy":                  {on(emulator.KindTransfer, busy), http.StatusOK},
		"sends are refused":     {on(emulator.KindTransfer, emulator.Reject("amqp:internal-error", "the disk is full")), http.StatusServiceUnavailable},
		"attaches are refused":  {on(emulator.KindAttach, emulator.Reject("amqp:internal-error", "no")), http.StatusServiceUnavailable},
		"connections break":     {on(emulator.KindConnection, emulator.Cut()), http.StatusServiceUnavailable},
		"nothing is listening":  {nil, http.StatusServiceUnavailable},
		"there is no such hub":  {nil, http.StatusServiceUnavailable},
		"tokens are not taken":  {on(emulator.KindPutToken, emulator.Reject("amqp:unauthorized-access", "no")), http.StatusServiceUnavailable},
		"the connection closes": {on(emulator.KindTransfer, emulator.CloseConnection("amqp:connection:forced", "bye")), http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			hub := healthHub
			if name == "there is no such hub" {
				hub = "another"
			}
			server, err := emulator.New(&emulator.Options{Hook: test.hook, Hubs: []emulator.Hub{{Name: hub, Partitions: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
			h, err := startHealth(server, "127.0.0.1:0", func(text string) { t.Error(text) })
			if err != nil {
				t.Fatal(err)
			}
			defer h.close()
			if name == "nothing is listening" {
				server.Close()
			}
			status, answer := getHealth(t, "http://"+h.addr()+"/health")
			if status != test.want || (answer["status"] == "healthy") != (status == http.StatusOK) {
				t.Errorf("status %d, %v, want %d", status, answer, test.want)
			}
		})
	}
}

func TestHealthEndsWithTheCommandWhileItIsAsked(t *testing.T) {
	held := make(chan struct{})
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: healthHub, Partitions: 1}},
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				close(held)
				return emulator.Silence()
			}
			return emulator.Pass()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	h, err := startHealth(server, "127.0.0.1:0", func(text string) { t.Error(text) })
	if err != nil {
		t.Fatal(err)
	}
	// The goroutine ends when the server has answered. close waits for that.
	status := make(chan int, 1)
	go func() {
		response, err := http.Get("http://" + h.addr() + "/health")
		if err != nil {
			t.Error(err)
			close(status)
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	<-held
	h.close()
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", got)
	}
}
