// What server.mjs and reader.mjs tell the runner: one JSON object a line.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import rhea from "rhea";

export const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// The data sections of a message, as rhea decodes them. Of a message whose format is not 0 rhea hands out the bytes.
export function dataSections(message) {
  const { body } = Buffer.isBuffer(message) ? rhea.message.decode(message) : message;
  if (body?.typecode !== 0x75) throw new Error("the message has no data section");
  return body.multiple ? body.content : [body.content];
}

// tell reports a message that has arrived: the number of its sections, their bytes, and a hash of their lengths and bytes.
export function tell(address, format, sections) {
  const hash = createHash("sha256");
  let bytes = 0;
  for (const section of sections) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(section.length);
    hash.update(length).update(section);
    bytes += section.length;
  }
  say({ arrived: address, format, sections: sections.length, bytes, hash: hash.digest("hex") });
}

// tellEvents reports each event of a batch by itself: its body, and its properties as JSON in the order of their names.
export function tellEvents(address, format, sections) {
  for (const section of sections) {
    const event = rhea.message.decode(section);
    const properties = event.application_properties;
    tell(address, format, [...dataSections(event), Buffer.from(JSON.stringify(properties, Object.keys(properties).sort()))]);
  }
}

// obey carries out what the runner says, a verb and perhaps an address on each line, and ends with the runner.
export function obey(verbs) {
  createInterface({ input: process.stdin })
    .on("line", async (line) => {
      const [verb, address] = line.split(" ");
      try {
        say({ done: line, count: (await verbs[verb](address)) ?? 0 });
      } catch (error) {
        say({ done: line, error: `${error.stack}` });
      }
    })
    .on("close", () => process.exit(0));
}
