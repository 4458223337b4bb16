// One event as a whole, in a dialog.

import { $, make, set } from "./document.js";
import { ask } from "./server.js";
import { count, describeBody } from "./words.js";

let shown = null; // the event, and the function that returns the listed events

// openEvent shows an event. list returns the events that it is among, in order.
export async function openEvent(event, list) {
  const place = new URLSearchParams({ hub: event.hub, partition: event.partition, sequence: event.sequence });
  let whole = null;
  try {
    whole = await ask("api/event?" + place);
  } catch (error) {
    set($("event-title"), error.message);
  }
  shown = { event, list };
  $("event-contents").hidden = whole === null;
  if (whole) showContents(whole, place);
  for (const [id, by] of [["event-before", -1], ["event-after", 1]]) $(id).setAttribute("aria-disabled", String(!beside(by))); // it keeps the focus
  if (!$("event").open) $("event").showModal();
}

// beside is the listed event before or after the shown one.
function beside(by) {
  const list = shown.list();
  const i = list.findIndex((e) => e.name === shown.event.name);
  return i < 0 ? undefined : list[i + by];
}

function step(by) {
  const event = beside(by);
  if (event) openEvent(event, shown.list);
}

function showContents(e, place) {
  set($("event-title"), `Event ${count(e.sequence)} of partition ${e.partition}`);
  const facts = [["Key", e.key ?? "none"], ["Stored", e.enqueued], ["Offset", e.offset], ["Size", `${count(e.bytes)} bytes, encoded`]];
  if (e.messageId) facts.push(["Message id", e.messageId]);
  if (e.contentType) facts.push(["Content type", e.contentType]);
  for (const a of e.annotations) if (a.name !== "x-opt-partition-key") facts.push([a.name, a.value]);
  $("event-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  $("event-properties").replaceChildren(...e.properties.flatMap((p) => [make("dt", {}, p.name), make("dd", {}, p.value, " ", make("small", { class: "muted" }, p.type))]));
  $("event-properties-title").hidden = e.properties.length === 0;
  $("event-properties").hidden = e.properties.length === 0;
  set($("event-body"), e.body.text);
  set($("event-size"), describeBody(e.body));
  $("event-download").href = "api/body?" + place;
  $("event-download").hidden = e.body.kind === "value";
}

export function listenToEvent() {
  $("event-before").addEventListener("click", () => step(-1));
  $("event-after").addEventListener("click", () => step(1));
  $("event").addEventListener("keydown", (e) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!by || document.activeElement === $("event-body")) return;
    e.preventDefault();
    step(by);
  });
}
