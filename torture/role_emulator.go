package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatordata"
	"github.com/go-eventhubs/eventhubs/torture/judge"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// idleTimeout is short, so that connections that the network has forgotten do not gather.
const idleTimeout = 5 * time.Second

// playEmulator is the service, with its events in a directory.
func playEmulator(s *setup, commands *json.Decoder, messages *line[message]) error {
	store, err := emulatordata.Open(filepath.Join(s.Directory, "data"), &emulatordata.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	forgotten := 0
	if s.Forget {
		if forgotten, err = forgetProducers(store); err != nil {
			return err
		}
	}
	config, err := serverTLS(s.Directory)
	if err != nil {
		return err
	}
	tokens := &tokenCheck{refused: func(producer int) { messages.send(message{Token: serverAhead, Of: producer}) }}
	h := &hook{messages: messages, armed: make(map[int][]arm), producers: make(map[int]int)}
	server, err := newServer(&emulator.Options{
		Addr:           s.Address,
		IdleTimeout:    idleTimeout,
		TLSConfig:      config,
		Authentication: &emulator.Authentication{JWT: tokens.judge},
		Hubs:           []emulator.Hub{{Name: hubName, Partitions: s.Partitions, Retention: emulator.Retention{Events: s.Retention}}},
		Idempotence:    emulator.Idempotence{ReportTracked: s.Tracked},
		Store:          store,
	})
	if err != nil {
		return err
	}
	h.server = server
	server.SetHook(h.decide)
	w, err := s.begin(record.ID{Life: s.Life, Producer: judge.EmulatorProducer})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	// Both end with done.
	wg.Go(func() { sampled(w, done) })
	wg.Go(func() { reportStored(server, messages, done) })
	messages.send(message{Ready: &ready{Address: server.Addr(), Forgotten: forgotten}})
	ctx, cancel := context.WithCancel(context.Background())
	// Ends with the driver, or the process.
	go func() {
		defer cancel()
		listen(commands, func(c *command) {
			switch {
			case c.Arm != nil:
				h.arm(*c.Arm)
			case c.Disarm:
				h.disarm()
			case c.Ends:
				messages.send(message{Ends: ends(server)})
			case c.CutAll:
				messages.send(message{Cut: server.CutAll()})
			case c.Clock != 0:
				tokens.wrong.Store(int64(c.Clock))
			case c.Right:
				tokens.wrong.Store(0)
			case c.Close:
				cancel()
			}
		})
	}()
	<-ctx.Done()
	err = server.Close()
	close(done)
	wg.Wait()
	return err
}

// newServer listens on the address of the former emulator, which the system may not have given back
// yet.
func newServer(options *emulator.Options) (server *emulator.Server, err error) {
	for range 100 {
		if server, err = emulator.New(options); err == nil {
			return server, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

// forgetProducers removes what the data of an emulator says of idempotent producers.
func forgetProducers(store emulator.Store) (forgotten int, err error) {
	var changes []emulator.Change
	err = store.Scan([]byte("producer\x00"), func(key, _ []byte) error {
		changes = append(changes, emulator.Change{Key: slices.Clone(key)})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("the producers of the data: %w", err)
	}
	return len(changes), store.Update(changes...)
}

// ends are the numbers of events ever in each partition.
func ends(server *emulator.Server) (all []int64) {
	for _, p := range server.Snapshot().Hubs[0].Partitions {
		all = append(all, p.Last+1)
	}
	return all
}

// reportStored sends the driver the number of stored events when it has changed, at most 40 times a
// second.
func reportStored(server *emulator.Server, messages *line[message], done <-chan struct{}) {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	var before []int64
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if now := ends(server); !slices.Equal(now, before) {
				messages.send(message{Stored: now})
				before = now
			}
		}
	}
}
