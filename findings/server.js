// Stands in for an Event Hubs namespace in the scripts that need one: rhea, on a loopback port that the kernel chooses and that is the first line printed.
// It answers put-token, and every message on another link with the outcome that the first argument names. The second argument is the max-message-size of
// its attaches: a number, "null" (written as null) or "absent" (the fields at the end are left out, which means the same). With a third argument it prints
// the partition and start of each consumer, and for each message the length of its delivery tag and its partition key. If that argument is "bodies" it
// prints the body of each event instead, in the order of arrival. TLS_CERT and TLS_KEY name PEM files for TLS on port 5671.
// Its hub has PARTITIONS (2) partitions with EVENTS (0) events each. EVENTS may also be JSON: a list for each partition, of {body, key, properties}. What a
// partition accepts comes after these. A consumer gets the events after its start; their offsets are hundreds. SIGHUP adds an event to each partition.
// SIGUSR2 does so while no consumer is attached: it first detaches them, as an update of the service does.
const rhea = require('rhea');
const { wrap_int, wrap_long, wrap_timestamp, wrap_array } = rhea.types;
const [outcome, limit, show] = process.argv.slice(2);
const states = { accepted: () => rhea.message.accepted(), released: () => rhea.message.released(), modified: () => rhea.message.modified({}),
  unauthorized: () => rhea.message.rejected({ error: { condition: 'amqp:unauthorized-access', description: 'no Send right' } }),
  busy: () => rhea.message.rejected({ error: { condition: 'com.microsoft:server-busy', description: 'busy' } }) };
const container = rhea.create_container({ id: 'server' });
container.sasl_server_mechanisms.enable_anonymous();
for (const e of ['connection_error', 'session_error', 'receiver_error', 'sender_error', 'protocol_error', 'error', 'disconnected']) container.on(e, () => {});

const event = ({ body, key, properties }) => ({ body: rhea.message.data_section(Buffer.from(body)), application_properties: properties,
  message_annotations: key && { 'x-opt-partition-key': key } });
const numbered = i => event({ body: `event ${i}` });
const wanted = JSON.parse(process.env.EVENTS || '0');
const partitions = Array.isArray(wanted) ? wanted.map(list => list.map(event))
  : Array.from({ length: process.env.PARTITIONS || 2 }, () => Array.from({ length: wanted }, (_, i) => numbered(i)));
const partitionOf = address => /Partitions\/(.*)/.exec(address)?.[1];
const sourceOf = sender => (sender.remote.attach.source || {}).address;

const answer = link => {
  const { local, remote } = link;
  Object.assign(local.attach, { snd_settle_mode: remote.attach.snd_settle_mode, rcv_settle_mode: remote.attach.rcv_settle_mode });
  if (limit !== 'absent') local.attach.properties = { server: 'rhea' };
  if (Number(limit)) local.attach.max_message_size = Number(limit);
  if (remote.attach.source?.value) link.set_source(remote.attach.source);
  link.set_target(remote.attach.target);
};
container.on('receiver_open', c => answer(c.receiver));

const consumers = new Set();
const give = link => {
  const events = partitions[partitionOf(sourceOf(link))];
  for (; link.sendable() && link.given < events.length; link.given++) {
    const next = events[link.given];
    link.send({ ...next, message_annotations: { ...next.message_annotations,
      'x-opt-sequence-number': wrap_long(link.given), 'x-opt-offset': String(link.given * 100), 'x-opt-enqueued-time': wrap_timestamp(Date.now()) } });
  }
};
const add = () => partitions.forEach(events => events.push(numbered(events.length)));
process.on('SIGHUP', () => { add(); consumers.forEach(give); });
process.on('SIGUSR2', () => {
  for (const link of consumers) link.close({ condition: 'amqp:link:detach-forced', description: 'The link is force detached.' });
  consumers.clear();
  add();
});
container.on('sender_open', c => {
  answer(c.sender);
  const events = partitions[partitionOf(sourceOf(c.sender))];
  if (!events) return;
  const selector = String(Object.values(c.sender.remote.attach.source.filter || {}).map(filter => filter?.value ?? filter));
  const [, annotation, after] = /(sequence-number|offset) > '?(\d+)'?/.exec(selector) || [];
  c.sender.given = after === undefined ? (selector.includes('@latest') ? events.length : 0) : annotation === 'offset' ? after / 100 + 1 : Number(after) + 1;
  consumers.add(c.sender);
  if (show && show !== 'bodies') console.log(`consumer of ${partitionOf(sourceOf(c.sender))} from ${selector}`);
});
container.on('sendable', c => { if (consumers.has(c.sender)) give(c.sender); });

const describe = ({ type, name, partition }) => {
  if (type !== 'com.microsoft:partition')
    return { type, name, created_at: new Date(0), partition_count: wrap_int(partitions.length), partition_ids: wrap_array(partitions.map((_, i) => String(i)), 0xa1), georeplication_factor: wrap_int(1) };
  const last = partitions[partition].length - 1;
  return { type, name, partition, begin_sequence_number: wrap_long(0), last_enqueued_sequence_number: wrap_long(last), last_enqueued_offset: String(last * 100),
    last_enqueued_time_utc: new Date(), is_partition_empty: last < 0 };
};
container.on('message', c => {
  const to = c.receiver.target.address;
  if (to !== '$cbs' && to !== '$management') {
    const batch = Buffer.isBuffer(c.message); // rhea leaves a batch as bytes
    const message = batch ? rhea.message.decode(c.message) : c.message;
    const events = batch ? [].concat(message.body.content).map(section => rhea.message.decode(section)) : [message];
    if (outcome === 'accepted') partitions[partitionOf(to)]?.push(...events);
    if (show === 'bodies') console.log(events.map(e => e.body.content).join('\n'));
    else if (show) console.log(`tag of ${c.delivery.tag.length} bytes, key ${(message.message_annotations || {})['x-opt-partition-key']}`);
    c.delivery.update(true, states[outcome]().described());
    consumers.forEach(give);
    return;
  }
  c.delivery.accept();
  let reply;
  c.connection.each_link(l => { if (l.is_sender() && sourceOf(l) === to) reply = l; });
  const [status, description, body] = to === '$cbs' ? [202, 'Accepted', {}] : [200, 'OK', describe(c.message.application_properties)];
  reply.send({ correlation_id: c.message.message_id, body, application_properties: { 'status-code': wrap_int(status), 'status-description': description } });
});

const fs = require('fs');
const { TLS_CERT, TLS_KEY } = process.env;
const secure = TLS_CERT ? { transport: 'tls', port: 5671, cert: fs.readFileSync(TLS_CERT), key: fs.readFileSync(TLS_KEY) } : { port: 0 };
const listener = container.listen({ host: '127.0.0.1', ...secure, receiver_options: { autoaccept: false } });
listener.on('listening', () => console.log(listener.address().port));
