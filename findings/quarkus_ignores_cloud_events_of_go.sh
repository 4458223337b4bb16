#!/usr/bin/env bash
# cloudevents/sdk-go with protocol/amqp v2.15.2 (Go) sends, smallrye-reactive-messaging-amqp 4.33.0
# (Java, the AMQP connector of Quarkus) reads; rhea 3.0.5 as the server, Linux, 2026-11-30.
# Both write and read CloudEvents in AMQP's binary mode. Go's writes the attribute time as an AMQP
# timestamp, which the binding of CloudEvents for AMQP provides for. SmallRye cannot copy such a
# value into its JSON, and drops the message: it logs "Unable to deserialize AMQP message …, message
# ignored", and the application does not see it.
# A good guess: two libraries for one standard understand each other, or the attribute alone is
# lost.
# Seen, of the events 0, 1 with a time, and 2:
#   Go sent 0 1 2
#   Quarkus read 0 2, ignored 1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>io.smallrye.reactive</groupId><artifactId>smallrye-reactive-messaging-amqp</artifactId><version>4.33.0</version></dependency>
<dependency><groupId>io.smallrye.reactive</groupId><artifactId>mutiny-reactive-streams-operators</artifactId><version>3.1.0</version></dependency>
<dependency><groupId>io.smallrye.config</groupId><artifactId>smallrye-config</artifactId><version>3.13.4</version></dependency>
<dependency><groupId>org.jboss.weld.se</groupId><artifactId>weld-se-core</artifactId><version>5.1.5.Final</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
mkdir -p classes/META-INF
echo '<beans xmlns="https://jakarta.ee/xml/ns/jakartaee" version="3.0" bean-discovery-mode="all"></beans>' > classes/META-INF/beans.xml
cat > Reader.java <<'JAVA'
import io.smallrye.reactive.messaging.ce.IncomingCloudEventMetadata;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.enterprise.inject.se.SeContainerInitializer;
import java.util.concurrent.CompletionStage;
import org.eclipse.microprofile.reactive.messaging.*;
@ApplicationScoped
public class Reader {
    @Incoming("hub")
    public CompletionStage<Void> read(Message<byte[]> message) {
        System.out.println("read " + message.getMetadata(IncomingCloudEventMetadata.class).map(event -> event.getId()).orElse("no CloudEvent"));
        return message.ack();
    }
    public static void main(String[] a) throws Exception {
        System.setProperty("mp.messaging.incoming.hub.connector", "smallrye-amqp");
        System.setProperty("mp.messaging.incoming.hub.address", "hub/ConsumerGroups/$Default/Partitions/0");
        System.setProperty("amqp-host", "127.0.0.1");
        System.setProperty("amqp-port", a[0]);
        SeContainerInitializer.newInstance().initialize();
        Thread.sleep(6000);
        Runtime.getRuntime().halt(0);
    }
}
JAVA
javac -d classes -cp 'lib/*' Reader.java 2>/dev/null
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/Azure/go-amqp"
	ceamqp "github.com/cloudevents/sdk-go/protocol/amqp/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	protocol := must(ceamqp.NewSenderProtocol("amqp://127.0.0.1:"+os.Args[1], "hub/Partitions/0",
		[]amqp.ConnOption{amqp.ConnSASLAnonymous()}, []amqp.SessionOption{}))
	client := must(cloudevents.NewClient(protocol))
	fmt.Print("Go sent")
	for i := range 3 {
		event := cloudevents.NewEvent()
		event.SetID(strconv.Itoa(i))
		event.SetType("reading")
		event.SetSource("/finding")
		if i == 1 {
			event.SetTime(time.Now())
		}
		if err := event.SetData(cloudevents.ApplicationJSON, map[string]int{"number": i}); err != nil {
			panic(err)
		}
		if result := client.Send(context.Background(), event); cloudevents.IsUndelivered(result) {
			panic(result)
		}
		fmt.Print(" ", i)
	}
	fmt.Println()
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/protocol/amqp/v2@v2.15.2 github.com/cloudevents/sdk-go/v2@v2.15.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1; go build -o sender .
EVENTS='[[]]' NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 20 ./sender "$(head -1 port)")
timeout 60 java -cp 'classes:lib/*' Reader "$(head -1 port)" > log 2>&1 || true
got+=$(printf '\nQuarkus read%s, ignored %s' "$(sed -n 's/^read\( .*\)/\1/p' log | tr -d '\n')" "$(grep -c 'message ignored' log)")
want='Go sent 0 1 2
Quarkus read 0 2, ignored 1'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
