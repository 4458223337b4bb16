// Hubs: the links to them, and how the partitions of one fill.

import { $, cells, make, namedRow, set, sync } from "./document.js";
import { drawChart, history, makeChart, note } from "./history.js";
import { rates, shownHub, state, stored, sum } from "./state.js";
import { ago, count, lasting, now, plural, rate, size } from "./words.js";

const unknown = "–"; // a rate before the second look

const key = (hub) => `rate ${hub}`;

export function noteHubs() {
  for (const h of state.snapshot.hubs) {
    const events = rates(h.name)("events");
    if (events !== null) note(key(h.name), now(), events);
  }
}

export function showHubs() {
  sync(
    $("hubs"), state.snapshot.hubs, (h) => h.name,
    (h) => {
      const link = make("a", { href: "#hub=" + encodeURIComponent(h.name) }, make("strong", {}, h.name), make("span", { class: "small" }));
      link.append(makeChart({ "aria-hidden": "true" }));
      return make("li", {}, link);
    },
    (e, h) => {
      const link = e.firstElementChild;
      mark(link, h.name === state.hub);
      const speed = rates(h.name)("events");
      set(link.children[1], plural(stored(h), "event", "events") + (h.disabled ? ", disabled" : speed > 0 ? `, ${rate(speed)}/s` : ""));
      drawChart(link.children[2], history(key(h.name)), now());
    },
  );
}

// mark marks the link to the shown hub, and brings it into sight where the links have no room.
function mark(link, current) {
  if (link.hasAttribute("aria-current") === current) return;
  link.toggleAttribute("aria-current", current);
  if (!current) return;
  link.setAttribute("aria-current", "true");
  requestAnimationFrame(() => ($("hubs").scrollLeft = link.offsetLeft - ($("hubs").clientWidth - link.offsetWidth) / 2));
}

// keeping says for how long a hub keeps its events.
function keeping(h) {
  const s = state.snapshot;
  if (s.discard) return "keeps no events";
  if (h.retention) return `keeps ${h.retention}`;
  return s.durable || s.maxMemory < 0 ? "keeps everything" : `keeps what fits in ${size(s.maxMemory)} of memory`;
}

export function showHub() {
  const h = shownHub();
  set($("hub-name"), h ? h.name : "No hub");
  set($("hub-about"), h ? [plural(h.partitions.length, "partition", "partitions"), keeping(h), h.disabled && "disabled"].filter(Boolean).join(" · ") : "");
  const speed = rates(state.hub);
  const events = speed("events");
  set($("total-events"), count(h ? stored(h) : 0));
  set($("total-bytes"), size(h ? sum(h.partitions, (p) => p.bytes) : 0));
  set($("rate-events"), events === null ? unknown : rate(events));
  set($("rate-bytes"), events === null ? unknown : size(speed("bytes")));
  showHistory();
  showPartitions(h ? h.partitions : [], speed);
  sync(
    $("partition"), [{ id: "" }, ...(h ? h.partitions : [])], (p) => p.id,
    (p) => make("option", { value: p.id }, p.id === "" ? "All partitions" : `Partition ${p.id}`),
  );
}

function showHistory() {
  const { most, begin } = drawChart($("history"), history(key(state.hub)), now());
  const span = lasting(now() - begin);
  set($("history-most"), `at most ${rate(most)}/s`);
  set($("history-begin"), `${span} ago`);
  $("history").setAttribute("aria-label", `Events a second, in the last ${span}: at most ${rate(most)}`);
}

function showPartitions(partitions, speed) {
  const most = Math.max(1, ...partitions.map((p) => p.heldEvents));
  sync(
    $("partitions"), partitions, (p) => `${state.hub} ${p.id}`,
    () => {
      const r = namedRow(["id", "fill", "number", "number", "number", "number"]);
      r.cells[1].append(make("div", { class: "bar", "aria-hidden": "true" }, make("i")));
      return r;
    },
    (r, p) => {
      const gone = p.events - p.heldEvents;
      const events = speed("events", Number(p.id));
      cells(r, [p.id, undefined, count(p.heldEvents) + (gone > 0 ? ` of ${count(p.events)}` : ""), size(p.heldBytes), events === null ? unknown : rate(events), ago(p.enqueued)]);
      const width = `${(100 * p.heldEvents) / most}%`;
      const bar = r.cells[1].firstElementChild.firstElementChild;
      if (bar.style.width !== width) bar.style.width = width;
    },
  );
}
