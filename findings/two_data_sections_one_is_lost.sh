#!/usr/bin/env bash
# python-qpid-proton 0.40.0, proton-j 0.34.1 (below azure-messaging-eventhubs 5.21.5 for Java), rhea 3.0.5, 2026-11-29.
# A body of two data sections is valid AMQP 1.0. Of "ab" and "cd" Proton for Python keeps the last and proton-j, of the same project, the first;
# what is lost is not reported, also when the message is sent on. rhea keeps both.
# A good guess: both are kept, or joined; at least the two libraries of one project lose the same one.
# Seen:
#   proton:   cd
#   proton-j: ab
#   rhea:     ab cd
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
message=005375a0026162005375a0026364
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check python-qpid-proton==0.40.0
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.qpid</groupId><artifactId>proton-j</artifactId><version>0.34.1</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import org.apache.qpid.proton.amqp.messaging.Data;
import org.apache.qpid.proton.message.Message;
import java.util.HexFormat;
public class Finding {
    public static void main(String[] a) {
        byte[] raw = HexFormat.of().parseHex(a[0]);
        Message m = Message.Factory.create();
        m.decode(raw, 0, raw.length);
        System.out.println("proton-j: " + new String(((Data) m.getBody()).getValue().getArray()).trim());
    }
}
JAVA
got=$(timeout 60 v/bin/python - "$message" <<'PY'
import sys
from proton import Message
m = Message(); m.decode(bytes.fromhex(sys.argv[1]))
print('proton:  ', bytes(m.body).decode())
PY
timeout 60 java -cp 'lib/*' Finding.java "$message"
timeout 60 node -e "console.log('rhea:     ' + require('rhea').message.decode(Buffer.from('$message', 'hex')).body.content.join(' '))")
want='proton:   cd
proton-j: ab
rhea:     ab cd'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
