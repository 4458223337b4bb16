package interop;

import static interop.Checks.env;

import com.azure.core.amqp.AmqpRetryMode;
import com.azure.core.amqp.AmqpRetryOptions;
import com.azure.core.amqp.AmqpTransportType;
import com.azure.core.amqp.exception.AmqpException;
import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventDataBatch;
import com.azure.messaging.eventhubs.EventHubBufferedProducerClient;
import com.azure.messaging.eventhubs.EventHubBufferedProducerClientBuilder;
import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.EventHubConsumerAsyncClient;
import com.azure.messaging.eventhubs.EventHubProducerAsyncClient;
import com.azure.messaging.eventhubs.EventHubProducerClient;
import com.azure.messaging.eventhubs.PartitionProperties;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.PartitionEvent;
import com.azure.messaging.eventhubs.models.ReceiveOptions;
import com.azure.messaging.eventhubs.models.SendOptions;
import java.io.File;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import reactor.core.publisher.Flux;

/** Has the checks with Azure's client for Java. Checks runs them. */
public final class Client {
    private static final Duration DEADLINE = Duration.ofSeconds(40);

    private static final Map<String, Checks.Check> CHECKS = new LinkedHashMap<>();

    static {
        CHECKS.put("properties", Client::properties);
        CHECKS.put("publish", hub -> publish(hub, new SendOptions()));
        CHECKS.put("publish by key", hub -> {
            publish(hub, new SendOptions().setPartitionKey("motor-7"));
            return Map.of("key", "motor-7");
        });
        CHECKS.put("publish to a partition", Client::publishToPartitions);
        CHECKS.put("publish a full batch", Client::publishFullBatch);
        CHECKS.put("buffered producer", Client::buffered);
        CHECKS.put("consume from the start",
            hub -> readFrom(hub, e -> EventPosition.earliest(), e -> Map.of("by", "start")));
        CHECKS.put("consume from an offset",
            hub -> readFrom(hub, e -> EventPosition.fromOffsetString(e.getData().getOffsetString()),
                e -> Map.of("by", "offset", "offset", e.getData().getOffsetString(), "inclusive", false)));
        CHECKS.put("consume from a sequence number",
            hub -> readFrom(hub, e -> EventPosition.fromSequenceNumber(e.getData().getSequenceNumber(), true),
                e -> Map.of("by", "sequence", "sequence", e.getData().getSequenceNumber(), "inclusive", true)));
        CHECKS.put("consume from a time",
            hub -> readFrom(hub, e -> EventPosition.fromEnqueuedTime(e.getData().getEnqueuedTime()),
                e -> Map.of("by", "time", "time", e.getData().getEnqueuedTime().toEpochMilli(), "inclusive", false)));
        CHECKS.put("key routing", Client::keyRouting);
        CHECKS.put("throttled, then accepted", hub -> publish(hub, new SendOptions()));
        CHECKS.put("producer reconnects", Client::producerReconnects);
        CHECKS.put("consumer reconnects", Client::consumerReconnects);
        CHECKS.put("epoch stealing", Client::epochStealing);
        CHECKS.put("SAS refused", hub -> Map.of(
            "wrongKey", sendRefused(env("INTEROP_WRONG_KEY"), hub),
            "listenOnly", sendRefused(env("INTEROP_LISTEN_ONLY"), hub)));
        CHECKS.put("over TLS", hub -> echo(hub, AmqpTransportType.AMQP));
        CHECKS.put("over WebSocket", hub -> echo(hub, AmqpTransportType.AMQP_WEB_SOCKETS));
    }

    private Client() {
    }

    public static void main(String[] arguments) throws Exception {
        Checks.run("azure-messaging-eventhubs", "azure-messaging-eventhubs.properties", CHECKS, arguments);
    }

    private static AmqpRetryOptions retries(int max) {
        return new AmqpRetryOptions().setMode(AmqpRetryMode.FIXED).setMaxRetries(max)
            .setDelay(Duration.ofMillis(100)).setTryTimeout(Duration.ofSeconds(10));
    }

    private static EventHubClientBuilder builder(String hub) {
        return new EventHubClientBuilder().connectionString(env("INTEROP_CONNECTION_STRING"), hub)
            .retryOptions(retries(4)).consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME);
    }

    private static EventHubClientBuilder builder(String hub, AmqpTransportType transport) {
        return new EventHubClientBuilder().connectionString(env("INTEROP_SERVICE_CONNECTION_STRING"), hub)
            .customEndpointAddress("https://" + env(transport == AmqpTransportType.AMQP
                ? "INTEROP_TLS_ADDRESS" : "INTEROP_WEBSOCKET_ADDRESS"))
            .transportType(transport)
            .retryOptions(retries(4)).consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME);
    }

    private static List<EventData> events(int count) {
        return IntStream.range(0, count).mapToObj(i -> new EventData("event-" + i)).toList();
    }

    private static SendOptions toPartition(int id) {
        return new SendOptions().setPartitionId(String.valueOf(id));
    }

    private static Map<String, Object> seen(PartitionEvent e) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("partition", e.getPartitionContext().getPartitionId());
        out.put("sequence", e.getData().getSequenceNumber());
        out.put("offset", e.getData().getOffsetString());
        out.put("time", e.getData().getEnqueuedTime().toEpochMilli());
        out.put("key", e.getData().getPartitionKey() == null ? "" : e.getData().getPartitionKey());
        out.put("body", e.getData().getBodyAsString());
        return out;
    }

    private static List<PartitionEvent> read(EventHubClientBuilder builder, EventPosition position,
        Predicate<PartitionEvent> last) {
        try (EventHubConsumerAsyncClient consumer = builder.buildAsyncConsumerClient()) {
            return consumer.receiveFromPartition("0", position).takeUntil(last).collectList().block(DEADLINE);
        }
    }

    private static Map<String, Object> readFrom(String hub, Function<PartitionEvent, EventPosition> position,
        Function<PartitionEvent, Map<String, Object>> start) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            for (EventData event : events(20)) {
                producer.send(List.of(event), toPartition(0));
            }
        }
        Predicate<PartitionEvent> last = e -> e.getData().getSequenceNumber() == 19;
        PartitionEvent eighth = read(builder(hub), EventPosition.earliest(), last).get(7);
        List<PartitionEvent> received = read(builder(hub), position.apply(eighth), last);
        return Map.of("start", start.apply(eighth), "received", received.stream().map(Client::seen).toList());
    }

    private static Map<String, Object> echo(String hub, AmqpTransportType transport) {
        try (EventHubProducerClient producer = builder(hub, transport).buildProducerClient()) {
            producer.send(events(20), toPartition(0));
        }
        List<PartitionEvent> received =
            read(builder(hub, transport), EventPosition.earliest(), e -> e.getData().getSequenceNumber() == 19);
        return Map.of("start", Map.of("by", "start"), "received", received.stream().map(Client::seen).toList());
    }

    private static Map<String, Object> properties(String hub) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            producer.send(events(5), toPartition(1));
            List<Map<String, Object>> partitions = new ArrayList<>();
            for (String id : producer.getEventHubProperties().getPartitionIds()) {
                PartitionProperties p = producer.getPartitionProperties(id);
                Map<String, Object> partition = new LinkedHashMap<>();
                partition.put("id", p.getId());
                partition.put("first", p.getBeginningSequenceNumber());
                partition.put("last", p.getLastEnqueuedSequenceNumber());
                partition.put("offset", p.getLastEnqueuedOffset());
                partition.put("time", p.getLastEnqueuedTime().toEpochMilli());
                partition.put("empty", p.isEmpty());
                partitions.add(partition);
            }
            return Map.of("hub", producer.getEventHubProperties().getName(), "partitions", partitions);
        }
    }

    private static Map<String, Object> publish(String hub, SendOptions options) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            producer.send(events(10), options);
        }
        return Map.of();
    }

    private static Map<String, Object> publishToPartitions(String hub) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            for (int i = 0; i < 4; i++) {
                producer.send(List.of(new EventData("partition-" + i)), toPartition(i));
            }
        }
        return Map.of();
    }

    private static Map<String, Object> publishFullBatch(String hub) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            EventDataBatch batch = producer.createBatch();
            EventData event;
            do {
                String body = "event-" + batch.getCount();
                event = new EventData(body + ".".repeat(1000 - body.length()));
            } while (batch.tryAdd(event));
            producer.send(batch);
            return Map.of("events", batch.getCount(), "bytes", batch.getSizeInBytes(), "limit",
                batch.getMaxSizeInBytes());
        }
    }

    private static Map<String, Object> buffered(String hub) {
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        try (EventHubBufferedProducerClient producer = new EventHubBufferedProducerClientBuilder()
            .connectionString(env("INTEROP_CONNECTION_STRING"), hub)
            .retryOptions(retries(4))
            .maxWaitTime(Duration.ofMillis(50))
            .onSendBatchSucceeded(sent -> { })
            .onSendBatchFailed(failed -> failures.add(failed.getThrowable()))
            .buildClient()) {
            for (int i = 0; i < 500; i++) {
                SendOptions options = new SendOptions();
                if (i % 2 == 1) {
                    options.setPartitionKey("key-" + i % 20);
                }
                producer.enqueueEvent(new EventData("event-" + i), options);
            }
            producer.flush();
        }
        if (!failures.isEmpty()) {
            throw new IllegalStateException(failures.peek());
        }
        return Map.of("events", 500);
    }

    private static Map<String, Object> keyRouting(String hub) throws Exception {
        String[] keys = Checks.JSON.readValue(new File(env("INTEROP_KEYS")), String[].class);
        try (EventHubProducerAsyncClient producer = builder(hub).buildAsyncProducerClient()) {
            Flux.fromArray(keys)
                .flatMap(key -> producer.send(List.of(new EventData(key)), new SendOptions().setPartitionKey(key)), 50)
                .then().block(DEADLINE);
        }
        // The package's own resolver, which only the buffered producer uses, is not public.
        Class<?> type = Class.forName("com.azure.messaging.eventhubs.PartitionResolver");
        Constructor<?> constructor = type.getDeclaredConstructor();
        Method assign = type.getDeclaredMethod("assignForPartitionKey", String.class, String[].class);
        constructor.setAccessible(true);
        assign.setAccessible(true);
        Object resolver = constructor.newInstance();
        String[] ids = IntStream.range(0, Integer.parseInt(env("INTEROP_KEY_PARTITIONS")))
            .mapToObj(String::valueOf).toArray(String[]::new);
        List<Object> routes = new ArrayList<>();
        for (String key : keys) {
            routes.add(assign.invoke(resolver, key, ids));
        }
        return Map.of("routes", routes);
    }

    private static Map<String, Object> producerReconnects(String hub) {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            for (EventData event : events(3)) {
                producer.send(List.of(event), toPartition(0));
            }
        }
        return Map.of("events", 3);
    }

    private static Map<String, Object> consumerReconnects(String hub) throws Exception {
        Queue<Map<String, Object>> received = new ConcurrentLinkedQueue<>();
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        CountDownLatch before = new CountDownLatch(3);
        CountDownLatch after = new CountDownLatch(6);
        try (EventHubConsumerAsyncClient consumer = builder(hub).buildAsyncConsumerClient();
            EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            for (int i = 0; i < 3; i++) {
                producer.send(List.of(new EventData("before-" + i)), toPartition(i));
                String partition = String.valueOf(i);
                AtomicReference<EventPosition> next = new AtomicReference<>(EventPosition.earliest());
                // A receiver ends with its connection. The application then starts the next one.
                Flux.defer(() -> consumer.receiveFromPartition(partition, next.get())).repeat().subscribe(e -> {
                    next.set(EventPosition.fromSequenceNumber(e.getData().getSequenceNumber()));
                    received.add(seen(e));
                    before.countDown();
                    after.countDown();
                }, failures::add);
            }
            Owner.await(before, "event before the close");
            // The emulator closes this connection, so the answer is lost.
            consumer.getPartitionProperties("3").onErrorComplete().block(DEADLINE);
            for (int i = 0; i < 3; i++) {
                producer.send(List.of(new EventData("after-" + i)), toPartition(i));
            }
            if (!after.await(DEADLINE.toSeconds(), TimeUnit.SECONDS)) {
                throw new IllegalStateException("only " + received + ", " + failures);
            }
        }
        return Map.of("received", received);
    }

    private static Map<String, Object> refusal(Throwable error) {
        for (Throwable e = error; e != null; e = e.getCause()) {
            if (e instanceof AmqpException && ((AmqpException) e).getErrorCondition() != null) {
                return Map.of("code", ((AmqpException) e).getErrorCondition().getErrorCondition(), "message",
                    String.valueOf(e.getMessage()));
            }
        }
        return Map.of("code", error.getClass().getSimpleName(), "message", String.valueOf(error.getMessage()));
    }

    /** A receiver with an owner level. It waits for its end. */
    private static final class Owner implements AutoCloseable {
        final CountDownLatch received = new CountDownLatch(1);
        final CountDownLatch ended = new CountDownLatch(1);
        final EventHubConsumerAsyncClient consumer;
        volatile Throwable error;

        Owner(String hub, long level) {
            consumer = builder(hub).retryOptions(retries(0)).buildAsyncConsumerClient();
            consumer.receiveFromPartition("0", EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(level))
                .subscribe(e -> received.countDown(), e -> {
                    error = e;
                    ended.countDown();
                }, ended::countDown);
        }

        static void await(CountDownLatch latch, String what) throws Exception {
            if (!latch.await(DEADLINE.toSeconds(), TimeUnit.SECONDS)) {
                throw new IllegalStateException("no " + what + " came");
            }
        }

        Map<String, Object> end() throws Exception {
            await(ended, "refusal");
            close();
            return error == null ? Map.of("code", "", "message", "it ended without an error") : refusal(error);
        }

        @Override
        public void close() {
            consumer.close();
        }
    }

    private static Map<String, Object> epochStealing(String hub) throws Exception {
        try (EventHubProducerClient producer = builder(hub).buildProducerClient()) {
            producer.send(events(1), toPartition(0));
        }
        Owner first = new Owner(hub, 1);
        Owner.await(first.received, "event for the first owner");
        try (Owner second = new Owner(hub, 2)) {
            Owner.await(second.received, "event for the second owner");
            Map<String, Object> stolen = first.end();
            return Map.of("stolen", stolen, "refused", new Owner(hub, 1).end());
        }
    }

    private static Map<String, Object> sendRefused(String connection, String hub) {
        try (EventHubProducerClient producer = new EventHubClientBuilder().connectionString(connection, hub)
            .retryOptions(retries(0)).buildProducerClient()) {
            producer.send(events(1));
        } catch (RuntimeException e) {
            return refusal(e);
        }
        return Map.of("code", "", "message", "it was not refused");
    }
}
