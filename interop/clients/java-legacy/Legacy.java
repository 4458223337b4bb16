package interop;

import static interop.Checks.env;

import com.microsoft.azure.eventhubs.ConnectionStringBuilder;
import com.microsoft.azure.eventhubs.EventData;
import com.microsoft.azure.eventhubs.EventDataBatch;
import com.microsoft.azure.eventhubs.EventHubClient;
import com.microsoft.azure.eventhubs.EventHubException;
import com.microsoft.azure.eventhubs.EventPosition;
import com.microsoft.azure.eventhubs.PartitionReceiver;
import com.microsoft.azure.eventhubs.PartitionRuntimeInformation;
import com.microsoft.azure.eventhubs.PartitionSender;
import com.microsoft.azure.eventhubs.RetryPolicy;
import java.io.File;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.IntStream;

/** Has the checks with Azure's earlier client for Java, azure-eventhubs. Checks, in ../java, runs them. */
public final class Legacy {
    private static final Duration DEADLINE = Duration.ofSeconds(40);
    private static final ScheduledExecutorService THREADS = Executors.newScheduledThreadPool(4);

    private static final Map<String, Checks.Check> CHECKS = new LinkedHashMap<>();

    static {
        CHECKS.put("properties", Legacy::properties);
        CHECKS.put("publish", Legacy::publish);
        CHECKS.put("publish by key", Legacy::publishByKey);
        CHECKS.put("publish to a partition", Legacy::publishToPartitions);
        CHECKS.put("publish a full batch", Legacy::publishFullBatch);
        CHECKS.put("consume from the start",
            hub -> readFrom(hub, e -> EventPosition.fromStartOfStream(), e -> Map.of("by", "start")));
        CHECKS.put("consume from an offset",
            hub -> readFrom(hub, e -> EventPosition.fromOffset(e.getSystemProperties().getOffset()),
                e -> Map.of("by", "offset", "offset", e.getSystemProperties().getOffset(), "inclusive", false)));
        CHECKS.put("consume from a sequence number",
            hub -> readFrom(hub, e -> EventPosition.fromSequenceNumber(sequence(e), true),
                e -> Map.of("by", "sequence", "sequence", sequence(e), "inclusive", true)));
        CHECKS.put("consume from a time",
            hub -> readFrom(hub, e -> EventPosition.fromEnqueuedTime(time(e)),
                e -> Map.of("by", "time", "time", time(e).toEpochMilli(), "inclusive", false)));
        CHECKS.put("key routing", Legacy::keyRouting);
        CHECKS.put("throttled, then accepted", Legacy::publish);
        CHECKS.put("producer reconnects", Legacy::producerReconnects);
        CHECKS.put("consumer reconnects", Legacy::consumerReconnects);
        CHECKS.put("epoch stealing", Legacy::epochStealing);
        CHECKS.put("SAS refused", hub -> Map.of(
            "wrongKey", sendRefused(env("INTEROP_WRONG_KEY"), hub),
            "listenOnly", sendRefused(env("INTEROP_LISTEN_ONLY"), hub)));
        CHECKS.put("over TLS", Legacy::echo);
    }

    private Legacy() {
    }

    public static void main(String[] arguments) throws Exception {
        Checks.run("azure-eventhubs", "META-INF/maven/com.microsoft.azure/azure-eventhubs/pom.properties", CHECKS,
            arguments);
    }

    private static EventHubClient client(String connection, String hub, RetryPolicy retry) throws Exception {
        String text = new ConnectionStringBuilder(connection).setEventHubName(hub)
            .setOperationTimeout(Duration.ofSeconds(20)).toString();
        return EventHubClient.createFromConnectionStringSync(text, retry, THREADS);
    }

    private static EventHubClient client(String hub) throws Exception {
        return client(env("INTEROP_CONNECTION_STRING"), hub, RetryPolicy.getDefault());
    }

    private interface Use<T> {
        T with(EventHubClient client) throws Exception;
    }

    /** Opens a client, uses it and closes it. */
    private static <T> T using(String hub, Use<T> use) throws Exception {
        EventHubClient client = client(hub);
        try {
            return use.with(client);
        } finally {
            client.closeSync();
        }
    }

    private static EventData event(String body) {
        return EventData.create(body.getBytes(StandardCharsets.UTF_8));
    }

    private static List<EventData> events(int count) {
        return IntStream.range(0, count).mapToObj(i -> event("event-" + i)).toList();
    }

    private static long sequence(EventData event) {
        return event.getSystemProperties().getSequenceNumber();
    }

    private static Instant time(EventData event) {
        return event.getSystemProperties().getEnqueuedTime();
    }

    private static Map<String, Object> seen(String partition, EventData event) {
        Map<String, Object> out = new LinkedHashMap<>();
        String key = event.getSystemProperties().getPartitionKey();
        out.put("partition", partition);
        out.put("sequence", sequence(event));
        out.put("offset", event.getSystemProperties().getOffset());
        out.put("time", time(event).toEpochMilli());
        out.put("key", key == null ? "" : key);
        out.put("body", new String(event.getBytes(), StandardCharsets.UTF_8));
        return out;
    }

    /** Receives until there are so many events. */
    private static List<EventData> receive(PartitionReceiver receiver, int count) throws Exception {
        List<EventData> received = new ArrayList<>();
        for (long end = System.nanoTime() + DEADLINE.toNanos(); received.size() < count;) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("only " + received.size() + " of " + count + " events came");
            }
            Iterable<EventData> some = receiver.receiveSync(100);
            if (some != null) {
                some.forEach(received::add);
            }
        }
        return received;
    }

    /** Reads the only partition to the event with sequence number 19. */
    private static List<EventData> read(String hub, EventPosition position) throws Exception {
        return using(hub, client -> {
            PartitionReceiver receiver =
                client.createReceiverSync(EventHubClient.DEFAULT_CONSUMER_GROUP_NAME, "0", position);
            List<EventData> received = receive(receiver, 1);
            int rest = 19 - (int) sequence(received.get(received.size() - 1));
            if (rest > 0) {
                received.addAll(receive(receiver, rest));
            }
            return received;
        });
    }

    private static List<Map<String, Object>> seen(List<EventData> events) {
        return events.stream().map(e -> seen("0", e)).toList();
    }

    private static Map<String, Object> readFrom(String hub, Function<EventData, EventPosition> position,
        Function<EventData, Map<String, Object>> start) throws Exception {
        using(hub, client -> {
            PartitionSender sender = client.createPartitionSenderSync("0");
            for (EventData event : events(20)) {
                sender.sendSync(event);
            }
            return null;
        });
        EventData eighth = read(hub, EventPosition.fromStartOfStream()).get(7);
        return Map.of("start", start.apply(eighth), "received", seen(read(hub, position.apply(eighth))));
    }

    private static Map<String, Object> echo(String hub) throws Exception {
        using(hub, client -> {
            client.createPartitionSenderSync("0").sendSync(events(20));
            return null;
        });
        return Map.of("start", Map.of("by", "start"), "received", seen(read(hub, EventPosition.fromStartOfStream())));
    }

    private static Map<String, Object> properties(String hub) throws Exception {
        return using(hub, client -> {
            client.createPartitionSenderSync("1").sendSync(events(5));
            List<Map<String, Object>> partitions = new ArrayList<>();
            for (String id : client.getRuntimeInformation().get().getPartitionIds()) {
                PartitionRuntimeInformation p = client.getPartitionRuntimeInformation(id).get();
                Map<String, Object> partition = new LinkedHashMap<>();
                partition.put("id", p.getPartitionId());
                partition.put("first", p.getBeginSequenceNumber());
                partition.put("last", p.getLastEnqueuedSequenceNumber());
                partition.put("offset", p.getLastEnqueuedOffset());
                partition.put("time", p.getLastEnqueuedTimeUtc().toEpochMilli());
                partition.put("empty", p.getIsEmpty());
                partitions.add(partition);
            }
            return Map.of("hub", client.getRuntimeInformation().get().getPath(), "partitions", partitions);
        });
    }

    private static Map<String, Object> publish(String hub) throws Exception {
        return using(hub, client -> {
            client.sendSync(events(10));
            return Map.of();
        });
    }

    private static Map<String, Object> publishByKey(String hub) throws Exception {
        return using(hub, client -> {
            client.sendSync(events(10), "motor-7");
            return Map.of("key", "motor-7");
        });
    }

    private static void toEachPartition(EventHubClient client) throws EventHubException {
        for (int i = 0; i < 4; i++) {
            client.createPartitionSenderSync(String.valueOf(i)).sendSync(event("partition-" + i));
        }
    }

    private static Map<String, Object> publishToPartitions(String hub) throws Exception {
        return using(hub, client -> {
            toEachPartition(client);
            return Map.of();
        });
    }

    private static Map<String, Object> publishFullBatch(String hub) throws Exception {
        return using(hub, client -> {
            EventDataBatch batch = client.createBatch();
            EventData event;
            do {
                String body = "event-" + batch.getSize();
                event = event(body + ".".repeat(1000 - body.length()));
            } while (batch.tryAdd(event));
            client.sendSync(batch);
            return Map.of("events", batch.getSize(), "limit", number(batch, "maxMessageSize"), "bytes",
                number(batch, "currentSize"));
        });
    }

    /** A batch keeps its limit and its size to itself. */
    private static int number(EventDataBatch batch, String name) throws Exception {
        Field field = batch.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.getInt(batch);
    }

    private static Map<String, Object> keyRouting(String hub) throws Exception {
        String[] keys = Checks.JSON.readValue(new File(env("INTEROP_KEYS")), String[].class);
        return using(hub, client -> {
            List<CompletableFuture<Void>> sends = new ArrayList<>();
            for (String key : keys) {
                sends.add(client.send(event(key), key));
            }
            CompletableFuture.allOf(sends.toArray(CompletableFuture[]::new))
                .get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
            return Map.of(); // the client itself chooses no partition
        });
    }

    private static Map<String, Object> producerReconnects(String hub) throws Exception {
        return using(hub, client -> {
            PartitionSender sender = client.createPartitionSenderSync("0");
            for (EventData event : events(3)) {
                sender.sendSync(event);
            }
            return Map.of("events", 3);
        });
    }

    private static Map<String, Object> consumerReconnects(String hub) throws Exception {
        using(hub, client -> {
            toEachPartition(client);
            return null;
        });
        return using(hub, client -> {
            // The emulator closes the connection of the fourth receiver.
            List<PartitionReceiver> receivers = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                receivers.add(client.createReceiverSync(EventHubClient.DEFAULT_CONSUMER_GROUP_NAME,
                    String.valueOf(i), EventPosition.fromStartOfStream()));
            }
            List<Map<String, Object>> received = new ArrayList<>();
            for (PartitionReceiver receiver : receivers) {
                for (EventData event : receive(receiver, 1)) {
                    received.add(seen(receiver.getPartitionId(), event));
                }
            }
            return Map.of("received", received);
        });
    }

    private static Map<String, Object> refusal(Throwable error) {
        Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
        return Map.of("code", cause.getClass().getSimpleName(), "message", String.valueOf(cause.getMessage()));
    }

    private static PartitionReceiver owner(EventHubClient client, long level) throws EventHubException {
        return client.createEpochReceiverSync(EventHubClient.DEFAULT_CONSUMER_GROUP_NAME, "0",
            EventPosition.fromStartOfStream(), level);
    }

    private static Map<String, Object> epochStealing(String hub) throws Exception {
        using(hub, client -> {
            client.createPartitionSenderSync("0").sendSync(event("event-0"));
            return null;
        });
        EventHubClient client = client(env("INTEROP_CONNECTION_STRING"), hub, RetryPolicy.getNoRetry());
        try {
            PartitionReceiver first = owner(client, 1);
            receive(first, 1);
            receive(owner(client, 2), 1);
            return Map.of("stolen", refusalOf(() -> receive(first, 1)),
                "refused", refusalOf(() -> receive(owner(client, 1), 1)));
        } finally {
            client.closeSync();
        }
    }

    private interface Step {
        void run() throws Exception;
    }

    private static Map<String, Object> refusalOf(Step step) {
        try {
            step.run();
        } catch (Exception e) {
            return refusal(e);
        }
        return Map.of("code", "", "message", "it was not refused");
    }

    private static Map<String, Object> sendRefused(String connection, String hub) {
        return refusalOf(() -> {
            EventHubClient client = client(connection, hub, RetryPolicy.getNoRetry());
            try {
                client.sendSync(event("event-0"));
            } finally {
                client.closeSync();
            }
        });
    }
}
