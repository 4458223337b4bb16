#!/usr/bin/env bash
# azeventhubs v2.0.2 (Go), @azure/event-hubs 6.0.4 (JavaScript), azure-messaging-eventhubs 5.21.5 (Java); rhea 3.0.5 as the server, 2026-11-29.
# An attach without max-message-size says in AMQP 1.0 that there is no limit. To an event of 300,000 bytes Go's client says that nothing fits, Java's that
# 256 KiB is the limit, and JavaScript's that it fits if the server has left the field out, and that it does not if the server has written null.
# A good guess: no limit, or one default for all; and null is what a field that is left out is.
# Seen:
#   limit absent: Go too large, Java too large, JavaScript fits
#   limit null:   Go too large, Java too large, JavaScript does not fit
#   1 byte, limit absent: Go too large
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func main() {
	client, err := azeventhubs.NewProducerClientFromConnectionString(os.Args[1], "hub", nil)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	batch, err := client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: new("1")})
	if err != nil {
		panic(err)
	}
	size, _ := strconv.Atoi(os.Args[2])
	switch err := batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, size)}, nil); {
	case errors.Is(err, azeventhubs.ErrEventDataTooLarge):
		fmt.Print("Go too large")
	default:
		fmt.Print("Go ", err)
	}
}
GO
go mod tidy >/dev/null 2>&1; go build -o go-client .
cat > Finding.java <<'JAVA'
import com.azure.core.amqp.exception.AmqpException;
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.models.*;
public class Finding {
    public static void main(String[] a) {
        var client = new EventHubClientBuilder().connectionString(a[0], "hub").buildProducerClient();
        var batch = client.createBatch(new CreateBatchOptions().setPartitionId("1"));
        try {
            System.out.print("Java " + (batch.tryAdd(new EventData(new byte[300000])) ? "fits" : "does not fit"));
        } catch (AmqpException e) {
            System.out.print("Java " + (e.getMessage().contains("256 kb") ? "too large" : e.getMessage()));
        }
        System.exit(0);
    }
}
JAVA
cat > client.js <<'JS'
const { EventHubProducerClient } = require('@azure/event-hubs');
const client = new EventHubProducerClient(process.argv[2], 'hub');
client.createBatch({ partitionId: '1' }).then(b => {
  process.stdout.write('JavaScript ' + (b.tryAdd({ body: Buffer.alloc(300000) }) ? 'fits' : 'does not fit'));
  process.exit();
});
JS
serve() { # LIMIT: starts a server and sets connection
  : > "port.$1"; NODE_PATH="$dir/node_modules" node "$here/server.js" accepted "$1" > "port.$1" & servers="${servers:-} $!"
  for _ in $(seq 50); do [ -s "port.$1" ] && break; sleep 0.1; done
  connection="Endpoint=sb://127.0.0.1:$(head -1 "port.$1");SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
}
ask() { printf '%s, %s, %s' "$(timeout 25 ./go-client "$connection" 300000)" "$(timeout 40 java -cp 'lib/*' Finding.java "$connection" 2>/dev/null)" "$(timeout 25 node client.js "$connection")"; }
serve null; null=$(ask)
serve absent
got="limit absent: $(ask)
limit null:   $null
1 byte, limit absent: $(timeout 25 ./go-client "$connection" 1)"
want='limit absent: Go too large, Java too large, JavaScript fits
limit null:   Go too large, Java too large, JavaScript does not fit
1 byte, limit absent: Go too large'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
