package main

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheNullKafkaCountsRecords(t *testing.T) {
	server, err := startKafka(new(of(franz, 100)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.close(); err != nil {
			t.Error(err)
		}
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(server.address().Addr), kgo.DefaultProduceTopic(hubName))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 3 {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord("a"), kgo.StringRecord("b")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.counts(); got.Events != 6 || got.Batches < 3 {
		t.Errorf("the server counts %+v, want 6 records in 3 batches or more", got)
	}
}

// FuzzKafkaRequest looks for requests that crash the null server.
func FuzzKafkaRequest(f *testing.F) {
	for key, version := range kafkaVersions {
		request := kmsg.RequestForKey(int16(key))
		request.SetVersion(version)
		text := binary.BigEndian.AppendUint16(nil, uint16(key))
		text = binary.BigEndian.AppendUint16(text, uint16(version))
		text = append(text, 0, 0, 0, 7, 0xff, 0xff) // correlation id, no client id
		if request.IsFlexible() {
			text = append(text, 0)
		}
		f.Add(request.AppendTo(text))
	}
	server, err := startKafka(new(of(franz, 100)))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = server.close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := server.(*nullKafka).answer(text)
		if err == nil && (len(answer) < 8 || int(binary.BigEndian.Uint32(answer)) != len(answer)-4) {
			t.Errorf("the answer to %x is %x, whose length is wrong", text, answer)
		}
	})
}
