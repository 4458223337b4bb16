#!/usr/bin/env bash
# spring-messaging-azure-eventhubs 6.1.0 (Spring Cloud Azure; azure-messaging-eventhubs 5.21.2
# below) sends, @azure/event-hubs 6.0.4 (JavaScript) reads, rhea 3.0.5 as the server, Linux,
# 2026-11-30.
# EventHubsTemplate makes properties of a message's headers by toString. A number and a boolean
# become text, and of an array of bytes only its address in memory is left. There is no error.
# A good guess: what the client below can send is sent as it is, and the rest is refused.
# Seen:
#   number string "5"
#   flag string "true"
#   bytes string "[B@…"
#   at string "2023-11-14T22:13:20Z"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure.spring</groupId><artifactId>spring-messaging-azure-eventhubs</artifactId><version>6.1.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.azure.spring.messaging.AzureHeaders;
import com.azure.spring.messaging.eventhubs.core.*;
import com.azure.spring.messaging.eventhubs.core.properties.NamespaceProperties;
import java.time.Instant;
import org.springframework.messaging.support.MessageBuilder;
public class Finding {
    public static void main(String[] a) {
        var namespace = new NamespaceProperties();
        namespace.setConnectionString(a[0]);
        var template = new EventHubsTemplate(new DefaultEventHubsNamespaceProducerFactory(namespace));
        template.sendAsync("hub", MessageBuilder.withPayload("x").setHeader(AzureHeaders.PARTITION_ID, "0").setHeader("number", 5L)
            .setHeader("flag", true).setHeader("bytes", new byte[] {1, 2, 3}).setHeader("at", Instant.ofEpochSecond(1700000000)).build()).block();
        System.exit(0);
    }
}
JAVA
cat > read.js <<'JS'
const { EventHubConsumerClient, earliestEventPosition } = require('@azure/event-hubs');
new EventHubConsumerClient('$Default', process.argv[2], 'hub').subscribe('0', {
  processEvents: async ([event]) => {
    if (!event) return;
    for (const name of ['number', 'flag', 'bytes', 'at'])
      console.log(name, typeof event.properties[name], JSON.stringify(event.properties[name]).replace(/(\[B@)[0-9a-f]+/, '$1…'));
    process.exit();
  }, processError: async e => console.log(e.message) }, { startPosition: earliestEventPosition });
JS
EVENTS='[[]]' NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
connection="Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
timeout 40 java -cp 'lib/*' Finding.java "$connection" >/dev/null 2>&1
got=$(timeout 20 node read.js "$connection")
want='number string "5"
flag string "true"
bytes string "[B@…"
at string "2023-11-14T22:13:20Z"'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
