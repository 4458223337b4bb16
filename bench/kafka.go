package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A nullKafka is a broker with one topic. It leads all partitions, acknowledges records and keeps
// none.
type nullKafka struct {
	*listener
	partitions int
	delay      *delay
	records    atomic.Int64
	batches    atomic.Int64
}

// kafkaRequestLimit bounds one request.
const kafkaRequestLimit = 128 << 20

// kafkaVersions are the supported requests with their highest version.
var kafkaVersions = map[kmsg.Key]int16{kmsg.Produce: 9, kmsg.Metadata: 8, kmsg.ApiVersions: 4, kmsg.InitProducerID: 4}

func startKafka(s *scenario) (nullServer, error) {
	k := &nullKafka{partitions: s.Partitions, delay: newDelay(s.Ack)}
	var err error
	k.listener, err = listen(s.TLS, k.serve)
	return k, err
}

func (k *nullKafka) counts() tally {
	return tally{Events: k.records.Load(), Batches: k.batches.Load()}
}

// An answer is a response with the time when it may leave.
type answer struct {
	due  time.Time // zero: at once
	text []byte
}

// serve answers the requests of one connection in order, as the protocol requires.
func (k *nullKafka) serve(conn net.Conn) {
	answers := make(chan answer, 1000)
	defer close(answers)
	// Ends when answers is closed or conn is. close waits only for the connection, which has ended
	// by then.
	go write(conn, answers)
	input := bufio.NewReaderSize(conn, 256<<10)
	var buffer []byte
	for {
		request, err := readFrame(input, buffer)
		if err != nil {
			if err != io.EOF {
				slog.Debug("kafka: connection gone", "error", err)
			}
			return
		}
		buffer = request[:0]
		text, err := k.answer(request)
		if err != nil {
			slog.Error("kafka: an invalid request", "error", err)
			return
		}
		a := answer{text: text}
		if wait := k.delay.next(); wait > 0 {
			a.due = time.Now().Add(wait)
		}
		answers <- a
	}
}

// write sends each answer when it is due.
func write(conn net.Conn, answers <-chan answer) {
	broken := false
	for a := range answers {
		if wait := time.Until(a.due); wait > 0 && !a.due.IsZero() {
			time.Sleep(wait)
		}
		if !broken {
			_, err := conn.Write(a.text)
			broken = err != nil
		}
	}
}

// readFrame reads a request without its length, into the buffer if that is large enough.
func readFrame(r io.Reader, buffer []byte) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(header[:]))
	if size > kafkaRequestLimit {
		return nil, fmt.Errorf("a request of %d bytes", size)
	}
	if cap(buffer) < size {
		buffer = make([]byte, size, size+size/4)
	}
	_, err := io.ReadFull(r, buffer[:size])
	return buffer[:size], err
}

// answer returns the response to a request, with its length.
func (k *nullKafka) answer(text []byte) ([]byte, error) {
	if len(text) < 10 {
		return nil, fmt.Errorf("a request of %d bytes", len(text))
	}
	key, version := kmsg.Key(binary.BigEndian.Uint16(text)), int16(binary.BigEndian.Uint16(text[2:]))
	limit, known := kafkaVersions[key]
	unsupported := version > limit
	if !known || unsupported && key != kmsg.ApiVersions {
		return nil, fmt.Errorf("request %d of version %d", key, version)
	}
	response := k.versions(unsupported)
	if !unsupported {
		request := kmsg.RequestForKey(int16(key))
		request.SetVersion(version)
		body, err := skipHeader(text, request.IsFlexible())
		if err != nil {
			return nil, err
		}
		if err := request.ReadFrom(body); err != nil {
			return nil, fmt.Errorf("request %d of version %d: %w", key, version, err)
		}
		if key != kmsg.ApiVersions {
			if response, err = k.respond(request); err != nil {
				return nil, err
			}
		}
		response.SetVersion(version)
	}
	dst := append(make([]byte, 4, 256), text[4:8]...) // length, correlation id
	if response.IsFlexible() && key != kmsg.ApiVersions {
		dst = append(dst, 0) // no tags
	}
	dst = response.AppendTo(dst)
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-4))
	return dst, nil
}

// skipHeader returns the part after a request's header: key, version, correlation id, client id
// and, if it is flexible, tags.
func skipHeader(text []byte, flexible bool) ([]byte, error) {
	at := 10
	if n := int16(binary.BigEndian.Uint16(text[8:])); n > 0 {
		at += int(n)
	}
	if flexible {
		at++ // clients send no tags
	}
	if at > len(text) {
		return nil, io.ErrUnexpectedEOF
	}
	return text[at:], nil
}

func (k *nullKafka) respond(request kmsg.Request) (kmsg.Response, error) {
	switch r := request.(type) {
	case *kmsg.MetadataRequest:
		return k.metadata(), nil
	case *kmsg.InitProducerIDRequest:
		response := kmsg.NewPtrInitProducerIDResponse()
		response.ProducerID = 1
		return response, nil
	case *kmsg.ProduceRequest:
		return k.produce(r)
	default:
		return nil, fmt.Errorf("a %T", request)
	}
}

// versions returns the supported requests.
func (k *nullKafka) versions(unsupported bool) kmsg.Response {
	response := kmsg.NewPtrApiVersionsResponse()
	if unsupported {
		response.ErrorCode = 35 // UNSUPPORTED_VERSION: the client asks again, with version 0
	}
	for key, limit := range kafkaVersions {
		one := kmsg.NewApiVersionsResponseApiKey()
		one.ApiKey, one.MaxVersion = int16(key), limit
		response.ApiKeys = append(response.ApiKeys, one)
	}
	return response
}

// metadata names this broker as the only one.
func (k *nullKafka) metadata() kmsg.Response {
	host, portText, _ := net.SplitHostPort(k.listener.net.Addr().String())
	port, _ := strconv.Atoi(portText)
	response := kmsg.NewPtrMetadataResponse()
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = 1, host, int32(port)
	response.Brokers, response.ControllerID = append(response.Brokers, broker), 1
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = new(hubName)
	for i := range k.partitions {
		partition := kmsg.NewMetadataResponseTopicPartition()
		partition.Partition, partition.Leader, partition.Replicas, partition.ISR = int32(i), 1, []int32{1}, []int32{1}
		topic.Partitions = append(topic.Partitions, partition)
	}
	response.Topics = append(response.Topics, topic)
	return response
}

// produce counts the records and acknowledges them.
func (k *nullKafka) produce(request *kmsg.ProduceRequest) (kmsg.Response, error) {
	response := kmsg.NewPtrProduceResponse()
	for _, t := range request.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			// The number of records is at the end of the batch's header, which has a fixed size.
			const numberAt = 57
			if len(p.Records) < numberAt+4 {
				return nil, fmt.Errorf("a record batch of %d bytes", len(p.Records))
			}
			k.records.Add(int64(binary.BigEndian.Uint32(p.Records[numberAt:])))
			k.batches.Add(1)
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition = p.Partition
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response, nil
}
