#!/usr/bin/env bash
# azure-eventhub 5.15.1 (Python, buffered mode), @azure/event-hubs 6.0.4 (JavaScript), azure-messaging-eventhubs 5.21.5 (Java), 2026-11-29.
# The buffered producers compute a key's partition themselves. They have the same hash in mind, and disagree: Python takes the remainder that its own
# operator yields for negative hashes, and hashes characters rather than bytes; Java takes the bytes of a key's end for signed ones.
# A good guess: a key goes to the same partition whatever the language, or the promise of one partition for each key means nothing.
# Seen, of 1,000 keys "device-N" and of 1,000 keys "device-N-é", 32 partitions:
#   device-N: Python elsewhere than JavaScript: 472, Java elsewhere than JavaScript: 0
#   device-N-é: Python elsewhere than JavaScript: 977, Java elsewhere than JavaScript: 889
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 >/dev/null
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
for end in "" -é; do for n in $(seq 1000); do echo "device-$n$end"; done; done > keys
timeout 60 node - > javascript <<'JS'
const { mapPartitionKeyToId } = require('./node_modules/@azure/event-hubs/dist/commonjs/impl/partitionKeyToIdMapper.js');
for (const key of require('fs').readFileSync('keys', 'utf8').trim().split('\n')) console.log(String(mapPartitionKeyToId(key, 32)));
JS
timeout 60 v/bin/python - > python <<'PY'
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver
resolver = PartitionResolver([str(i) for i in range(32)])
for key in open('keys', encoding='utf-8').read().split():
    print(resolver.get_partition_id_by_partition_key(key))
PY
cat > Finding.java <<'JAVA'
import java.nio.file.*;
import java.util.stream.IntStream;
public class Finding {
    public static void main(String[] a) throws Exception {
        var type = Class.forName("com.azure.messaging.eventhubs.PartitionResolver");
        var make = type.getDeclaredConstructor();
        var assign = type.getDeclaredMethod("assignForPartitionKey", String.class, String[].class);
        make.setAccessible(true);
        assign.setAccessible(true);
        var resolver = make.newInstance();
        String[] ids = IntStream.range(0, 32).mapToObj(String::valueOf).toArray(String[]::new);
        for (String key : Files.readAllLines(Path.of("keys"))) System.out.println(assign.invoke(resolver, key, ids));
    }
}
JAVA
timeout 60 java -cp 'lib/*' Finding.java > java 2>/dev/null
got=$(paste -d' ' keys javascript python java | awk '
{ form = $1; sub(/[0-9]+/, "N", form); if (!(form in python)) order[++forms] = form; python[form] += $3 != $2; java[form] += $4 != $2 }
END { for (i = 1; i <= forms; i++) print order[i] ": Python elsewhere than JavaScript: " python[order[i]] ", Java elsewhere than JavaScript: " java[order[i]] }')
want='device-N: Python elsewhere than JavaScript: 472, Java elsewhere than JavaScript: 0
device-N-é: Python elsewhere than JavaScript: 977, Java elsewhere than JavaScript: 889'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
