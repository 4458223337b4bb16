#!/usr/bin/env bash
# azure-core 1.58.1 with azure-messaging-eventhubs 5.21.5 (Java), azcore v1.24.0 and
# cloudevents/sdk-go v2.16.2 (Go), azure-core 1.41.0 (Python), Linux, 2026-11-30.
# Java's CloudEvent writes a time without its seconds if they are zero: 2026-11-30T12:00Z. That is
# not RFC 3339, as CloudEvents demands. Go and Python refuse the whole event. Java reads it.
# A good guess: a time that the same vendor's library writes is one that its others read.
# Seen:
#   "2026-11-30T12:00:01Z": azcore reads it, sdk-go reads it, Python reads it
#   "2026-11-30T12:00Z": azcore refuses it, sdk-go refuses it, Python refuses it
#   "2026-11-30T12:01+01:00": azcore refuses it, sdk-go refuses it, Python refuses it
#   "2026-11-30T12:00:00.500Z": azcore reads it, sdk-go reads it, Python reads it
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check azure-core==1.41.0 azure-eventhub==5.15.1
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-core</artifactId><version>1.58.1</version></dependency>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Write.java <<'JAVA'
import com.azure.core.models.*;
import com.azure.core.util.BinaryData;
import com.azure.messaging.eventhubs.EventData;
import java.time.OffsetDateTime;
public class Write {
    public static void main(String[] a) {
        for (String time : new String[] {"2026-11-30T12:00:01Z", "2026-11-30T12:00:00Z", "2026-11-30T12:01:00+01:00", "2026-11-30T12:00:00.5Z"}) {
            CloudEvent event = new CloudEvent("/s", "t", BinaryData.fromObject(5), CloudEventDataFormat.JSON, "application/json")
                .setTime(OffsetDateTime.parse(time));
            String body = new EventData(BinaryData.fromObject(event)).getBodyAsString();
            if (!CloudEvent.fromString(body).get(0).getTime().equals(OffsetDateTime.parse(time))) throw new RuntimeException(body);
            System.out.println(body);
        }
    }
}
JAVA
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/cloudevents/sdk-go/v2/event"
)

func verdict(body []byte, into any) string {
	if json.Unmarshal(body, into) != nil {
		return "refuses it"
	}
	return "reads it"
}

func main() {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		var raw struct{ Time json.RawMessage }
		if err := json.Unmarshal(s.Bytes(), &raw); err != nil {
			panic(err)
		}
		fmt.Printf("%s: azcore %s, sdk-go %s\n", raw.Time,
			verdict(s.Bytes(), new(messaging.CloudEvent)), verdict(s.Bytes(), new(event.Event)))
	}
}
GO
go mod tidy >/dev/null 2>&1
cat > read.py <<'PY'
from azure.core.messaging import CloudEvent
from azure.eventhub import EventData
for body in open('events'):
    try:
        CloudEvent.from_json(EventData(body))
        print('Python reads it')
    except ValueError:
        print('Python refuses it')
PY
timeout 60 java -cp 'lib/*' Write.java > events 2>/dev/null
timeout 100 go run . < events > go
timeout 60 v/bin/python read.py > python
got=$(paste -d, go python | sed 's/,Python/, Python/')
want='"2026-11-30T12:00:01Z": azcore reads it, sdk-go reads it, Python reads it
"2026-11-30T12:00Z": azcore refuses it, sdk-go refuses it, Python refuses it
"2026-11-30T12:01+01:00": azcore refuses it, sdk-go refuses it, Python refuses it
"2026-11-30T12:00:00.500Z": azcore reads it, sdk-go reads it, Python reads it'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
