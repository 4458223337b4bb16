// A peer of the benchmark: the official buffered producer, event by event. It reads a job from standard input and answers with a measurement,
// both JSON; see client.go.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { randomBytes } from "node:crypto";
import { EventHubBufferedProducerClient } from "@azure/event-hubs";

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, "line");
const { Scenario: scenario, Server: server, Warm: warm, Measure: measure } = JSON.parse(line);

const ring = randomBytes((4 << 20) + scenario.Size);
let failure;
const options = { onSendEventsErrorHandler: async ({ error }) => void (failure ??= error) };
if (!scenario.Defaults) {
  options.maxWaitTimeInMs = 5;
  options.maxEventBufferLengthPerPartition = Math.floor(100_000 / scenario.Partitions);
}
const producer = new EventHubBufferedProducerClient(server.ConnectionString, "events", options);

let sent = 0;
// publish enqueues for so many nanoseconds and waits until all is acknowledged.
async function publish(nanoseconds) {
  const end = process.hrtime.bigint() + BigInt(nanoseconds);
  while (process.hrtime.bigint() < end) {
    for (let i = 0; i < 100; i++, sent++) {
      const at = (sent * scenario.Size) % (4 << 20);
      await producer.enqueueEvent({ body: ring.subarray(at, at + scenario.Size) });
    }
  }
  await producer.flush();
  if (failure) throw failure;
}

await publish(warm);
const before = { sent, cpu: process.cpuUsage(), at: process.hrtime.bigint() };
await publish(measure);
const seconds = Number(process.hrtime.bigint() - before.at) / 1e9;
const cpu = process.cpuUsage(before.cpu); // in microseconds
await producer.close();

const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(require.resolve("@azure/event-hubs/package.json"), "utf8"));
const events = sent - before.sent;
console.log(
  JSON.stringify({
    Version: version,
    Sent: sent,
    Events: events,
    Bytes: events * scenario.Size,
    Seconds: seconds,
    CPU: (cpu.user + cpu.system) * 1000,
    Mallocs: -1,
    Allocated: -1,
    PeakRSS: process.resourceUsage().maxRSS * 1024,
  }),
);
process.exit(0);
