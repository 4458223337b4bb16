package bench;

import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventHubBufferedProducerClient;
import com.azure.messaging.eventhubs.EventHubBufferedProducerClientBuilder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A peer of the benchmark: the official buffered producer, event by event. It reads a job from standard input and answers with a measurement,
 * both JSON; see client.go.
 */
public final class Peer {
    private static final int RING = 4 << 20;

    private final EventHubBufferedProducerClient producer;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final byte[] ring;
    private final int size;
    private long sent;

    private Peer(JsonNode scenario, String connectionString) {
        size = scenario.get("Size").asInt();
        ring = new byte[RING + size];
        new Random(1).nextBytes(ring);
        // With a buffer and a wait like those of the other peers it interrupts its own threads and fails.
        if (!scenario.get("Defaults").asBoolean()) {
            throw new IllegalArgumentException("only its defaults can be measured");
        }
        producer = new EventHubBufferedProducerClientBuilder()
            .connectionString(connectionString, "events")
            .onSendBatchSucceeded(done -> { })
            .onSendBatchFailed(failed -> failure.compareAndSet(null, failed.getThrowable()))
            .buildClient();
    }

    /** Enqueues for so many nanoseconds and waits until all is acknowledged. */
    private void publish(long nanoseconds) {
        long end = System.nanoTime() + nanoseconds;
        while (System.nanoTime() < end) {
            for (int i = 0; i < 100; i++, sent++) {
                int at = (int) (sent * size % RING);
                producer.enqueueEvent(new EventData(Arrays.copyOfRange(ring, at, at + size)));
            }
        }
        producer.flush();
        if (failure.get() != null) {
            throw new IllegalStateException(failure.get());
        }
    }

    private static long peakMemory() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
            }
        }
        return 0;
    }

    public static void main(String[] args) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        JsonNode job = mapper.readTree(input.readLine());
        Peer peer = new Peer(job.get("Scenario"), job.get("Server").get("ConnectionString").asText());
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        peer.publish(job.get("Warm").asLong());
        long before = peer.sent;
        long cpu = system.getProcessCpuTime();
        long began = System.nanoTime();
        peer.publish(job.get("Measure").asLong());
        double seconds = (System.nanoTime() - began) / 1e9;
        cpu = system.getProcessCpuTime() - cpu;
        peer.producer.close();
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("Sent", peer.sent);
        answer.put("Events", peer.sent - before);
        answer.put("Bytes", (peer.sent - before) * peer.size);
        answer.put("Seconds", seconds);
        answer.put("CPU", cpu);
        answer.put("Mallocs", -1);
        answer.put("Allocated", -1);
        answer.put("PeakRSS", peakMemory());
        System.out.println(mapper.writeValueAsString(answer));
        System.exit(0);
    }
}
