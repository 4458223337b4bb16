#!/usr/bin/env bash
# camel-azure-eventhubs 4.18.0 (Apache Camel; azure-messaging-eventhubs 5.21.2 below), rhea 3.0.5 as
# the server, Linux, 2026-11-30.
# A route from("azure-eventhubs:…").to("azure-eventhubs:…") copies no event. The consumer describes
# an event by headers, and the producer takes the same headers for its orders: partition id and
# partition key, which it refuses together. It makes properties of all headers, too, and fails at
# the Instant of the enqueued time. The failures go to the log.
# removeHeaders("CamelAzureEventHubs*") between the two helps, and drops key and properties.
# A good guess: the component can write what it has read.
# Seen, with an event that has a key and one that has none:
#   0 copied
#   Both partitionKey and partitionId are set. Only one or the other can be set.
#   No encoding is known for map entry value of type: java.time.Instant
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
import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import reactor.core.publisher.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
public class Finding {
    static final Map<String, PartitionOwnership> owners = new ConcurrentHashMap<>();
    static class Memory implements CheckpointStore {
        public Flux<PartitionOwnership> listOwnership(String n, String h, String g) { return Flux.fromIterable(owners.values()); }
        public Flux<PartitionOwnership> claimOwnership(List<PartitionOwnership> claims) {
            for (var c : claims) owners.put(c.getPartitionId(), c.setETag(UUID.randomUUID().toString()).setLastModifiedTime(System.currentTimeMillis()));
            return Flux.fromIterable(claims);
        }
        public Flux<Checkpoint> listCheckpoints(String n, String h, String g) { return Flux.empty(); }
        public Mono<Void> updateCheckpoint(Checkpoint c) { return Mono.empty(); }
    }
    public static void main(String[] a) throws Exception {
        var copied = new AtomicInteger();
        var failures = new ConcurrentSkipListSet<String>();
        var context = new DefaultCamelContext();
        context.getRegistry().bind("memory", new Memory());
        context.getRegistry().bind("first", new HashMap<>(Map.of("0", EventPosition.earliest(), "1", EventPosition.earliest())));
        context.addRoutes(new RouteBuilder() {
            public void configure() {
                onException(Exception.class).process(e -> failures.add(e.getProperty(Exchange.EXCEPTION_CAUGHT, Exception.class).getMessage()));
                from("azure-eventhubs:?connectionString=RAW(" + a[0] + ";EntityPath=hub)&checkpointStore=#memory&eventPosition=#first")
                    .to("azure-eventhubs:?connectionString=RAW(" + a[0] + ";EntityPath=target)")
                    .process(e -> copied.incrementAndGet());
            }
        });
        context.start();
        for (int i = 0; i < 300 && copied.get() + failures.size() < 2; i++) Thread.sleep(100);
        System.out.println(copied + " copied");
        failures.forEach(System.out::println);
        Runtime.getRuntime().halt(0);
    }
}
JAVA
EVENTS='[[{"body":"a","key":"motor-1"}],[{"body":"b"}]]' NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 80 java -cp 'lib/*' Finding.java \
  "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" 2>/dev/null)
want='0 copied
Both partitionKey and partitionId are set. Only one or the other can be set.
No encoding is known for map entry value of type: java.time.Instant'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
