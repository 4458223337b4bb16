// Command broker has this project's transport publish to AMQP 1.0 servers of others and looks, at the receiving end and
// with a client that is not ours, at what has arrived. From the root of the repository:
//
//	go -C interop run ./broker                all but the last two
//	go -C interop run ./broker artemis        one
//	go -C interop run ./broker -case restart  the cases whose name matches
//
// The servers, in the versions that the folders under peers pin:
//
//   - rhea, the AMQP library for JavaScript, as a server: it takes messages, decodes and reports them;
//   - activemq and artemis, Apache's brokers in Java: they keep the messages on disk, and rhea's client reads them from their queues;
//   - vertx, vertx-proton for Java as a server;
//   - rabbitmq, RabbitMQ as Debian has it, which is installed if it is missing;
//   - netlite, the listener of AMQPNetLite: the program that the environment variable INTEROP_DOTNET names has it;
//   - fe2o3, fe2o3-amqp's acceptors for Rust, which takes a minute and a half to build, so by name only;
//   - brokerj, Apache Qpid Broker-J: it refuses the message format of batches, so that only its limit of channels is of use, by name.
//
// They need Node.js, a JDK with Maven, and Rust for fe2o3; all are installed as the clients of the command interop are, and run on loopback. What they lack
// is switched off: there is no $cbs, but in the case "the whole producer", for which rhea's server and the listener have one, and a $management.
//
// Some are programs that cannot be told anything. A relay of ours stands before those: it counts connections, and cuts them. What else
// they have no means for, the table says. RabbitMQ 3 turns the order of data sections round and vertx-proton hands out one of them, so they get batches of one.
//
// Each case publishes over a connection of its own, to addresses of its own, batches of random bytes. It ends with a
// last small batch; when that has been read, so has all before it, and what was read must be the batches in their order,
// byte for byte (number of data sections, their lengths, SHA-256), each once, and no more often than once for each try
// whose outcome was unknown besides. The result is a line for each case and a table in Markdown; the exit status is 0
// only if all is well.
package main
