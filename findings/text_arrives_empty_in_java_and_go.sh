#!/usr/bin/env bash
# vertx-amqp-client 4.5.14 and qpid-jms-client 2.6.1 (Java) send; azure-messaging-eventhubs 5.21.5
# (Java), azeventhubs v2.0.2 (Go) and @azure/event-hubs 6.0.4 (JavaScript) read; rhea 3.0.5 as the
# server, Linux, 2026-11-30.
# Vert.x, and with it Quarkus, writes a text as an AMQP value, JMS a TextMessage too. Event Hubs
# hands on what it got. Java's client reads an event without bytes. Its raw message says that it is
# DATA, so the text is not there either. Go's client has a nil Body, and the text in RawAMQPMessage.
# Neither has an error. JavaScript's reads the text.
# A good guess: the vendor's clients read a text, or they say that they cannot.
# Seen:
#   Vert.x: Java "" DATA, Go "" raw "a text", JavaScript "a text"
#   JMS: Java "" DATA, Go "" raw "a text", JavaScript "a text"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency>
<dependency><groupId>io.vertx</groupId><artifactId>vertx-amqp-client</artifactId><version>4.5.14</version></dependency>
<dependency><groupId>org.apache.qpid</groupId><artifactId>qpid-jms-client</artifactId><version>2.6.1</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Vertx.java <<'JAVA'
import io.vertx.amqp.*;
public class Vertx {
    public static void main(String[] a) {
        AmqpClient.create(new AmqpClientOptions().setHost("127.0.0.1").setPort(Integer.parseInt(a[0]))).createSender("hub/Partitions/0")
            .compose(sender -> sender.sendWithAck(AmqpMessage.create().withBody("a text").build()))
            .onComplete(sent -> System.exit(sent.succeeded() ? 0 : 1));
    }
}
JAVA
cat > Jms.java <<'JAVA'
import org.apache.qpid.jms.JmsConnectionFactory;
public class Jms {
    public static void main(String[] a) throws Exception {
        try (var context = new JmsConnectionFactory("amqp://127.0.0.1:" + a[0]).createContext()) {
            context.createProducer().send(context.createQueue("hub/Partitions/1"), context.createTextMessage("a text"));
        }
        System.exit(0);
    }
}
JAVA
cat > Read.java <<'JAVA'
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.models.EventPosition;
import java.time.Duration;
public class Read {
    public static void main(String[] a) {
        var client = new EventHubClientBuilder().connectionString(a[0], "hub").consumerGroup("$Default").buildConsumerClient();
        for (var event : client.receiveFromPartition(a[1], 1, EventPosition.earliest(), Duration.ofSeconds(15)))
            System.out.print("Java \"" + event.getData().getBodyAsString() + "\" " + event.getData().getRawAmqpMessage().getBody().getBodyType());
        System.exit(0);
    }
}
JAVA
cat > read.js <<'JS'
const { EventHubConsumerClient, earliestEventPosition } = require('@azure/event-hubs');
new EventHubConsumerClient('$Default', process.argv[2], 'hub').subscribe(process.argv[3], {
  processEvents: async ([event]) => { if (event) console.log(`JavaScript "${event.body}"`), process.exit(); }, processError: async e => console.log(e.message) },
{ startPosition: earliestEventPosition });
JS
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	client := must(azeventhubs.NewConsumerClientFromConnectionString(os.Args[1], "hub", "$Default", nil))
	from := azeventhubs.StartPosition{Earliest: new(true)}
	partition := must(client.NewPartitionClient(os.Args[2], &azeventhubs.PartitionClientOptions{StartPosition: from}))
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for _, event := range must(partition.ReceiveEvents(ctx, 1, nil)) {
		fmt.Printf("Go %q raw %q", event.Body, event.RawAMQPMessage.Body.Value)
	}
}
GO
go mod init finding >/dev/null 2>&1; go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1; go build -o go-client .
EVENTS='[[],[]]' NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
timeout 30 java -cp 'lib/*' Vertx.java "$(head -1 port)" >/dev/null 2>&1; timeout 30 java -cp 'lib/*' Jms.java "$(head -1 port)" >/dev/null 2>&1
connection="Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
got=$(for p in 0 1; do
  [ $p = 0 ] && printf 'Vert.x: ' || printf 'JMS: '
  echo "$(timeout 30 java -cp 'lib/*' Read.java "$connection" $p 2>/dev/null), $(timeout 20 ./go-client "$connection" $p), $(timeout 20 node read.js "$connection" $p)"
done)
want='Vert.x: Java "" DATA, Go "" raw "a text", JavaScript "a text"
JMS: Java "" DATA, Go "" raw "a text", JavaScript "a text"'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
