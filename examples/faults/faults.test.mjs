// A program's tests under faults of the emulator, which runs them and ends with their status:
// eventhubs emulator --hub orders:1 --http :0 -- node --test
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { EventHubProducerClient } from "@azure/event-hubs";

const { EVENTHUBS_CONNECTION_STRING: connectionString, EVENTHUBS_EMULATOR_URL: emulator } = process.env;

afterEach(() => call("DELETE", "/api/faults")); // the next test begins without faults

// call calls the emulator's HTTP API.
async function call(method, path, body) {
  const response = await fetch(emulator + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), answer);
  return answer;
}

const fault = (rule) => call("POST", "/api/faults", { rule });
const stored = async () => (await call("GET", "/api/hubs/orders")).events;

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
  const { faults } = await call("GET", "/api/faults");
  assert.equal(faults.find((f) => f.id === id).hits, 2);
});

test("a released event is reported", async () => {
  await fault("release hub=orders");
  await assert.rejects(send(), { code: "SendOperationFailedError" });
});

test("a disabled hub is reported", async () => {
  await call("PATCH", "/api/hubs/orders", { disabled: true });
  try {
    await assert.rejects(send({ maxRetries: 0 }), /is disabled/);
  } finally {
    await call("PATCH", "/api/hubs/orders", { disabled: false });
  }
});

test("a wrong rule names its field", async () => {
  await assert.rejects(fault("throttle hub=order"), { field: "hub" });
});
