package shop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.PartitionEvent;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import shop.Orders.Order;

class OrdersTest {
    private static final List<Order> ORDERS = List.of(new Order(1, "ann"), new Order(2, "bob"), new Order(3, "ann"));

    private Emulator emulator;

    @BeforeEach
    void start() throws Exception {
        emulator = new Emulator();
    }

    @AfterEach
    void stop() throws Exception {
        emulator.close();
    }

    @Test
    void ordersHaveTheirCustomerAsKey() throws Exception {
        Orders.publish(emulator.connectionString(), "orders", ORDERS);

        URI search = URI.create(emulator.url() + "/api/events?hub=orders&q=bob");
        String found = HttpClient.newHttpClient().send(HttpRequest.newBuilder(search).build(), BodyHandlers.ofString()).body();
        assertTrue(found.contains("\"key\":\"bob\""), found);
    }

    @Test
    void aCustomersOrdersAreReadInSequence() {
        Orders.publish(emulator.connectionString(), "orders", ORDERS);

        List<String> read = new ArrayList<>();
        try (var consumer = new EventHubClientBuilder()
                .connectionString(emulator.connectionString(), "orders")
                .consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME)
                .buildConsumerClient()) {
            for (String partition : consumer.getPartitionIds()) {
                long held = consumer.getPartitionProperties(partition).getLastEnqueuedSequenceNumber() + 1;
                if (held == 0) {
                    continue;
                }
                for (PartitionEvent event : consumer.receiveFromPartition(
                        partition, (int) held, EventPosition.earliest(), Duration.ofSeconds(30))) {
                    if ("ann".equals(event.getData().getPartitionKey())) {
                        read.add(event.getData().getBodyAsString());
                    }
                }
            }
        }
        assertEquals(List.of(ORDERS.get(0).json(), ORDERS.get(2).json()), read);
    }
}
