#!/usr/bin/env bash
# azure-messaging-eventhubs 5.21.5 (Java); rhea 3.0.5 as the server, 2026-11-30.
# EventProcessorClient closes a partition when the service detaches its link, as at each update.
# It does not read the partition again in its next round, though the claim is still its own.
# It waits until that claim has expired: a minute by default, with rounds every 10 s.
# The same happens when a handler throws; then, in addition, the error handler is not called.
# A good guess, and the troubleshooting guide: it claims the partition again in the next round.
# Seen, one processor, a round each second, claims that expire after 10 s:
#   link detached: errors handled 1, closed as LOST_PARTITION_OWNERSHIP, read after 8 s or more
#   handler threw: errors handled 0, closed as LOST_PARTITION_OWNERSHIP, read after 8 s or more
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.models.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.*;
import reactor.core.publisher.*;
public class Finding {
    static class Store implements CheckpointStore {
        final Map<String, PartitionOwnership> owners = new ConcurrentHashMap<>();
        public Flux<PartitionOwnership> listOwnership(String namespace, String hub, String group) { return Flux.fromIterable(owners.values()); }
        public Flux<PartitionOwnership> claimOwnership(List<PartitionOwnership> wanted) {
            return Flux.fromIterable(wanted).doOnNext(o -> owners.put(o.getPartitionId(),
                o.setLastModifiedTime(System.currentTimeMillis()).setETag(UUID.randomUUID().toString())));
        }
        public Flux<Checkpoint> listCheckpoints(String namespace, String hub, String group) { return Flux.empty(); }
        public Mono<Void> updateCheckpoint(Checkpoint checkpoint) { return Mono.empty(); }
    }
    public static void main(String[] a) throws Exception {
        var errors = new AtomicInteger();
        var closed = new AtomicLong();
        var reason = new AtomicReference<CloseReason>();
        new EventProcessorClientBuilder().connectionString(a[0], "hub").consumerGroup("$Default").checkpointStore(new Store())
            .loadBalancingUpdateInterval(Duration.ofSeconds(1)).partitionOwnershipExpirationInterval(Duration.ofSeconds(10))
            .processEvent(e -> { throw new IllegalStateException("the handler failed"); })
            .processError(e -> errors.incrementAndGet())
            .processPartitionClose(c -> { reason.set(c.getCloseReason()); closed.set(System.nanoTime()); })
            .processPartitionInitialization(c -> {
                if (closed.get() == 0) return;
                long seconds = (System.nanoTime() - closed.get()) / 1_000_000_000;
                System.out.println("errors handled " + errors + ", closed as " + reason + ", read after "
                    + (seconds >= 8 ? "8 s or more" : seconds + " s"));
                System.exit(0);
            }).buildEventProcessorClient().start();
        Thread.sleep(40000);
        System.out.println("errors handled " + errors + ", closed as " + reason + ", not read");
        System.exit(0);
    }
}
JAVA
run() { # name, signal to the server
  PARTITIONS=1 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 show > seen & server=$!
  for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
  timeout 60 java -cp 'lib/*' Finding.java "Endpoint=sb://127.0.0.1:$(head -1 seen);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" > result 2>/dev/null & client=$!
  for _ in $(seq 300); do grep -q consumer seen && break; sleep 0.1; done; sleep 2
  kill "-$2" $server
  wait $client || true
  kill $server; wait $server 2>/dev/null || true
  echo "$1 $(cat result)"; : > seen
}
got=$(run 'link detached:' USR2; run 'handler threw:' HUP)
want='link detached: errors handled 1, closed as LOST_PARTITION_OWNERSHIP, read after 8 s or more
handler threw: errors handled 0, closed as LOST_PARTITION_OWNERSHIP, read after 8 s or more'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
