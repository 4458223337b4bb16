#!/usr/bin/env bash
# azure-data-schemaregistry-apacheavro 1.1.20 (Java), azure-schemaregistry-avroencoder 1.0.0
# over avro 1.12.2 (Python), Linux, 2026-11-30.
# Java's serializer takes an event for Avro's "single object" form if its bytes begin with c3 01.
# The int or long -98 is written as these two bytes. So Java cannot read an event whose first
# field is -98, if ten bytes or more are in it: nor Python's, nor its own. Python reads it.
# A good guess: the content type says avro/binary, so no value of a field changes the format.
# Seen, of records {rssi: int, device: string}:
#   -97 device-7: Java wrote c101106465766963652d37, Python the same; Java reads -97 device-7
#   -98 device-7: Java wrote c301106465766963652d37, Python the same; Java: MissingSchemaException
#   -98 dev-7: Java wrote c3010a6465762d37, Python the same; Java reads -98 dev-7
#   -99 device-7: Java wrote c501106465766963652d37, Python the same; Java reads -99 device-7
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 azure-schemaregistry==1.3.0 \
  azure-schemaregistry-avroencoder==1.0.0
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-data-schemaregistry-apacheavro</artifactId><version>1.1.20</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null 2>&1
cat > schema.json <<'JSON'
{"type":"record","name":"Reading","fields":[{"name":"rssi","type":"int"},{"name":"device","type":"string"}]}
JSON
cat > readings <<'TEXT'
-97 device-7
-98 device-7
-98 dev-7
-99 device-7
TEXT
cat > write.py <<'PY'
from types import SimpleNamespace
from azure.schemaregistry.encoder.avroencoder import AvroEncoder
class Registry:
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
encoder = AvroEncoder(client=Registry(), group_name='g')
for line in open('readings'):
    rssi, device = line.split()
    record = {'rssi': int(rssi), 'device': device}
    print(encoder.encode(record, schema=open('schema.json').read())['content'].hex())
PY
cat > Finding.java <<'JAVA'
import com.azure.core.credential.AccessToken;
import com.azure.core.http.*;
import com.azure.core.models.MessageContent;
import com.azure.core.util.*;
import com.azure.core.util.serializer.TypeReference;
import com.azure.data.schemaregistry.*;
import com.azure.data.schemaregistry.apacheavro.*;
import java.nio.ByteBuffer;
import java.nio.charset.*;
import java.nio.file.*;
import java.time.OffsetDateTime;
import java.util.*;
import org.apache.avro.*;
import org.apache.avro.generic.*;
import reactor.core.publisher.*;
public class Finding {
    /** The registry's answer: the schema for GET, its properties for POST. */
    static class Answer extends HttpResponse {
        final byte[] body;
        final HttpHeaders headers = new HttpHeaders()
            .set(HttpHeaderName.fromString("Schema-Id"), "1").set(HttpHeaderName.fromString("Schema-Version"), "1")
            .set(HttpHeaderName.fromString("Schema-Name"), "Reading").set(HttpHeaderName.fromString("Schema-Group-Name"), "g")
            .set(HttpHeaderName.CONTENT_TYPE, "application/json; serialization=Avro");
        Answer(HttpRequest request, String schema) {
            super(request);
            body = (request.getHttpMethod() == HttpMethod.GET ? schema : "").getBytes(StandardCharsets.UTF_8);
        }
        @Override public int getStatusCode() { return getRequest().getHttpMethod() == HttpMethod.GET ? 200 : 204; }
        @Override @Deprecated public String getHeaderValue(String name) { return headers.getValue(HttpHeaderName.fromString(name)); }
        @Override public HttpHeaders getHeaders() { return headers; }
        @Override public Flux<ByteBuffer> getBody() { return Flux.just(ByteBuffer.wrap(body)); }
        @Override public Mono<byte[]> getBodyAsByteArray() { return Mono.just(body); }
        @Override public Mono<String> getBodyAsString() { return getBodyAsString(StandardCharsets.UTF_8); }
        @Override public Mono<String> getBodyAsString(Charset charset) { return Mono.just(new String(body, charset)); }
    }
    public static void main(String[] a) throws Exception {
        String text = Files.readString(Path.of("schema.json")).trim();
        SchemaRegistryAsyncClient registry = new SchemaRegistryClientBuilder().fullyQualifiedNamespace("localhost")
            .credential(request -> Mono.just(new AccessToken("t", OffsetDateTime.now().plusDays(1))))
            .httpClient(request -> Mono.just(new Answer(request, text))).buildAsyncClient();
        var serializer = new SchemaRegistryApacheAvroSerializerBuilder().schemaRegistryClient(registry).schemaGroup("g").buildSerializer();
        List<String> python = Files.readAllLines(Path.of("python"));
        for (String line : Files.readAllLines(Path.of("readings"))) {
            GenericRecord record = new GenericData.Record(new Schema.Parser().parse(text));
            record.put("rssi", Integer.parseInt(line.split(" ")[0]));
            record.put("device", line.split(" ")[1]);
            String own = HexFormat.of().formatHex(
                serializer.serialize(record, TypeReference.createInstance(MessageContent.class)).getBodyAsBinaryData().toBytes());
            String other = python.remove(0);
            MessageContent received = new MessageContent().setContentType("avro/binary+1")
                .setBodyAsBinaryData(BinaryData.fromBytes(HexFormat.of().parseHex(other)));
            String result;
            try {
                GenericRecord read = serializer.deserialize(received, TypeReference.createInstance(GenericRecord.class));
                result = " reads " + read.get("rssi") + " " + read.get("device");
            } catch (RuntimeException e) {
                result = ": " + e.getClass().getSimpleName();
            }
            System.out.println(line + ": Java wrote " + own + ", Python " + (own.equals(other) ? "the same" : other) + "; Java" + result);
        }
    }
}
JAVA
timeout 60 v/bin/python write.py > python
got=$(timeout 60 java -cp 'lib/*' Finding.java 2>/dev/null)
want='-97 device-7: Java wrote c101106465766963652d37, Python the same; Java reads -97 device-7
-98 device-7: Java wrote c301106465766963652d37, Python the same; Java: MissingSchemaException
-98 dev-7: Java wrote c3010a6465762d37, Python the same; Java reads -98 dev-7
-99 device-7: Java wrote c501106465766963652d37, Python the same; Java reads -99 device-7'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
