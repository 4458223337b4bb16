// The batches of idempotent producers, in a file. A batch that is sent again is stored once, also if this process is killed.
//
// A line of the file is a batch: its address, its producer's id and epoch, the numbers of its first and last event, and the
// events. Or it is a producer's attach, without events. One write adds a line, and a line without its end was never answered.
import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import rhea from "rhea";

const prefix = "com.microsoft:producer-";
const capability = "com.microsoft:idempotent-producer";
const { wrap_int, wrap_long, wrap_short } = rhea.types;

export class Numbered {
  #file;
  #producers = new Map(); // by address and id: epoch, last number, and the batches' first and last numbers
  #batches = new Map(); // by address: lists of events, in order

  constructor(file) {
    this.#file = file;
    if (!existsSync(file)) return;
    const text = readFileSync(file, "latin1");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    truncateSync(file, whole.length);
    for (const line of whole.split("\n").slice(0, -1)) this.#apply(JSON.parse(line));
  }

  #apply({ address, id, epoch, first, last, events }) {
    const key = `${address} ${id}`;
    const producer = this.#producers.get(key) ?? { last: 0, stored: new Set() };
    this.#producers.set(key, producer);
    producer.epoch = epoch;
    if (!events) return;
    producer.last = last;
    producer.stored.add(`${epoch} ${first} ${last}`);
    this.#batches.set(address, [...(this.#batches.get(address) ?? []), events]);
  }

  #add(line) {
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
    this.#apply(line);
  }

  // attach makes the other side of a link a producer, if it asks for that. It returns the condition of a refusal.
  attach(receiver) {
    const { desired_capabilities: desired, properties: stated } = receiver.remote.attach;
    if (![desired].flat().some((one) => `${one}` === capability)) return undefined;
    const { address } = receiver.target;
    const id = stated?.[`${prefix}id`] ?? Math.floor(Math.random() * 2 ** 48);
    const known = this.#producers.get(`${address} ${id}`);
    const epoch = stated?.[`${prefix}epoch`] ?? 0;
    if (known && epoch < known.epoch) return `${prefix}epoch-stolen`;
    if (known?.epoch !== epoch) this.#add({ address, id, epoch });
    receiver.local.attach.offered_capabilities = desired;
    receiver.local.attach.properties = {
      [`${prefix}id`]: wrap_long(id), [`${prefix}epoch`]: wrap_short(epoch), [`${prefix}sequence-number`]: wrap_int(known?.last ?? 0),
    };
    return undefined;
  }

  // store keeps a batch, unless it is there already. It returns the condition of a refusal.
  store(address, sections) {
    const numbers = [sections[0], sections.at(-1)].map((section) => rhea.message.decode(section).message_annotations);
    const [{ [`${prefix}id`]: id, [`${prefix}epoch`]: epoch, [`${prefix}sequence-number`]: first }, { [`${prefix}sequence-number`]: last }] = numbers;
    const producer = this.#producers.get(`${address} ${id}`);
    if (producer && epoch < producer.epoch) return `${prefix}epoch-stolen`;
    if (producer?.stored.has(`${epoch} ${first} ${last}`)) return undefined;
    if (producer?.epoch !== epoch || first !== producer.last + 1 || last !== producer.last + sections.length) return "com.microsoft:out-of-order-sequence";
    this.#add({ address, id, epoch, first, last, events: sections.map((section) => section.toString("base64")) });
    return undefined;
  }

  // batches returns the stored batches of an address, in order.
  batches(address) {
    return (this.#batches.get(address) ?? []).map((events) => events.map((event) => Buffer.from(event, "base64")));
  }
}
