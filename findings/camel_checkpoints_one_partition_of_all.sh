#!/usr/bin/env bash
# camel-azure-eventhubs 4.18.0 (Apache Camel; azure-messaging-eventhubs 5.21.2 below), rhea 3.0.5 as
# the server, Linux, 2026-11-30.
# A consumer writes a checkpoint after checkpointBatchSize events or checkpointBatchTimeout. Both
# are counted over all of its partitions together, and the checkpoint is written for one partition:
# that of the last event.
# A good guess: each partition has its own count and timer, so after the timeout each has its
# checkpoint.
# Seen, four partitions of five events each, all processed, then twice the timeout without events:
#   read 20 events; partitions with a checkpoint: 1 of 4
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.camel</groupId><artifactId>camel-azure-eventhubs</artifactId><version>4.18.0</version></dependency>
<dependency><groupId>org.apache.camel</groupId><artifactId>camel-core-engine</artifactId><version>4.18.0</version></dependency>
<dependency><groupId>org.apache.camel</groupId><artifactId>camel-core-languages</artifactId><version>4.18.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.azure.messaging.eventhubs.CheckpointStore;
import com.azure.messaging.eventhubs.models.*;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import reactor.core.publisher.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
public class Finding {
    static final Map<String, Checkpoint> checkpoints = new ConcurrentHashMap<>();
    static final Map<String, PartitionOwnership> owners = new ConcurrentHashMap<>();
    static class Memory implements CheckpointStore {
        public Flux<PartitionOwnership> listOwnership(String n, String h, String g) { return Flux.fromIterable(owners.values()); }
        public Flux<PartitionOwnership> claimOwnership(List<PartitionOwnership> claims) {
            for (var c : claims) owners.put(c.getPartitionId(), c.setETag(UUID.randomUUID().toString()).setLastModifiedTime(System.currentTimeMillis()));
            return Flux.fromIterable(claims);
        }
        public Flux<Checkpoint> listCheckpoints(String n, String h, String g) { return Flux.fromIterable(checkpoints.values()); }
        public Mono<Void> updateCheckpoint(Checkpoint c) { return Mono.fromRunnable(() -> checkpoints.put(c.getPartitionId(), c)); }
    }
    public static void main(String[] a) throws Exception {
        var read = new AtomicInteger();
        var context = new DefaultCamelContext();
        context.getRegistry().bind("memory", new Memory());
        var first = new HashMap<String, EventPosition>();
        for (int i = 0; i < 4; i++) first.put(String.valueOf(i), EventPosition.earliest());
        context.getRegistry().bind("first", first);
        context.addRoutes(new RouteBuilder() {
            public void configure() {
                from("azure-eventhubs:?connectionString=RAW(" + a[0] + ")&checkpointStore=#memory&eventPosition=#first&checkpointBatchTimeout=5000")
                    .process(e -> read.incrementAndGet());
            }
        });
        context.start();
        for (int i = 0; i < 400 && read.get() < 20; i++) Thread.sleep(100);
        Thread.sleep(10_000);
        System.out.println("read " + read + " events; partitions with a checkpoint: " + checkpoints.size() + " of 4");
        Runtime.getRuntime().halt(0);
    }
}
JAVA
EVENTS=$(node -p 'JSON.stringify(Array(4).fill(Array(5).fill({ body: "x" })))') NODE_PATH="$dir/node_modules" \
  node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 80 java -cp 'lib/*' Finding.java \
  "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;EntityPath=hub;UseDevelopmentEmulator=true" 2>/dev/null)
want='read 20 events; partitions with a checkpoint: 1 of 4'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
