// Processes a hub's events beside other processors, until its standard input ends. Its argument is its name. Each line of
// output is a JSON object (see ../process.go). An event's line is written before its checkpoint, so that a killed program
// has reported every event that it has a checkpoint for.
import { readFileSync, writeSync } from "node:fs";
import { EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";
import { BlobCheckpointStore } from "@azure/eventhubs-checkpointstore-blob";
import { ContainerClient } from "@azure/storage-blob";

const environment = process.env;
const every = Number(environment.PROCESSOR_CHECKPOINT_EVERY);
const handled = new Map();

// say writes at once: a killed process loses what its streams still hold.
const say = (line) => writeSync(1, JSON.stringify(line) + "\n");

const { version } = JSON.parse(readFileSync(new URL("./node_modules/@azure/event-hubs/package.json", import.meta.url)));
say({ version, runtime: "Node.js " + process.versions.node.split(".")[0] });

const store = new BlobCheckpointStore(new ContainerClient(environment.PROCESSOR_STORAGE, environment.PROCESSOR_CONTAINER));
const consumer = new EventHubConsumerClient("$Default", environment.PROCESSOR_CONNECTION_STRING, environment.PROCESSOR_HUB, store, {
  loadBalancingOptions: {
    strategy: "balanced",
    updateIntervalInMs: 1000 * Number(environment.PROCESSOR_INTERVAL_SECONDS),
    partitionOwnershipExpirationIntervalInMs: 1000 * Number(environment.PROCESSOR_EXPIRATION_SECONDS),
  },
});
const subscription = consumer.subscribe(
  {
    processInitialize: async (context) => say({ owns: context.partitionId }),
    processClose: async (_, context) => say({ lost: context.partitionId }),
    processError: async (error, context) => say({ error: `${context.partitionId} ${error.name}: ${error.message}` }),
    processEvents: async (events, context) => {
      const { partitionId } = context;
      for (const event of events) {
        say({ partition: partitionId, sequence: event.sequenceNumber, body: String(event.body) });
        handled.set(partitionId, (handled.get(partitionId) ?? 0) + 1);
        if (handled.get(partitionId) % every === 0) {
          await context.updateCheckpoint(event);
        }
      }
    },
  },
  { startPosition: earliestEventPosition, maxBatchSize: 50, maxWaitTimeInSeconds: 1 },
);
process.stdin.on("end", async () => {
  await subscription.close();
  await consumer.close();
  process.exit(0);
});
process.stdin.resume();
