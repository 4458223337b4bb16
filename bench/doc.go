// Command bench measures the buffered producer against what it could cost at best, and against other producers, on one machine:
//
//	go -C bench run .                 # every group of rows, as tables
//	go -C bench run . -list           # the groups and the peers
//	go -C bench run . -rows plain -sizes 100 -repeats 3
//	go -C bench run . -check          # the targets, each with its figure; status 0 if all hold
//	go -C bench run . -check -short   # what a shared machine can tell, in less than a minute
//	go -C bench run . -rows before -before COMMIT   # beside the build of another commit than 21ac009, in the same turns
//	go -C bench run . -plot           # the charts of docs/benchmarks.md
//
// A run is one scenario (what is published, and how) with one peer (who publishes). Client and server are processes of their own, which
// this program starts by running itself with a role. All AMQP peers publish to a null server of the bench: it is written by hand, shares no code with
// any peer, accepts what comes, counts it and keeps nothing. The Kafka client publishes to a null server of its kind. This producer to the emulator is
// a row of its own. After each run the events that the server has counted must be those that the client has sent, or the run fails.
//
// The peers of one scenario take turns, several times, so that what else happens on the machine meets them alike; a figure is the median of the
// repeats, and a ratio is taken within a turn. docs/benchmarks.md says how to read the figures.
package main
