package interop;

import com.azure.messaging.eventhubs.EventProcessorClient;
import com.azure.messaging.eventhubs.EventProcessorClientBuilder;
import com.azure.messaging.eventhubs.LoadBalancingStrategy;
import com.azure.messaging.eventhubs.checkpointstore.blob.BlobCheckpointStore;
import com.azure.messaging.eventhubs.models.EventContext;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.storage.blob.BlobContainerAsyncClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.InputStream;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Processes a hub's events beside other processors, until its standard input ends. Its argument is its name. Each line of
 * output is a JSON object (see ../process.go). An event's line is written before its checkpoint, so that a killed program
 * has reported every event that it has a checkpoint for.
 */
public final class Processor {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int EVERY = Integer.parseInt(variable("CHECKPOINT_EVERY"));
    private static final Map<String, Integer> HANDLED = new ConcurrentHashMap<>();

    private static String variable(String name) {
        return System.getenv("PROCESSOR_" + name);
    }

    private static Duration seconds(String name) {
        return Duration.ofSeconds(Long.parseLong(variable(name)));
    }

    private static synchronized void say(Map<String, ?> line) {
        try {
            System.out.println(JSON.writeValueAsString(line));
            System.out.flush();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static void handle(EventContext context) {
        String partition = context.getPartitionContext().getPartitionId();
        say(Map.of(
                "partition", partition,
                "sequence", context.getEventData().getSequenceNumber(),
                "body", context.getEventData().getBodyAsString()));
        if (HANDLED.merge(partition, 1, Integer::sum) % EVERY == 0) {
            context.updateCheckpoint();
        }
    }

    public static void main(String[] args) throws Exception {
        Properties about = new Properties();
        try (InputStream in = EventProcessorClient.class.getResourceAsStream("/azure-messaging-eventhubs.properties")) {
            about.load(in);
        }
        say(Map.of("version", about.getProperty("version"), "runtime", "Java " + Runtime.version().feature()));
        BlobContainerAsyncClient container = new BlobContainerClientBuilder()
                .connectionString(variable("STORAGE"))
                .containerName(variable("CONTAINER"))
                .buildAsyncClient();
        EventProcessorClient processor = new EventProcessorClientBuilder()
                .connectionString(variable("CONNECTION_STRING"), variable("HUB"))
                .consumerGroup("$Default")
                .checkpointStore(new BlobCheckpointStore(container))
                .initialPartitionEventPosition(partition -> EventPosition.earliest())
                .loadBalancingStrategy(LoadBalancingStrategy.BALANCED)
                .loadBalancingUpdateInterval(seconds("INTERVAL_SECONDS"))
                .partitionOwnershipExpirationInterval(seconds("EXPIRATION_SECONDS"))
                .processPartitionInitialization(context -> say(Map.of("owns", context.getPartitionContext().getPartitionId())))
                .processPartitionClose(context -> say(Map.of("lost", context.getPartitionContext().getPartitionId())))
                .processError(context -> say(Map.of(
                        "error", context.getPartitionContext().getPartitionId() + " " + context.getThrowable())))
                .processEvent(Processor::handle)
                .buildEventProcessorClient();
        processor.start();
        while (System.in.read() >= 0) {}
        processor.stop();
        System.exit(0);
    }
}
