package interop;

import com.azure.core.amqp.exception.AmqpException;
import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.EventHubConsumerAsyncClient;
import com.azure.messaging.eventhubs.EventHubProducerClient;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.SendOptions;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Sends or receives under the faults of the runner (see ../../faults.go) with Azure's client for Java and default
 * options. All hubs of the command line run at the same time. It prints the lines that ../faults/main.go describes.
 */
public final class Faults {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Faults() {
    }

    public static void main(String[] arguments) throws Exception {
        java.util.Properties about = new java.util.Properties();
        try (InputStream in = Faults.class.getClassLoader().getResourceAsStream("azure-messaging-eventhubs.properties")) {
            about.load(in);
        }
        say("client", "azure-messaging-eventhubs", "version", about.getProperty("version"));
        List<Thread> threads = new ArrayList<>();
        for (String argument : arguments) {
            String[] parts = argument.split("=");
            Thread thread = new Thread(() -> {
                try {
                    if (parts[1].equals("receive")) {
                        receive(parts[0]);
                    } else {
                        send(parts[0], parts[1].equals("blind"));
                    }
                } catch (RuntimeException e) {
                    report(parts[0], System.nanoTime(), 0, e);
                }
            });
            thread.start();
            threads.add(thread);
            Thread.sleep(300); // so that they do not slow each other down
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.exit(0); // the client's threads would run on for a while
    }

    private static synchronized void say(Object... pairs) {
        Map<String, Object> line = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            line.put((String) pairs[i], pairs[i + 1]);
        }
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        System.out.flush();
    }

    private static double since(long began) {
        return (System.nanoTime() - began) / 1e9;
    }

    private static void report(String hub, long began, int events, Throwable failure) {
        Throwable cause = failure;
        while (cause != null && !(cause instanceof AmqpException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        String name = cause == null ? "" : cause.getClass().getSimpleName();
        if (cause instanceof AmqpException e && e.getErrorCondition() != null) {
            name += " " + e.getErrorCondition().name();
        }
        String text = failure == null ? "" : failure + " " + cause.getMessage();
        say("hub", hub, "seconds", since(began), "events", events, "class", name, "message", text);
    }

    private static EventHubClientBuilder builder(String hub) {
        return new EventHubClientBuilder().connectionString(System.getenv("INTEROP_CONNECTION_STRING"), hub)
            .consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME);
    }

    private static void send(String hub, boolean blind) {
        EventHubProducerClient producer = builder(hub).buildProducerClient();
        if (!blind) {
            producer.getEventHubProperties();
        }
        say("hub", hub, "ready", true);
        long began = System.nanoTime();
        try {
            producer.send(List.of(new EventData("event")), new SendOptions().setPartitionId("0"));
            report(hub, began, 0, null);
        } catch (RuntimeException e) {
            report(hub, began, 0, e);
        }
        began = System.nanoTime();
        producer.close();
        say("hub", hub, "closed", since(began));
    }

    private static void receive(String hub) {
        EventHubConsumerAsyncClient consumer = builder(hub).buildAsyncConsumerClient();
        consumer.getEventHubProperties().block();
        say("hub", hub, "ready", true);
        long began = System.nanoTime();
        Set<Long> seen = ConcurrentHashMap.newKeySet();
        Throwable failure = null;
        try {
            consumer.receiveFromPartition("0", EventPosition.earliest())
                .doOnNext(e -> seen.add(e.getData().getSequenceNumber()))
                .takeUntil(e -> seen.size() >= 5).then().block();
        } catch (RuntimeException e) {
            failure = e;
        }
        report(hub, began, seen.size(), failure);
        began = System.nanoTime();
        consumer.close();
        say("hub", hub, "closed", since(began));
    }
}
