// Sends or receives under the faults of the runner (see ../../faults.go) with Azure's client for JavaScript and default
// options. All hubs of the command line run at the same time. It prints the lines that ../faults/main.go describes.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from "@azure/event-hubs";

const connection = process.env.INTEROP_CONNECTION_STRING;
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const seconds = (since) => (performance.now() - since) / 1000;
const name = (error) => [error.name, error.code].filter(Boolean).join(" ");
const describe = (error) => ({
  class: error ? [name(error), ...(error.errors ?? []).slice(-1).map((e) => `of ${name(e)}`)].join(" ") : "",
  message: error?.message ?? "",
});

// close reports how long closing took, even if it failed.
async function close(hub, what) {
  const began = performance.now();
  try {
    await what();
  } catch {
    // It took its time all the same.
  }
  say({ hub, closed: seconds(began) });
}

async function send(hub, blind) {
  const producer = new EventHubProducerClient(connection, hub);
  if (!blind) await producer.getEventHubProperties();
  say({ hub, ready: true });
  const began = performance.now();
  let failure;
  try {
    await producer.sendBatch([{ body: "event" }], { partitionId: "0" });
  } catch (error) {
    failure = error;
  }
  say({ hub, seconds: seconds(began), events: 0, ...describe(failure) });
  await close(hub, () => producer.close());
}

async function receive(hub) {
  const consumer = new EventHubConsumerClient(EventHubConsumerClient.defaultConsumerGroupName, connection, hub);
  await consumer.getEventHubProperties();
  say({ hub, ready: true });
  const began = performance.now();
  const seen = new Set();
  let failure;
  let subscription;
  await new Promise((resolve) => {
    subscription = consumer.subscribe("0", {
      processEvents: async (events) => {
        for (const e of events) seen.add(e.sequenceNumber);
        if (seen.size >= 5) resolve();
      },
      processError: async (error) => {
        failure ??= error;
        setTimeout(resolve, 5000); // the subscription may go on
      },
    }, { startPosition: earliestEventPosition, maxBatchSize: 1 });
  });
  say({ hub, seconds: seconds(began), events: seen.size, ...describe(failure) });
  await close(hub, async () => {
    await subscription.close();
    await consumer.close();
  });
}

const about = JSON.parse(readFileSync(new URL("./node_modules/@azure/event-hubs/package.json", import.meta.url)));
say({ client: about.name, version: about.version });
await Promise.all(process.argv.slice(2).map(async (argument, i) => {
  const [hub, role] = argument.split("=");
  await sleep(i * 200); // so that they do not slow each other down
  try {
    await (role === "receive" ? receive(hub) : send(hub, role === "blind"));
  } catch (error) {
    say({ hub, seconds: 0, events: 0, ...describe(error) });
  }
}));
process.exit(0);
