// Stands in for an Event Hubs namespace in the scripts that need one: rhea, on a loopback port that the kernel chooses and that is the first line printed.
// It answers put-token, and every message on another link with the outcome that the first argument names. The second argument is the max-message-size of
// its attaches: a number, "null" (written as null) or "absent" (the fields at the end are left out, which means the same). With a third argument it prints
// for each of these messages the length of its delivery tag and its partition key. TLS_CERT and TLS_KEY name PEM files for TLS on port 5671.
// For processors it answers $management with a hub of PARTITIONS (2) partitions, and sends every consumer the EVENTS (0) events of its partition that
// are after its start; their offsets are hundreds. With a third argument it prints each consumer's partition and start. SIGHUP adds an event to each
// partition. SIGUSR2 does so while no consumer is attached: it first detaches them, as an update of the service does.
const rhea = require('rhea');
const [outcome, limit, show] = process.argv.slice(2);
const states = { accepted: () => rhea.message.accepted(), released: () => rhea.message.released(), modified: () => rhea.message.modified({}),
  unauthorized: () => rhea.message.rejected({ error: { condition: 'amqp:unauthorized-access', description: 'no Send right' } }),
  busy: () => rhea.message.rejected({ error: { condition: 'com.microsoft:server-busy', description: 'busy' } }) };
const container = rhea.create_container({ id: 'server' });
container.sasl_server_mechanisms.enable_anonymous();
for (const e of ['connection_error', 'session_error', 'receiver_error', 'sender_error', 'protocol_error', 'error', 'disconnected']) container.on(e, () => {});
const answer = link => {
  const { local, remote } = link;
  Object.assign(local.attach, { snd_settle_mode: remote.attach.snd_settle_mode, rcv_settle_mode: remote.attach.rcv_settle_mode });
  if (limit !== 'absent') local.attach.properties = { server: 'rhea' };
  if (Number(limit)) local.attach.max_message_size = Number(limit);
  if (remote.attach.source?.value) link.set_source(remote.attach.source);
  link.set_target(remote.attach.target);
};
container.on('receiver_open', c => answer(c.receiver));
const { PARTITIONS = 2 } = process.env;
let events = Number(process.env.EVENTS || 0);
const consumers = new Set();
const give = link => {
  for (; link.sendable() && link.given < events; link.given++) {
    const annotations = { 'x-opt-sequence-number': rhea.types.wrap_long(link.given), 'x-opt-offset': String(link.given * 100), 'x-opt-enqueued-time': rhea.types.wrap_timestamp(Date.now()) };
    link.send({ message_annotations: annotations, body: rhea.message.data_section(Buffer.from(`event ${link.given}`)) });
  }
};
process.on('SIGHUP', () => { events++; consumers.forEach(give); });
process.on('SIGUSR2', () => {
  for (const link of consumers) link.close({ condition: 'amqp:link:detach-forced', description: 'The link is force detached.' });
  consumers.clear();
  events++;
});
const partitionOf = sender => /Partitions\/(.*)/.exec((sender.remote.attach.source || {}).address)?.[1];
container.on('sender_open', c => {
  answer(c.sender);
  const partition = partitionOf(c.sender);
  if (partition === undefined) return;
  const selector = String(Object.values(c.sender.remote.attach.source.filter || {}).map(filter => filter?.value ?? filter));
  const [, annotation, after] = /(sequence-number|offset) > '?(\d+)'?/.exec(selector) || [];
  c.sender.given = after === undefined ? (selector.includes('@latest') ? events : 0) : annotation === 'offset' ? after / 100 + 1 : Number(after) + 1;
  consumers.add(c.sender);
  if (show) console.log(`consumer of ${partition} from ${selector}`);
});
container.on('sendable', c => { if (consumers.has(c.sender)) give(c.sender); });
const management = request => {
  const { name, type } = request.application_properties;
  const ids = rhea.types.wrap_array([...Array(Number(PARTITIONS)).keys()].map(String), 0xa1);
  return { name, type, created_at: new Date(0), partition_count: rhea.types.wrap_int(Number(PARTITIONS)), partition_ids: ids, georeplication_factor: rhea.types.wrap_int(1) };
};
container.on('message', c => {
  const { address } = c.receiver.target;
  if (address !== '$cbs' && address !== '$management') {
    const message = Buffer.isBuffer(c.message) ? rhea.message.decode(c.message) : c.message; // rhea leaves a batch as bytes
    if (show) console.log(`tag of ${c.delivery.tag.length} bytes, key ${(message.message_annotations || {})['x-opt-partition-key']}`);
    c.delivery.update(true, states[outcome]().described());
    return;
  }
  c.delivery.accept();
  let reply;
  c.connection.each_link(l => { if (l.is_sender() && l.remote.attach.source.address === address) reply = l; });
  const body = address === '$management' ? management(c.message) : {};
  reply.send({ correlation_id: c.message.message_id, application_properties: { 'status-code': rhea.types.wrap_int(202), 'status-description': 'Accepted' }, body });
});
const fs = require('fs');
const { TLS_CERT, TLS_KEY } = process.env;
const secure = TLS_CERT ? { transport: 'tls', port: 5671, cert: fs.readFileSync(TLS_CERT), key: fs.readFileSync(TLS_KEY) } : { port: 0 };
const listener = container.listen({ host: '127.0.0.1', ...secure, receiver_options: { autoaccept: false } });
listener.on('listening', () => console.log(listener.address().port));
