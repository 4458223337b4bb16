// An AMQP server made of rhea: node server.mjs PORT DIRECTORY. It stores nothing and reports what arrives (report.mjs).
//
// Hubs whose names begin otherwise than others behave otherwise:
//   dry…       two messages are allowed, more when the runner says so
//   limited…   the link says that it takes 300,000 bytes at most
//   strict…    the link says nothing of the kind, and refuses what is larger
//   missing…   there is no such address
//   producer…  each data section is an event, reported by itself
//   numbered…  the producers are idempotent, and what arrives is kept in a file and reported when the runner says so (numbered.mjs)
import { readFileSync } from "node:fs";
import { join } from "node:path";
import rhea from "rhea";
import { Numbered } from "./numbered.mjs";
import { dataSections, obey, say, tell, tellEvents } from "./report.mjs";

const most = 300_000; // bytes of a message
const credit = 10; // messages in flight on one link
const batchFormat = 0x80013700; // of a message that has a batch
const partitions = 4; // of a hub, as its properties say
const { wrap_array, wrap_int, wrap_string, wrap_timestamp } = rhea.types;

const numbered = new Numbered(join(process.argv[3], "numbered"));
const receivers = new Set(); // the runner's sending links
const connections = new Set(); // the runner's open connections
const replies = new Map(); // senders of replies, by their address
let swallowing = false; // the next message is stored, but not acknowledged
let dying = false; // the same for a numbered batch, and then the process is killed

rhea.on("receiver_open", ({ receiver }) => {
  const address = receiver.target?.address ?? "";
  // Clients that ask for a mode expect it in the answer.
  receiver.local.attach.snd_settle_mode = receiver.remote.attach.snd_settle_mode;
  if (address.startsWith("missing")) {
    receiver.close({ condition: "amqp:not-found", description: `There is no ${address}.` });
    return;
  }
  receiver.set_target(receiver.remote.attach.target);
  const refusal = address.startsWith("numbered") && numbered.attach(receiver);
  if (refusal) {
    receiver.close({ condition: refusal, description: "Another producer has a higher epoch." });
    return;
  }
  if (address.startsWith("limited")) receiver.local.attach.max_message_size = most;
  receivers.add(receiver);
  if (address.startsWith("dry")) {
    receiver.add_credit(2);
    return;
  }
  receiver.set_credit_window(credit);
  receiver.add_credit(credit);
});

rhea.on("sender_open", ({ sender }) => {
  sender.local.attach.snd_settle_mode = sender.remote.attach.snd_settle_mode;
  sender.set_source(sender.remote.attach.source);
  sender.set_target(sender.remote.attach.target);
  replies.set(sender.target.address, sender);
});

rhea.on("message", ({ receiver, connection, message, delivery, format = 0 }) => {
  if (!receivers.has(receiver) || !connections.has(connection)) return; // closed meanwhile: neither stored nor answered
  const { address } = receiver.target;
  if (address.startsWith("$")) {
    delivery.accept();
    answer(address, message);
    return;
  }
  const sections = dataSections(message);
  if (address.startsWith("strict") && sections.reduce((sum, s) => sum + s.length, 0) > most) {
    delivery.reject({ condition: "amqp:link:message-size-exceeded", description: `The limit is ${most} bytes.` });
    return;
  }
  if (address.startsWith("numbered")) {
    const refusal = numbered.store(address, sections);
    if (dying && !refusal) process.kill(process.pid, "SIGKILL");
    if (refusal) delivery.reject({ condition: refusal, description: "The numbers are not the next ones." });
    else delivery.accept();
    return;
  }
  (address.startsWith("producer") ? tellEvents : tell)(address, format, sections);
  if (swallowing) {
    swallowing = false;
    destroy(connection);
    return;
  }
  delivery.accept();
});

// answer lets everybody in, and knows each hub that it is asked for.
function answer(node, { message_id, reply_to, application_properties: asked }) {
  const reply = {
    correlation_id: message_id,
    application_properties: { "status-code": wrap_int(200), "status-description": "OK" },
  };
  if (node === "$management") {
    const ids = Array.from({ length: partitions }, (_, i) => String(i));
    reply.body = {
      name: asked.name,
      type: asked.type,
      created_at: wrap_timestamp(Date.now()),
      partition_count: wrap_int(partitions),
      partition_ids: wrap_array(ids, 0xa1, undefined),
      georeplication_factor: wrap_int(1),
    };
  }
  replies.get(reply_to).send(reply);
}

function destroy(connection) {
  connections.delete(connection);
  connection.socket.destroy();
}

const mine = (address) => [...receivers].filter((r) => r.target.address === address);
const each = (some, act) => {
  const all = [...some];
  all.forEach(act);
  return all.length;
};

rhea.on("connection_open", ({ connection }) => connections.add(connection));
rhea.on("receiver_close", ({ receiver }) => receivers.delete(receiver));
for (const end of ["connection_close", "disconnected"]) {
  rhea.on(end, ({ connection }) => {
    connections.delete(connection);
    each(receivers, (r) => { if (r.connection === connection) receivers.delete(r); });
  });
}
// What the other side does not like is the runner's affair; a fault in the protocol ends everything.
for (const fault of ["connection_error", "session_error", "receiver_error", "sender_error"]) rhea.on(fault, () => {});
for (const fault of ["protocol_error", "error"]) {
  rhea.on(fault, (error) => {
    say({ fault: `${error.stack ?? error}` });
    process.exit(1);
  });
}

obey({
  connections: () => connections.size,
  // The link is closed. Messages that come before the other side knows are dropped.
  detach: (address) => each(mine(address), (r) => {
    receivers.delete(r);
    r.close({ condition: "amqp:link:detach-forced", description: "The link was closed by the runner." });
  }),
  close: () => each(connections, (c) => {
    connections.delete(c);
    c.close({ condition: "amqp:connection:forced", description: "The connection was closed by the runner." });
  }),
  cut: () => each(connections, destroy),
  read: (address) => each(numbered.batches(address), (sections) => tellEvents(address, batchFormat, sections)),
  swallow: () => { swallowing = true; },
  die: () => { dying = true; },
  allow: (address) => each(mine(address), (r) => {
    r.set_credit_window(credit);
    r.add_credit(credit);
  }),
});

const { version } = JSON.parse(readFileSync(new URL("./node_modules/rhea/package.json", import.meta.url)));
rhea.listen({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  max_frame_size: 16384, // a message has many frames; rhea's time grows with the square of their number
  channel_max: 63,
  idle_time_out: 2000, // ms
  receiver_options: { rcv_settle_mode: 0, autoaccept: false, credit_window: 0 },
}).on("listening", () => say({ ready: version, runtime: `Node.js ${process.versions.node}` }));
