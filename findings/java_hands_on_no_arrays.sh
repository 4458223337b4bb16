#!/usr/bin/env bash
# proton-j 0.34.1 (below azure-messaging-eventhubs 5.21.5 for Java), protonj2 1.0.0, 2026-11-29.
# proton-j reads a property that is an array of ints, and cannot write what it has read: encode raises a ClassCastException. An array of strings passes.
# Both cut a char beyond U+FFFF to 16 bits, another character, without an error. protonj2 reads a timestamp in a map as a Long, and hands it on as a long.
# A good guess: what a library has read it can write again, or it refuses to read it.
# Seen (code of the encoding: 83 timestamp, 55 and 81 long):
#   proton-j: array of int: ClassCastException, char 1f600: f600, timestamp 83: 83
#   protonj2: array of int: handed on, char 1f600: f600, timestamp 83: 55
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.qpid</groupId><artifactId>proton-j</artifactId><version>0.34.1</version></dependency>
<dependency><groupId>org.apache.qpid</groupId><artifactId>protonj2</artifactId><version>1.0.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > Finding.java <<'JAVA'
import java.util.HexFormat;
import org.apache.qpid.proton.message.Message;
import org.apache.qpid.protonj2.buffer.*;
import org.apache.qpid.protonj2.codec.*;
public class Finding {
    interface Hop { byte[] over(byte[] message); }
    static byte[] protonj(byte[] raw) {
        Message m = Message.Factory.create();
        m.decode(raw, 0, raw.length);
        byte[] out = new byte[1024];
        return java.util.Arrays.copyOf(out, m.encode(out, 0, out.length));
    }
    static byte[] protonj2(byte[] raw) {
        ProtonBuffer in = ProtonBufferAllocator.defaultAllocator().copy(raw), out = ProtonBufferAllocator.defaultAllocator().allocate(1024);
        Decoder decoder = CodecFactory.getDecoder();
        Encoder encoder = CodecFactory.getEncoder();
        while (in.isReadable()) encoder.writeObject(out, encoder.newEncoderState(), decoder.readObject(in, decoder.newDecoderState()));
        byte[] b = new byte[out.getReadableBytes()];
        out.readBytes(b, 0, b.length);
        return b;
    }
    /** What became of the property "k" with this value, in hex, from its encoding's code on. */
    static String hop(Hop hop, String value) {
        String message = "005374c1" + HexFormat.of().toHexDigits((byte) (value.length() / 2 + 4)) + "02a1016b" + value + "005375a00178";
        try {
            String sent = HexFormat.of().formatHex(hop.over(HexFormat.of().parseHex(message)));
            return sent.substring(sent.indexOf("a1016b") + 6);
        } catch (ClassCastException e) {
            return "ClassCastException";
        }
    }
    static void show(String name, Hop hop) {
        String array = hop(hop, "e00a027100000001ffffff38"), c = hop(hop, "730001f600"), time = hop(hop, "830000000000000005");
        System.out.println(name + ": array of int: " + (array.endsWith("Exception") ? array : "handed on") + ", char 1f600: "
            + Integer.toHexString(Integer.parseInt(c.substring(2, 10), 16)) + ", timestamp 83: " + time.substring(0, 2));
    }
    public static void main(String[] a) {
        show("proton-j", Finding::protonj);
        show("protonj2", Finding::protonj2);
    }
}
JAVA
got=$(timeout 60 java -cp 'lib/*' Finding.java 2>/dev/null)
want='proton-j: array of int: ClassCastException, char 1f600: f600, timestamp 83: 83
protonj2: array of int: handed on, char 1f600: f600, timestamp 83: 55'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
