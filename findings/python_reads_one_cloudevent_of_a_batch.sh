#!/usr/bin/env bash
# azure-core 1.41.0 with azure-eventhub 5.15.1 (Python), azure-core 1.58.1 with
# azure-messaging-eventhubs 5.21.5 (Java, the writer), Linux, 2026-11-30.
# CloudEvents have a JSON form for several events, an array. Python's CloudEvent.from_json takes an
# event of Event Hubs, and returns the first of the array; the others are lost without an error.
# Of the same array as a text it raises AttributeError. Java's CloudEvent.fromString returns all.
# A good guess: it returns all of them, or raises an error.
# Seen, of an event of Event Hubs with three CloudEvents:
#   Java reads 3: 1 2 3
#   Python reads 1: 1
#   Python, from the text: AttributeError
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
cat > Finding.java <<'JAVA'
import com.azure.core.models.*;
import com.azure.core.util.BinaryData;
import com.azure.messaging.eventhubs.EventData;
import java.nio.file.*;
import java.util.*;
public class Finding {
    public static void main(String[] a) throws Exception {
        List<CloudEvent> sent = new ArrayList<>();
        for (int i = 1; i <= 3; i++)
            sent.add(new CloudEvent("/s", "t", BinaryData.fromObject(i), CloudEventDataFormat.JSON, null).setId("" + i));
        EventData event = new EventData(BinaryData.fromObject(sent));
        Files.write(Path.of("event"), event.getBody());
        List<String> ids = new ArrayList<>();
        for (CloudEvent read : CloudEvent.fromString(event.getBodyAsString())) ids.add(read.getId());
        System.out.println("Java reads " + ids.size() + ": " + String.join(" ", ids));
    }
}
JAVA
cat > finding.py <<'PY'
from azure.core.messaging import CloudEvent
from azure.eventhub import EventData, EventDataBatch
from azure.eventhub._pyamqp._decode import decode_payload
body = open('event', 'rb').read()
batch = EventDataBatch(max_size_in_bytes=1 << 20)
batch.add(EventData(body))
received = EventData._from_message(decode_payload(memoryview(bytes(batch._message.data[0]))))
read = CloudEvent.from_json(received)
print('Python reads 1:', read.id) if isinstance(read, CloudEvent) else print('Python reads', read)
try:
    print('Python, from the text:', CloudEvent.from_json(body.decode()))
except Exception as e:
    print('Python, from the text:', type(e).__name__)
PY
got=$(timeout 60 java -cp 'lib/*' Finding.java 2>/dev/null; timeout 60 v/bin/python finding.py)
want='Java reads 3: 1 2 3
Python reads 1: 1
Python, from the text: AttributeError'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
