import assert from "node:assert/strict";
import { test } from "node:test";
import { EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";
import { publish } from "./orders.mjs";

const {
  EVENTHUBS_CONNECTION_STRING: connectionString,
  EVENTHUB_NAME: hub,
  EVENTHUBS_EMULATOR_URL: emulator,
} = process.env;

test("orders have their customer as key", async () => {
  await publish(connectionString, hub, [{ id: 1, customer: "ann" }, { id: 2, customer: "bob" }]);

  const answer = await fetch(`${emulator}/api/events?hub=${hub}&q=customer`);
  const { events } = await answer.json();
  const stored = events.map((event) => `${event.key} ${JSON.parse(event.body.text).id}`);
  assert.deepEqual(stored.sort(), ["ann 1", "bob 2"]);
});

test("a customer's orders are read in sequence", async () => {
  await publish(connectionString, hub, [{ id: 3, customer: "eve" }, { id: 4, customer: "eve" }]);

  const consumer = new EventHubConsumerClient("$Default", connectionString, hub);
  const read = [];
  try {
    await new Promise((resolve, reject) => {
      consumer.subscribe(
        {
          processEvents: async (events) => {
            read.push(...events.filter((event) => event.partitionKey === "eve").map((event) => event.body.id));
            if (read.length === 2) resolve();
          },
          processError: async (error) => reject(error),
        },
        { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
      );
    });
  } finally {
    await consumer.close();
  }
  assert.deepEqual(read, [3, 4]);
});
