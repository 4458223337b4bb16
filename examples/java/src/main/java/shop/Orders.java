package shop;

import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.models.SendOptions;
import java.util.List;

/** Publishes a shop's orders to an event hub. */
public final class Orders {
    public record Order(int id, String customer) {
        String json() {
            return "{\"id\":%d,\"customer\":\"%s\"}".formatted(id, customer);
        }
    }

    private Orders() {}

    /** Returns when the hub has stored the orders. A customer's orders keep their sequence. */
    public static void publish(String connectionString, String hub, List<Order> orders) {
        try (var producer = new EventHubClientBuilder().connectionString(connectionString, hub).buildProducerClient()) {
            for (Order order : orders) {
                producer.send(List.of(new EventData(order.json())), new SendOptions().setPartitionKey(order.customer()));
            }
        }
    }
}
