// The list of events: the newest ones, or those from a start, which contain a text.

import { $, cells, make, row, set, syncInSteps } from "./document.js";
import { openEvent } from "./event.js";
import { ask } from "./server.js";
import { shownHub, state, stored, sum } from "./state.js";
import { clock, count, isToday, plural, preview, size } from "./words.js";

const limits = [50, 100, 200, 500]; // of the list; "Show more" takes the next one
const loud = 10; // new events at most that are marked as such

let limit = limits[0];
let shown = ""; // the version that the list shows
let asked = ""; // the query of that version

// startOf is the place in the words of the API: "" for the newest events.
function startOf() {
  const kind = $("from").value;
  if (kind === "sequence" || kind === "offset") return `${kind}:${$("number").value || 0}`;
  if (kind !== "time") return kind;
  return $("time").value ? new Date($("time").value).toISOString() : "start";
}

const query = () => ({ hub: state.hub, partition: $("partition").value, from: startOf(), q: $("text").value.trim(), limit });

// showStart shows the fields of the chosen start. A number is a place in one partition.
export function showStart() {
  const kind = $("from").value;
  const inOne = kind === "sequence" || kind === "offset";
  $("number").hidden = !inOne;
  $("time").hidden = kind !== "time";
  $("number").setAttribute("aria-label", kind === "offset" ? "Offset" : "Sequence number");
  if ($("partition").options.length) $("partition").options[0].disabled = inOne;
  if (inOne && $("partition").value === "" && $("partition").options.length > 1) $("partition").value = $("partition").options[1].value;
}

// begin shows another list from its beginning.
export function begin() {
  limit = limits[0];
  showStart();
}

export async function showEvents() {
  const h = shownHub();
  if (!h) return clear("There is no hub.");
  const wanted = query();
  const name = JSON.stringify(wanted);
  const version = JSON.stringify([wanted, h.created, stored(h), sum(h.partitions, (p) => p.heldEvents)]);
  if (version === shown) return;
  let answer;
  try {
    answer = await ask("api/events?" + new URLSearchParams(wanted));
  } catch (error) {
    if (!error.status) throw error;
    shown = version;
    return clear(error.message);
  }
  if (JSON.stringify(query()) !== name) return; // another answer is on its way
  const same = asked === name;
  shown = version;
  asked = name;
  // A hub that was created again has other events in the same places.
  const found = answer.events.map((e) => ({ ...e, hub: wanted.hub, created: h.created, name: `${wanted.hub} ${h.created} ${e.partition} ${e.sequence}` }));
  await showList(found, same, wanted, h.created);
  set($("none"), nothing(h, wanted));
  set($("found"), summary(h, wanted, answer));
  $("more").hidden = answer.all || answer.events.length < limit || limit === limits.at(-1);
}

async function clear(text) {
  await syncInSteps($("list"), [], () => "", () => null);
  set($("none"), text);
  set($("found"), "");
  $("none").hidden = false;
  $("more").hidden = true;
  $("download").hidden = true;
}

async function showList(found, same, wanted, created) {
  const list = $("list");
  const old = new Map([...list.children].map((r) => [r.dataset.key, r]));
  // The focused event must not disappear because new ones come.
  if (same && !wanted.from && list.contains(document.activeElement)) {
    const names = new Set(found.map((e) => e.name));
    found.push(...[...old.values()].map((r) => r.event).filter((e) => e.created === created && !names.has(e.name)));
    found.length = Math.min(found.length, limits.at(-1));
  }
  const calm = found.filter((e) => !old.has(e.name)).length > loud; // so many would only flicker
  await syncInSteps(list, found, (e) => e.name, (e) => eventRow(e, same && !calm));
  list.closest(".events").classList.toggle("dated", found.some((e) => !isToday(e.enqueued)));
  $("none").hidden = found.length > 0;
  $("download").hidden = found.length === 0;
  $("download").href = "api/records?" + new URLSearchParams({ hub: wanted.hub, events: found.map((e) => `${e.partition}:${e.sequence}`).join() });
  $("download").setAttribute("aria-label", `Download ${plural(found.length, "event", "events")} as JSON lines`);
}

// nothing says why the list is empty.
function nothing(h, wanted) {
  if (state.snapshot.discard) return "Events are counted, and none is kept.";
  if (wanted.q) return "Nothing found.";
  if (wanted.from) return "No events from there on.";
  return total(h, wanted) ? "No events are left: the hub keeps them no longer." : "No events yet.";
}

function summary(h, wanted, answer) {
  const n = answer.events.length;
  const events = plural(n, "event", "events");
  if (wanted.q) return `${events} found among ${searched(h, wanted, answer)}`;
  if (n === 0) return "";
  if (wanted.from) return `${events}, oldest first${answer.all ? ", up to the newest" : ""}`;
  return `The newest ${count(n)} of ${count(total(h, wanted))}`;
}

// searched says among how many events a search has looked.
function searched(h, wanted, answer) {
  if (wanted.from) return `the first ${count(answer.searched)} from there`;
  return answer.all ? `all ${count(answer.searched)}` : `the newest ${count(answer.searched)} of ${count(total(h, wanted))}`;
}

const total = (h, wanted) => (wanted.partition === "" ? stored(h) : sum(h.partitions.filter((p) => p.id === wanted.partition), (p) => p.events));

function eventRow(e, isNew) {
  const r = row(["number id", "time", "key", "properties", "body clip", "number size"]);
  r.cells[0].append(make("button", { type: "button", class: "open", "aria-label": `${e.partition} / ${e.sequence}, open this event` }, make("small", {}, e.partition + " / "), String(e.sequence)));
  cells(r, [undefined, clock(e.enqueued), e.key ?? "", e.properties.map((p) => `${p.name}=${p.value}`).join("  "), preview(e.body), size(e.body.bytes)]);
  if (e.body.kind === "binary" || e.body.kind === "value") r.cells[4].classList.add("binary");
  if (isNew) r.classList.add("new");
  r.event = e;
  return r;
}

// move goes to the next event with an arrow key, from the search and from the list.
function move(e) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
  if (!by) return;
  const r = document.activeElement.closest("#list tr");
  const to = r ? (by < 0 ? r.previousElementSibling : r.nextElementSibling) : by > 0 ? $("list").firstElementChild : null;
  if (to) to.querySelector("button").focus();
  else if (r && by < 0) $("text").focus();
  else return;
  e.preventDefault();
}

const atRest = () => !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) && !document.querySelector("dialog[open]");

export function listenToEvents(look) {
  let typed = 0;
  const later = () => {
    clearTimeout(typed);
    typed = setTimeout(look, 150);
  };
  const again = (wait) => () => {
    begin();
    wait();
  };
  for (const id of ["text", "number", "time"]) $(id).addEventListener("input", again(later));
  for (const id of ["partition", "from"]) $(id).addEventListener("change", again(look));
  $("search").addEventListener("submit", (e) => e.preventDefault());
  $("more").addEventListener("click", () => {
    limit = limits[limits.indexOf(limit) + 1];
    look();
  });
  $("list").addEventListener("click", (e) => {
    const r = e.target.closest("tr");
    if (r && !String(getSelection())) openEvent(r.event, () => [...$("list").children].map((x) => x.event));
  });
  for (const id of ["list", "text"]) $(id).addEventListener("keydown", move);
  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || !atRest()) return;
    e.preventDefault();
    $("text").focus();
  });
}
