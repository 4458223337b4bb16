#!/usr/bin/env bash
# smallrye-reactive-messaging-amqp 4.33.0 (Java, the AMQP connector of Quarkus), rhea 3.0.5 as the server, Linux, 2026-11-30.
# The connector has as many messages on the way as it has credit for, and repeats a refused one alone, after a second. A
# refusal is what throttling is over AMQP: com.microsoft:server-busy. The messages after it are stored before it.
# A good guess: a channel keeps its order, also when it repeats.
# Seen, six messages to one partition, the second refused as busy once:
#   by default:                1 3 4 5 6 2
#   max-inflight-messages=1:   1 2 3 4 5 6
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
cat > Writer.java <<'JAVA'
import io.smallrye.mutiny.Multi;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.enterprise.inject.se.SeContainerInitializer;
import org.eclipse.microprofile.reactive.messaging.Outgoing;
@ApplicationScoped
public class Writer {
    @Outgoing("hub")
    public Multi<byte[]> write() {
        return Multi.createFrom().range(1, 7).map(i -> i.toString().getBytes());
    }
    public static void main(String[] a) throws Exception {
        System.setProperty("mp.messaging.outgoing.hub.connector", "smallrye-amqp");
        System.setProperty("mp.messaging.outgoing.hub.address", "hub/Partitions/0");
        System.setProperty("mp.messaging.outgoing.hub.max-inflight-messages", a[1]);
        System.setProperty("amqp-host", "127.0.0.1");
        System.setProperty("amqp-port", a[0]);
        SeContainerInitializer.newInstance().initialize();
        Thread.sleep(8000);
        Runtime.getRuntime().halt(0);
    }
}
JAVA
javac -d classes -cp 'lib/*' Writer.java 2>/dev/null
got=$(for inflight in 0 1; do
  NODE_PATH="$dir/node_modules" node "$here/server.js" busy-once 1048576 bodies > seen & server=$!
  for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
  timeout 40 java -cp 'classes:lib/*' Writer "$(head -1 seen)" $inflight >log 2>&1 || true
  [ $inflight = 0 ] && printf 'by default:              ' || printf 'max-inflight-messages=1: '
  tail -n +2 seen | tr '\n' ' '; cp log /tmp/f3/w$inflight.log; echo
  kill $server; : > seen
done)
printf '%s\n' "$got"
