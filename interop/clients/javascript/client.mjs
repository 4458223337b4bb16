// Runs the checks named on the command line with Azure's client for JavaScript and prints what it saw, one
// JSON object a line; the runner in ../.. compares that with what the emulator holds.
// Connection strings, the list of keys and the like come in the environment (see ../../world.go).
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EventHubBufferedProducerClient, EventHubConsumerClient, EventHubProducerClient } from "@azure/event-hubs";
import WebSocket from "ws";
// The package does not export its key hash, which only the buffered producer uses; the file is the package's own.
import { mapPartitionKeyToId } from "./node_modules/@azure/event-hubs/dist/esm/impl/partitionKeyToIdMapper.js";

const env = process.env;
const group = EventHubConsumerClient.defaultConsumerGroupName;
const retryOptions = { maxRetries: 4, retryDelayInMs: 100, timeoutInMs: 3000 };

// How to reach the emulator: connection string, and the client's options. Node.js trusts NODE_EXTRA_CA_CERTS.
const routes = {
  plain: [env.INTEROP_CONNECTION_STRING, {}],
  reporting: [env.INTEROP_REPORTING_CONNECTION_STRING, {}],
  tls: [env.INTEROP_SERVICE_CONNECTION_STRING, { customEndpointAddress: `sb://${env.INTEROP_TLS_ADDRESS}` }],
  websocket: [
    env.INTEROP_SERVICE_CONNECTION_STRING,
    { customEndpointAddress: `sb://${env.INTEROP_WEBSOCKET_ADDRESS}`, webSocketOptions: { webSocket: WebSocket } },
  ],
};

const range = (n) => Array.from({ length: n }, (_, i) => i);
const bodies = (n) => range(n).map((i) => ({ body: Buffer.from(`event-${i}`) }));

async function withProducer(hub, use, [connection, options] = routes.plain) {
  const producer = new EventHubProducerClient(connection, hub, { retryOptions, ...options });
  try {
    return await use(producer);
  } finally {
    await producer.close();
  }
}

async function withConsumer(hub, use, [connection, options] = routes.plain) {
  const consumer = new EventHubConsumerClient(group, connection, hub, { retryOptions, ...options });
  try {
    return await use(consumer);
  } finally {
    await consumer.close();
  }
}

const seen = (partition) => (e) => ({
  partition,
  sequence: e.sequenceNumber,
  offset: e.offset,
  time: e.enqueuedTimeUtc.getTime(),
  key: e.partitionKey ?? "",
  body: Buffer.from(e.body).toString(),
});

// Reads from a position until enough(everything received so far).
async function read(consumer, partition, startPosition, enough) {
  const received = [];
  let subscription;
  try {
    await new Promise((resolve, reject) => {
      const handlers = {
        processEvents: async (events, context) => {
          received.push(...events.map(seen(context.partitionId)));
          if (enough(received)) resolve();
        },
        processError: async (error) => reject(error),
      };
      const options = { startPosition, maxBatchSize: 100, maxWaitTimeInSeconds: 1, skipParsingBodyAsJson: true };
      subscription = partition === undefined
        ? consumer.subscribe(handlers, options)
        : consumer.subscribe(partition, handlers, options);
    });
  } finally {
    await subscription?.close();
  }
  return received;
}

// Publishes 20 events, each for itself, to partition 0 and reads them from the position that pick makes of the eighth.
async function readFrom(hub, pick) {
  await withProducer(hub, async (producer) => {
    for (const event of bodies(20)) await producer.sendBatch([event], { partitionId: "0" });
  });
  return withConsumer(hub, async (consumer) => {
    const enough = (events) => events.at(-1)?.sequence === 19;
    const all = await read(consumer, "0", { offset: "-1" }, enough);
    const [position, start] = pick(all[7]);
    return { start, received: await read(consumer, "0", position, enough) };
  });
}

const echo = (route) => async (hub) => {
  await withProducer(hub, (producer) => producer.sendBatch(bodies(20), { partitionId: "0" }), route);
  const received = await withConsumer(
    hub,
    (consumer) => read(consumer, "0", { offset: "-1" }, (events) => events.length >= 20),
    route,
  );
  return { start: { by: "start" }, received };
};

// What the client says to a refusal: its code or, for want of one, its name and message. Of several tries, the last one.
async function refusalOf(promise) {
  try {
    await promise;
  } catch (caught) {
    let error = caught;
    while (error.errors?.length > 0) error = error.errors.at(-1);
    return { code: String(error.code ?? error.name), message: error.message };
  }
  return { code: "", message: "it was not refused" };
}

// Resolves with the refusal that ends a subscription; opened is called with its first event.
function subscribeWithOwner(consumer, ownerLevel, opened) {
  let subscription;
  const refused = new Promise((resolve) => {
    subscription = consumer.subscribe("0", {
      processEvents: async (events) => { if (events.length > 0) opened?.(); },
      processError: async (error) => resolve({ code: String(error.code ?? error.name), message: error.message }),
    }, { startPosition: { offset: "-1" }, ownerLevel, maxWaitTimeInSeconds: 1 });
  });
  return { refused, close: () => subscription.close() };
}

// An idempotent producer, with the id and the epoch that are given. The options are in the package, but not in its
// interface.
const withIdempotentProducer = (hub, use, route, identity) => withProducer(hub, (producer) => {
  producer._enableIdempotentRetries = true;
  if (identity) producer._partitionOptions = { 0: identity };
  return use({
    send: (batch) => producer.sendBatch(batch, { partitionId: "0" }),
    state: () => producer.getPartitionPublishingProperties("0"),
  });
}, route);

// Reads what partition 0 holds, to its end.
const readAll = (hub, route) => withConsumer(hub, async (consumer) => {
  const { lastEnqueuedSequenceNumber: last } = await consumer.getPartitionProperties("0");
  return read(consumer, "0", { offset: "-1" }, (events) => events.at(-1)?.sequence >= last);
}, route);

// Publishes 5 batches of 3 events; the acknowledgement of one of them is lost.
const publishIdempotently = (route) => async (hub) => {
  const batches = 5;
  const all = bodies(3 * batches);
  const [before, after] = await withIdempotentProducer(hub, async ({ send, state }) => {
    const first = await state();
    for (const i of range(batches)) await send(all.slice(3 * i, 3 * i + 3));
    return [first, await state()];
  }, route);
  return { events: all.length, batches, before, after, received: await readAll(hub, route) };
};

// A second producer takes over from the first, which then tries to go on, and to come back.
const replaceProducer = (route) => async (hub) => {
  const all = bodies(9);
  return withIdempotentProducer(hub, async (first) => {
    await first.send(all.slice(0, 3));
    const before = await first.state();
    const identity = { producerGroupId: before.producerGroupId, ownerLevel: before.ownerLevel + 1 };
    return withIdempotentProducer(hub, async (second) => {
      await second.send(all.slice(3, 6));
      const stolen = await refusalOf(first.send(bodies(1)));
      const once = [route[0], { retryOptions: { ...retryOptions, maxRetries: 0 } }];
      const late = { ...identity, ownerLevel: before.ownerLevel };
      const refused = await refusalOf(withIdempotentProducer(hub, ({ send }) => send(bodies(1)), once, late));
      await second.send(all.slice(6));
      return { events: all.length, before, after: await second.state(), stolen, refused, received: await readAll(hub, route) };
    }, route, identity);
  }, route);
};

const checks = {
  async properties(hub) {
    return withProducer(hub, async (producer) => {
      await producer.sendBatch(bodies(5), { partitionId: "1" });
      const about = await producer.getEventHubProperties();
      const partitions = [];
      for (const id of about.partitionIds) {
        const p = await producer.getPartitionProperties(id);
        partitions.push({
          id: p.partitionId,
          first: p.beginningSequenceNumber,
          last: p.lastEnqueuedSequenceNumber,
          offset: String(p.lastEnqueuedOffset),
          time: p.lastEnqueuedOnUtc.getTime(),
          empty: p.isEmpty,
        });
      }
      return { hub: about.name, partitions };
    });
  },

  async publish(hub) {
    await withProducer(hub, (producer) => producer.sendBatch(bodies(10)));
    return {};
  },

  async "publish by key"(hub) {
    await withProducer(hub, (producer) => producer.sendBatch(bodies(10), { partitionKey: "motor-7" }));
    return { key: "motor-7" };
  },

  async "publish to a partition"(hub) {
    await withProducer(hub, async (producer) => {
      for (const i of range(4)) await producer.sendBatch([{ body: Buffer.from(`partition-${i}`) }], { partitionId: String(i) });
    });
    return {};
  },

  async "publish a full batch"(hub) {
    return withProducer(hub, async (producer) => {
      const batch = await producer.createBatch();
      while (batch.tryAdd({ body: Buffer.from(`event-${batch.count}`.padEnd(1000, ".")) }));
      await producer.sendBatch(batch);
      return { events: batch.count, bytes: batch.sizeInBytes, limit: batch.maxSizeInBytes };
    });
  },

  async "buffered producer"(hub) {
    const failures = [];
    const producer = new EventHubBufferedProducerClient(routes.plain[0], hub, {
      retryOptions,
      maxWaitTimeInMs: 50,
      onSendEventsErrorHandler: async ({ error }) => void failures.push(error.message),
    });
    for (const i of range(500)) {
      const key = i % 2 ? `key-${i % 20}` : undefined;
      await producer.enqueueEvent({ body: Buffer.from(`event-${i}`) }, { partitionKey: key });
    }
    await producer.flush();
    await producer.close();
    if (failures.length > 0) throw new Error(failures.join("; "));
    return { events: 500 };
  },

  "consume from the start": (hub) => readFrom(hub, () => [{ offset: "-1" }, { by: "start" }]),
  "consume from an offset": (hub) =>
    readFrom(hub, (e) => [{ offset: e.offset }, { by: "offset", offset: e.offset, inclusive: false }]),
  "consume from a sequence number": (hub) =>
    readFrom(hub, (e) => [
      { sequenceNumber: e.sequence, isInclusive: true },
      { by: "sequence", sequence: e.sequence, inclusive: true },
    ]),
  "consume from a time": (hub) =>
    readFrom(hub, (e) => [{ enqueuedOn: e.time }, { by: "time", time: e.time, inclusive: false }]),

  // This project's buffered producer published these events before the script began.
  "this project's events": (hub) =>
    withConsumer(hub, async (consumer) => ({
      received: await read(consumer, undefined, { offset: "-1" }, (events) => events.length >= Number(env.INTEROP_EARTHQUAKES)),
    })),

  async "key routing"(hub) {
    const keys = JSON.parse(readFileSync(env.INTEROP_KEYS, "utf8"));
    await withProducer(hub, async (producer) => {
      for (let i = 0; i < keys.length; i += 50) {
        const some = keys.slice(i, i + 50);
        await Promise.all(some.map((key) => producer.sendBatch([{ body: Buffer.from(key) }], { partitionKey: key })));
      }
    });
    return { routes: keys.map((key) => String(mapPartitionKeyToId(key, Number(env.INTEROP_KEY_PARTITIONS)))) };
  },

  async "throttled, then accepted"(hub) {
    await withProducer(hub, (producer) => producer.sendBatch(bodies(10)));
    return {};
  },

  async "producer reconnects"(hub) {
    await withProducer(hub, async (producer) => {
      for (const event of bodies(3)) await producer.sendBatch([event], { partitionId: "0" });
    });
    return { events: 3 };
  },

  async "consumer reconnects"(hub) {
    await withProducer(hub, async (producer) => {
      for (const i of range(4)) await producer.sendBatch([{ body: Buffer.from(`partition-${i}`) }], { partitionId: String(i) });
    });
    // One connection for all partitions. The emulator closes it when the last one is attached.
    const received = await withConsumer(hub, async (consumer) => {
      const bodiesSeen = new Set();
      const lists = await Promise.all(range(4).map((i) => read(consumer, String(i), { offset: "-1" }, (events) => {
        bodiesSeen.add(events[0]?.body);
        return events.length > 0;
      })));
      return lists.flat();
    });
    return { received };
  },

  async "epoch stealing"(hub) {
    await withProducer(hub, (producer) => producer.sendBatch(bodies(1), { partitionId: "0" }));
    const withOwner = (level, opened) => withConsumer(hub, async (consumer) => {
      const reader = subscribeWithOwner(consumer, level, opened);
      const refusal = await reader.refused;
      await reader.close();
      return refusal;
    });
    let first;
    await new Promise((opened) => { first = withOwner(1, opened); });
    const second = new EventHubConsumerClient(group, routes.plain[0], hub, { retryOptions });
    let winner;
    await new Promise((opened) => { winner = subscribeWithOwner(second, 2, opened); });
    const stolen = await first;
    const refused = await withOwner(1);
    await winner.close();
    await second.close();
    return { stolen, refused };
  },

  async "SAS refused"(hub) {
    const send = (connection) => refusalOf(withProducer(
      hub,
      (producer) => producer.sendBatch(bodies(1)),
      [connection, { retryOptions: { ...retryOptions, maxRetries: 0 } }],
    ));
    return { wrongKey: await send(env.INTEROP_WRONG_KEY), listenOnly: await send(env.INTEROP_LISTEN_ONLY) };
  },

  "over TLS": echo(routes.tls),
  "over WebSocket": echo(routes.websocket),

  "idempotent publishing": publishIdempotently(routes.plain),
  "idempotent publishing, numbers reported": publishIdempotently(routes.reporting),
  "idempotent producer replaced": replaceProducer(routes.plain),
  "idempotent producer replaced, numbers reported": replaceProducer(routes.reporting),
};

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const { version } = JSON.parse(readFileSync(new URL("./node_modules/@azure/event-hubs/package.json", import.meta.url)));
say({ client: "@azure/event-hubs", version, runtime: `Node.js ${process.versions.node}` });
for (const argument of process.argv.slice(2)) {
  const [check, hub] = argument.split("=");
  const started = Date.now();
  try {
    const line = await checks[check](hub);
    say({ check, ...line, milliseconds: Date.now() - started });
  } catch (error) {
    say({ check, error: `${error.stack}` });
  }
}
