package main

import (
	"fmt"
	"slices"
	"strings"
)

// A check is an action of each client, in its own hub.
type check struct {
	name       string
	partitions int
	only       string // the client with this check; empty: all of them
	// judge compares the script's report with the emulator's events.
	judge func(*world, *observation) error
}

// Names of checks that the emulator's faults or the judges use.
const (
	nameRouting            = "key routing"
	nameThrottled          = "throttled, then accepted"
	nameProducerReconnects = "producer reconnects"
	nameConsumerReconnects = "consumer reconnects"
	nameTLS                = "over TLS"
	nameWebSocket          = "over WebSocket"
	nameOurs               = "this project's events"
	nameTypes              = "types of properties"
	nameOurTypes           = "this project's types"
	nameProcessor          = "two processors"
)

// checks in the order of running and printing.
var checks = []*check{
	{"properties", 3, "", judgeProperties},
	{"publish", 4, "", judgePublish},
	{"publish by key", 4, "", judgePublishByKey},
	{"publish to a partition", 4, "", judgePublishToPartition},
	{"publish a full batch", 4, "", judgeFullBatch},
	{"buffered producer", 4, "", judgeBuffered},
	{"consume from the start", 1, "", judgeConsumed},
	{"consume from an offset", 1, "", judgeConsumed},
	{"consume from a sequence number", 1, "", judgeConsumed},
	{"consume from a time", 1, "", judgeConsumed},
	{nameRouting, routedPartitions, "", judgeKeyRouting},
	{nameThrottled, 4, "", judgeThrottled},
	{nameProducerReconnects, 4, "", judgeProducerReconnects},
	{nameConsumerReconnects, 4, "", judgeConsumerReconnects},
	{"epoch stealing", 1, "", judgeEpochs},
	{"SAS refused", 1, "", judgeRefusedSAS},
	{nameTLS, 1, "", judgeConsumed},
	{nameWebSocket, 1, "", judgeConsumed},
	{nameIdempotent, 1, "", judgeIdempotent},
	{nameIdempotentReported, 1, "", judgeIdempotentReported},
	{nameReplaced, 1, "", judgeReplaced},
	{nameReplacedReported, 1, "", judgeReplaced},
	{nameOurs, 8, "", judgeOurs},
	{nameTypes, 1, "dotnet", nil},
	{nameOurTypes, 1, "dotnet", nil},
	{nameProcessor, 8, "dotnet", nil},
}

// hubOf returns the name of a check's hub.
func hubOf(name string) string {
	return strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(strings.ToLower(name))
}

// checkNamed finds an existing check.
func checkNamed(name string) *check {
	i := slices.IndexFunc(checks, func(c *check) bool { return c.name == name })
	if i < 0 {
		panic(fmt.Sprintf("there is no check %q", name))
	}
	return checks[i]
}

// An observation is a line of a script's output. The first line names the client, and each later
// line is for a check. The check decides which fields are set.
type observation struct {
	Client, Version, Runtime string

	Check        string
	Milliseconds float64
	Error        string // the check failed in the client

	Hub        string      // the hub's name according to its properties
	Partitions []partition // properties
	Key        string      // the key used
	Events     int         // how many events were sent
	Batches    int         // in how many batches
	Bytes      int         // the size of a full batch, as the client counts
	Limit      int         // the largest batch, as the client knows it
	Start      start       // where it read from
	Received   []received  // the events read
	// The partitions that the client chooses for the keys; empty if it does not choose.
	Routes []string

	// Epochs, of consumers and of producers: replaced by a higher epoch; refused because of an
	// existing one.
	Stolen, Refused      refusal
	WrongKey, ListenOnly refusal // the result of sending with this key
	// Idempotent producers: at the begin and at the end, or the earlier and the later one.
	Before, After publishing
}

// A refusal is the error that a client reports, in its own terms.
type refusal struct {
	Code, Message string
}

// A partition is the client's view of one. Times are milliseconds since 1970.
type partition struct {
	ID          string
	First, Last int64
	Offset      string
	Time        int64
	Empty       bool
}

// A start is where a client reads from.
type start struct {
	By        string // start, offset, sequence or time
	Offset    string
	Sequence  int64
	Time      int64
	Inclusive bool
}

// A received event is an event as the client saw it.
type received struct {
	Partition string
	Sequence  int64
	Offset    string
	Time      int64
	Key       string
	Body      string
}
