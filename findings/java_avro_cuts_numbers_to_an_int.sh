#!/usr/bin/env bash
# azure-data-schemaregistry-apacheavro 1.1.20 over avro 1.11.3 (Java), azure-schemaregistry-
# avroencoder 1.0.0 over avro 1.12.2 (Python), hamba/avro v2.31.0 (Go), Linux, 2026-11-30.
# A number that does not fit an int field is cut to 32 bits by Java's serializer, silently: 2^32 is
# written as 0, 3 billion as a negative number, 20.9 as 20. Python and Go refuse each of them.
# In a nullable field Java refuses them, too. A GenericRecord's put takes any number.
# A good guess: an encoder refuses a number that its schema cannot hold.
# Seen, of an int field (what Java writes, read again; then Python and Go):
#   4294967296  Java 0            Python refuses  Go refuses
#   3000000000  Java -1294967296  Python refuses  Go refuses
#   20.9        Java 20           Python refuses  Go refuses
# Seen, of a field ["null", "int"]: Java refuses 3 of 3
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
go mod init finding >/dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 >/dev/null 2>&1
echo '{"type":"record","name":"Reading","fields":[{"name":"count","type":"int"}]}' > schema.json
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
    static final TypeReference<MessageContent> MESSAGE = TypeReference.createInstance(MessageContent.class);
    static final TypeReference<GenericRecord> RECORD = TypeReference.createInstance(GenericRecord.class);
    /** What a reader finds in the field when the number was put there, or that Java refused it. */
    static String hop(String text, Number number) {
        SchemaRegistryAsyncClient registry = new SchemaRegistryClientBuilder().fullyQualifiedNamespace("localhost")
            .credential(request -> Mono.just(new AccessToken("t", OffsetDateTime.now().plusDays(1))))
            .httpClient(request -> Mono.just(new Answer(request, text))).buildAsyncClient();
        var serializer = new SchemaRegistryApacheAvroSerializerBuilder().schemaRegistryClient(registry).schemaGroup("g").buildSerializer();
        GenericRecord record = new GenericData.Record(new Schema.Parser().parse(text));
        record.put("count", number);
        try {
            return serializer.deserialize(serializer.serialize(record, MESSAGE), RECORD).get("count").toString();
        } catch (SchemaRegistryApacheAvroException e) {
            return "refuses";
        }
    }
    public static void main(String[] a) throws Exception {
        String text = Files.readString(Path.of("schema.json")).trim();
        int refused = 0;
        for (Number number : new Number[] {4294967296L, 3000000000L, 20.9}) {
            System.out.printf("%-11s Java %-11s%n", number, hop(text, number));
            if (hop(text.replace("\"int\"", "[\"null\",\"int\"]"), number).equals("refuses")) refused++;
        }
        System.out.println("nullable: Java refuses " + refused + " of 3");
    }
}
JAVA
cat > write.py <<'PY'
from types import SimpleNamespace
from azure.schemaregistry.encoder.avroencoder import AvroEncoder, InvalidContentError
class Registry:
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
encoder = AvroEncoder(client=Registry(), group_name='g')
for number in 4294967296, 3000000000, 20.9:
    try:
        encoder.encode({'count': number}, schema=open('schema.json').read())
        print(' Python writes it')
    except InvalidContentError:
        print(' Python refuses')
PY
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/hamba/avro/v2"
)

func main() {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		panic(err)
	}
	schema := avro.MustParse(string(text))
	for _, number := range []any{int64(4294967296), int64(3000000000), 20.9} {
		if _, err := avro.Marshal(schema, map[string]any{"count": number}); err != nil {
			fmt.Println(" Go refuses")
		} else {
			fmt.Println(" Go writes it")
		}
	}
}
GO
go mod tidy >/dev/null 2>&1
timeout 60 java -cp 'lib/*' Finding.java > java 2>/dev/null
timeout 60 v/bin/python write.py > python
timeout 100 go run . > go
got=$(head -3 java | paste -d' ' - python go; tail -1 java)
want='4294967296  Java 0            Python refuses  Go refuses
3000000000  Java -1294967296  Python refuses  Go refuses
20.9        Java 20           Python refuses  Go refuses
nullable: Java refuses 3 of 3'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
