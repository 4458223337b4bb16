// A program's test under faults of the emulator: node --test examples/faults/faults.test.mjs
// It needs @azure/event-hubs, and the program eventhubs (in PATH, or in the variable EVENTHUBS).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { EventHubProducerClient } from "@azure/event-hubs";

let emulator;
let connectionString;
let page;

before(async () => {
  emulator = spawn(process.env.EVENTHUBS ?? "eventhubs", ["emulator", "--hub", "orders:1", "--http", "127.0.0.1:0"]);
  const firstLine = once(createInterface(emulator.stdout), "line");
  page = await new Promise((resolve, reject) => {
    emulator.on("error", reject).on("exit", () => reject(new Error("the emulator has ended")));
    createInterface(emulator.stderr).on("line", (line) => {
      const found = /^Page: (\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  [connectionString] = await firstLine;
});
after(() => emulator.kill());
afterEach(() => call("DELETE", "api/faults")); // the next test begins without faults

// call calls the emulator's HTTP API.
async function call(method, path, body) {
  const response = await fetch(page + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), answer);
  return answer;
}

const fault = (rule) => call("POST", "api/faults", { rule });
const stored = async () => (await call("GET", "api/hubs/orders")).events;

// send stands for the code under test.
async function send(retryOptions = { retryDelayInMs: 10 }) {
  const producer = new EventHubProducerClient(connectionString, "orders", { retryOptions });
  try {
    await producer.sendBatch([{ body: "an order" }]);
  } finally {
    await producer.close();
  }
}

test("a throttled send is retried", async () => {
  const earlier = await stored();
  const { id } = await fault("throttle hub=orders count=2");
  await send();
  assert.equal(await stored(), earlier + 1);
  const { faults } = await call("GET", "api/faults");
  assert.equal(faults.find((f) => f.id === id).hits, 2);
});

test("a released event is reported", async () => {
  await fault("release hub=orders");
  await assert.rejects(send(), { code: "SendOperationFailedError" });
});

test("a disabled hub is reported", async () => {
  await call("PATCH", "api/hubs/orders", { disabled: true });
  try {
    await assert.rejects(send({ maxRetries: 0 }), /is disabled/);
  } finally {
    await call("PATCH", "api/hubs/orders", { disabled: false });
  }
});

test("a wrong rule names its field", async () => {
  await assert.rejects(fault("throttle hub=order"), { field: "hub" });
});
