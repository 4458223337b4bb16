#!/usr/bin/env bash
# azeventhubs v2.0.2 (Go), @azure/event-hubs 6.0.4 (JavaScript), azure-eventhub 5.15.1 (Python), azure-messaging-eventhubs 5.21.5 (Java), 2026-11-29.
# One connection string, four readers. With a newline at its end, as a file or a secret gives it, Go's keeps the newline as part of the hub's name or of the
# key, which then signs nothing that the service accepts; the others cut it off. Keys in lower case only JavaScript's refuses. A blank behind each semicolon
# JavaScript's and Java's take. A field that nobody knows only Java's refuses. Of a hub that is named twice, Python's alone says that something is wrong.
# A good guess: the clients of one vendor accept the same strings, and read the same out of them.
# Seen (the hub that is read, or "refused"):
#   as it is       Go "orders", JavaScript "orders", Python "orders", Java "orders"
#   newline        Go "orders\n", JavaScript "orders", Python "orders", Java "orders"
#   lower case     Go "orders", JavaScript refused, Python "orders", Java "orders"
#   blanks         Go refused, JavaScript "orders", Python refused, Java "orders"
#   unknown field  Go "orders", JavaScript "orders", Python "orders", Java refused
#   hub twice      Go "orders", JavaScript "orders", Python refused, Java "orders"
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 >/dev/null
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
plain='Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=a2V5;EntityPath=orders'
newline="$plain"$'\n'
lower=${plain//Endpoint/endpoint}; lower=${lower//SharedAccessKey/sharedaccesskey}; lower=${lower//EntityPath/entitypath}
strings=("$plain" "$newline" "$lower" "${plain//;/; }" "$plain;Colour=blue" "${plain//;EntityPath/;EntityPath=other;EntityPath}")
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func main() {
	for _, s := range os.Args[1:] {
		p, err := azeventhubs.ParseConnectionString(s)
		if err != nil || p.EntityPath == nil {
			fmt.Println("refused")
			continue
		}
		fmt.Printf("%q\n", *p.EntityPath)
	}
}
GO
go mod tidy >/dev/null 2>&1
cat > Finding.java <<'JAVA'
public class Finding {
    public static void main(String[] strings) {
        for (String s : strings) {
            try (var client = new com.azure.messaging.eventhubs.EventHubClientBuilder().connectionString(s).buildProducerClient()) {
                System.out.println('"' + client.getEventHubName().replace("\n", "\\n") + '"');
            } catch (IllegalArgumentException e) {
                System.out.println("refused");
            }
        }
        System.exit(0);
    }
}
JAVA
timeout 60 go run . "${strings[@]}" > go.seen
timeout 60 java -cp 'lib/*' Finding.java "${strings[@]}" > java.seen 2>/dev/null
timeout 60 node -e "
const { EventHubProducerClient } = require('@azure/event-hubs');
for (const s of process.argv.slice(1)) try { console.log(JSON.stringify(new EventHubProducerClient(s).eventHubName)) } catch (e) { console.log('refused') }
process.exit()" "${strings[@]}" > javascript.seen
timeout 60 v/bin/python - "${strings[@]}" > python.seen <<'PY'
import sys
from azure.eventhub import EventHubProducerClient
for s in sys.argv[1:]:
    try:
        print('"%s"' % EventHubProducerClient.from_connection_string(s).eventhub_name.replace('\n', '\\n'))
    except ValueError:
        print('refused')
PY
printf '%s\n' 'as it is' newline 'lower case' blanks 'unknown field' 'hub twice' > names
got=$(paste -d: names go.seen javascript.seen python.seen java.seen | awk -F: '{ printf "%-14s Go %s, JavaScript %s, Python %s, Java %s\n", $1, $2, $3, $4, $5 }')
want='as it is       Go "orders", JavaScript "orders", Python "orders", Java "orders"
newline        Go "orders\n", JavaScript "orders", Python "orders", Java "orders"
lower case     Go "orders", JavaScript refused, Python "orders", Java "orders"
blanks         Go refused, JavaScript "orders", Python refused, Java "orders"
unknown field  Go "orders", JavaScript "orders", Python "orders", Java refused
hub twice      Go "orders", JavaScript "orders", Python refused, Java "orders"'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
