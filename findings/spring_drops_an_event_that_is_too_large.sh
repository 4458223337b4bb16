#!/usr/bin/env bash
# spring-messaging-azure-eventhubs 6.1.0 (Spring Cloud Azure; azure-messaging-eventhubs 5.21.2
# below), rhea 3.0.5 as the server, Linux, 2026-11-30.
# EventHubsTemplate leaves out an event that does not fit into a batch. It writes a line to the log,
# and send returns.
# A good guess: send throws, since the event cannot be sent.
# Seen, with messages of 10, 2,000,000 and 10 bytes, then one alone of 2,000,000, under a limit of 1
# MB:
#   send of three returned, send of one returned; the server has 2 events
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure.spring</groupId><artifactId>spring-messaging-azure-eventhubs</artifactId><version>6.1.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.azure.spring.messaging.eventhubs.core.*;
import com.azure.spring.messaging.eventhubs.core.properties.NamespaceProperties;
import org.springframework.messaging.Message;
import org.springframework.messaging.support.GenericMessage;
import java.util.List;
public class Finding {
    static Message<String> of(int size) { return new GenericMessage<>("x".repeat(size)); }
    static String outcome(Runnable send) {
        try {
            send.run();
            return "returned";
        } catch (RuntimeException e) {
            return "threw " + e.getClass().getSimpleName();
        }
    }
    public static void main(String[] a) {
        var namespace = new NamespaceProperties();
        namespace.setConnectionString(a[0]);
        var template = new EventHubsTemplate(new DefaultEventHubsNamespaceProducerFactory(namespace));
        System.out.print("send of three " + outcome(() -> template.send("hub", List.of(of(10), of(2_000_000), of(10))))
            + ", send of one " + outcome(() -> template.send("hub", of(2_000_000))));
        System.exit(0);
    }
}
JAVA
NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 bodies > seen & server=$!
for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
result=$(timeout 60 java -cp 'lib/*' Finding.java \
  "Endpoint=sb://127.0.0.1:$(head -1 seen);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" 2>/dev/null)
sleep 1 # the server may still print
got="$result; the server has $(tail -n +2 seen | grep -c x) events"
want='send of three returned, send of one returned; the server has 2 events'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
