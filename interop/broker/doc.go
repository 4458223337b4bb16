// Command broker publishes with this project's transport to other projects' AMQP 1.0 servers. It
// checks the arrivals at the receiving end, and with another project's client. From the root of the
// repository:
//
//	go -C interop run ./broker                all but the last two
//	go -C interop run ./broker artemis        one
//	go -C interop run ./broker -case restart  the cases whose name matches
//
// The folders under peers pin the versions of the servers:
//
//   - rhea, the AMQP library for JavaScript, as a server: it accepts, decodes and reports messages;
//   - activemq and artemis, Apache's brokers in Java: they keep messages on disk, and rhea's client
//     reads their queues;
//   - vertx, vertx-proton for Java as a server;
//   - rabbitmq, Debian's RabbitMQ, which is installed if it is missing;
//   - netlite, the listener of AMQPNetLite, in the program that the environment variable
//     INTEROP_DOTNET names;
//   - fe2o3, fe2o3-amqp's acceptors for Rust, only by name, since its build takes a minute and a
//     half;
//   - brokerj, Apache Qpid Broker-J, only by name: it refuses the message format of batches, so
//     only its limit of channels is useful.
//
// They need Node.js, a JDK with Maven, and Rust for fe2o3. All are installed like the clients of
// the command interop, and run on loopback. Features that they lack are switched off. Only rhea's
// server and the listener have $cbs and $management, and only whole producers use them.
//
// Some servers take no commands. A relay of ours stands before them, counts connections and cuts
// them. The table names the cases that they cannot run. RabbitMQ 3 reverses the order of data
// sections, and vertx-proton delivers one of them, so they get batches of one.
//
// Each case publishes batches of random bytes over its own connection to its own addresses. It ends
// with a small last batch. When that has been read, all earlier ones have been read too. The
// batches read must be those published, in order and byte for byte (number of data sections, their
// lengths, SHA-256). Each must be there once, and at most once more for each try with an unknown
// outcome.
//
// In "whole producers while the broker is killed", three producers publish. One has keys and
// partition ids, one also a DeliveryTimeout of 250 ms, and one has ServiceAssigned. The broker is
// killed (SIGKILL) two or three times while they publish, and started again after each has had a
// failure. Then the arrivals are compared with the producers' reports. Stored events are there,
// others are not, and each partition has its events in order. A batch is there again only after a
// try with an unknown outcome. A broker without $management needs the list of partitions from the
// test. At rhea's server two more producers are idempotent: our script numbers producers and keeps
// their batches in a file. It kills itself after it has stored one, before it answers. No batch may
// be there again.
//
// The result is a line for each case and a table in Markdown. The exit status is 0 only if all is
// well.
package main
