#!/usr/bin/env bash
# azure-eventhubs 3.3.0 (Java, below Spark's connector for Event Hubs); rhea 3.0.5 as the server, 2026-11-30.
# AMQP 1.0 allows a delivery tag of at most 32 bytes (2.8.7). The client's are a UUID's 32 digits, an underscore and the
# seconds that the send has waited.
# A good guess: a client of the vendor keeps the protocol's limits.
# Seen:
#   tag of 34 bytes
# It connects to port 5671, which must be free.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.microsoft.azure</groupId><artifactId>azure-eventhubs</artifactId><version>3.3.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
keytool -importcert -noprompt -alias server -file cert.pem -keystore trust.p12 -storepass changeit >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.microsoft.azure.eventhubs.*;
import java.util.concurrent.Executors;
public class Finding {
    public static void main(String[] a) throws Exception {
        var client = EventHubClient.createFromConnectionStringSync(
            "Endpoint=sb://127.0.0.1;SharedAccessKeyName=k;SharedAccessKey=a2V5;EntityPath=hub", Executors.newScheduledThreadPool(2));
        client.sendSync(EventData.create(new byte[] {1}));
        System.exit(0);
    }
}
JAVA
TLS_CERT=cert.pem TLS_KEY=key.pem NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 show > seen & server=$!
for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
timeout 100 java -Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit -cp 'lib/*' Finding.java >/dev/null 2>&1 || true
got=$(sed -n 's/, key.*//; /^tag/p' seen)
want='tag of 34 bytes'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
