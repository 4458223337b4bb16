#!/usr/bin/env bash
# azure-messaging-eventhubs 5.21.5 (Java); rhea 3.0.5 as the server, 2026-11-29.
# A batch that is refused as busy until the retries are used up ends in an exception of Reactor, whose text says nothing of Event Hubs. The AmqpException is
# its cause, and a catch of AmqpException does not see it. A refusal for want of rights, which is not retried, ends as an AmqpException.
# A good guess: send throws AmqpException, with server busy as its condition, also after the last retry.
# Seen, with one retry:
#   busy:         reactor.core.Exceptions$RetryExhaustedException, an AmqpException: false, "Retries exhausted: 1/1", its cause an AmqpException: true
#   unauthorized: com.azure.core.amqp.exception.AmqpException, an AmqpException: true
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import com.azure.core.amqp.AmqpRetryOptions;
import com.azure.core.amqp.exception.AmqpException;
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.models.*;
import java.time.Duration;
public class Finding {
    public static void main(String[] a) {
        var client = new EventHubClientBuilder().connectionString(a[0], "hub")
            .retryOptions(new AmqpRetryOptions().setMaxRetries(1).setDelay(Duration.ofMillis(10))).buildProducerClient();
        var batch = client.createBatch(new CreateBatchOptions().setPartitionId("1"));
        batch.tryAdd(new EventData("x"));
        try {
            client.send(batch);
            System.out.println("sent");
        } catch (RuntimeException e) {
            System.out.println(e.getClass().getName() + ", an AmqpException: " + (e instanceof AmqpException)
                + (e instanceof AmqpException ? "" : ", \"" + e.getMessage() + "\", its cause an AmqpException: " + (e.getCause() instanceof AmqpException)));
        }
        System.exit(0);
    }
}
JAVA
got=$(for outcome in busy unauthorized; do
  NODE_PATH="$dir/node_modules" node "$here/server.js" $outcome 1048576 > port & server=$!
  for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
  printf '%-13s %s\n' "$outcome:" "$(timeout 50 java -cp 'lib/*' Finding.java "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" 2>/dev/null)"
  kill $server; : > port
done)
want='busy:         reactor.core.Exceptions$RetryExhaustedException, an AmqpException: false, "Retries exhausted: 1/1", its cause an AmqpException: true
unauthorized: com.azure.core.amqp.exception.AmqpException, an AmqpException: true'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
