// Command broker has this project's transport publish to AMQP 1.0 servers of others and looks, at the receiving end and
// with a client that is not ours, at what has arrived. From the root of the repository:
//
//	go -C interop run ./broker                all that need nothing but Node.js and a JDK with Maven
//	go -C interop run ./broker artemis        one
//	go -C interop run ./broker -case restart  the cases whose name matches
//
// The servers, in the versions that the folders under peers pin:
//
//   - rhea, the AMQP library for JavaScript, as a server: it takes messages, decodes and reports them;
//   - Apache ActiveMQ Artemis, a broker in Java: it keeps the messages on disk, and rhea's client reads them from its queues.
//
// They are installed as the clients of the command interop are, and run on loopback. What they lack is switched off:
// there is no $cbs, but in the case "the whole producer", for which the rhea server has one, and a $management.
//
// Each case publishes over a connection of its own, to addresses of its own, batches of random bytes. It ends with a
// last small batch; when that has been read, so has all before it, and what was read must be the batches in their order,
// byte for byte (number of data sections, their lengths, SHA-256), each once, and no more often than once for each try
// whose outcome was unknown besides. The result is a line for each case and a table in Markdown; the exit status is 0
// only if all is well.
package main
