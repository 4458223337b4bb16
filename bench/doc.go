// Command bench measures the buffered producer on one machine, against the lowest possible cost and
// against other producers:
//
//	go -C bench run .                 # every group of rows, as tables
//	go -C bench run . -list           # the groups and the peers
//	go -C bench run . -rows plain -sizes 100 -repeats 3
//	go -C bench run . -check          # the targets, each with its figure; status 0 if all hold
//	go -C bench run . -check -short   # what a shared machine can show, in less than a minute
//	go -C bench run . -rows before -before COMMIT   # beside the build of another commit than 21ac009, in the same turns
//	go -C bench run . -rows journal   # the journal, beside a raw file, bbolt and the collector's file_storage
//	go -C bench run . -plot           # the charts of docs/benchmarks.md
//	go -C bench run ./consume         # eventhubs tail beside kcat
//
// A run is one scenario (events and settings) with one peer (the publisher). Client and server are
// separate processes: this program starts itself with a role. All AMQP peers publish to the bench's
// null server. It is written by hand and shares no code with any peer. It accepts and counts events
// and keeps none. The Kafka client publishes to a null Kafka server. A separate row has this
// producer with the emulator. After each run the server's count of events must equal the client's,
// or the run fails.
//
// The peers of one scenario take turns several times, so that other load on the machine affects
// them alike. A figure is the median of the repeats, and a ratio is taken within a turn.
// docs/benchmarks.md explains the figures.
package main
