// Reads queues of a broker with rhea's client and reports what arrives: node reader.mjs PORT. In queues whose names begin
// with producer, each data section is an event, reported by itself.
import rhea from "rhea";
import { dataSections, obey, say, tell, tellEvents } from "./report.mjs";

const connection = rhea.connect({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  container_id: "reader",
  username: "reader", // without a password: SASL's ANONYMOUS, which some brokers require
  max_frame_size: 65536,
  reconnect: false, // the runner starts another reader
  receiver_options: { credit_window: 20 },
});

rhea.on("message", ({ receiver, message, format = 0 }) => {
  const { address } = receiver.source;
  (address.startsWith("producer") ? tellEvents : tell)(address, format, dataSections(message));
});
rhea.on("connection_open", () => say({ ready: "" }));
for (const fault of ["connection_error", "session_error", "receiver_error", "protocol_error", "disconnected", "error"]) {
  rhea.on(fault, (context) => {
    const error = context.error ?? context.connection?.error ?? context.receiver?.error ?? context;
    say({ fault: `${fault}: ${error?.description ?? error?.message ?? error}` });
    process.exit(1);
  });
}

obey({
  read: (address) => new Promise((opened) => {
    connection.open_receiver(address).once("receiver_open", () => opened(0));
  }),
});
