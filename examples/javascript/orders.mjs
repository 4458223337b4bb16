// Publishes a shop's orders to an event hub.
import { EventHubProducerClient } from "@azure/event-hubs";

// publish resolves when the hub has stored the orders. A customer's orders keep their sequence.
export async function publish(connectionString, hub, orders) {
  const producer = new EventHubProducerClient(connectionString, hub);
  try {
    for (const order of orders) {
      await producer.sendBatch([{ body: order }], { partitionKey: order.customer });
    }
  } finally {
    await producer.close();
  }
}
