// Consumer groups: how far behind they are, now and over time.

import { $, cells, more, namedRow, sync } from "./document.js";
import { drawChart, history, makeChart, note } from "./history.js";
import { shownHub, state, sum } from "./state.js";
import { count, lasting, now } from "./words.js";

const key = (hub, group) => `lag ${hub} ${group}`;

// progress is a group's progress in a hub. Without readers the emulator does not know how far behind
// it is.
function progress(h, name) {
  const readers = h.partitions.flatMap((p) => p.readers.filter((r) => r.group === name));
  return { name, readers, attached: sum(readers, (r) => r.receivers.length), behind: sum(readers, (r) => r.behind) };
}

export function noteGroups() {
  for (const h of state.snapshot.hubs) {
    for (const name of h.consumerGroups) {
      const g = progress(h, name);
      if (g.readers.length) note(key(h.name, name), now(), g.behind);
    }
  }
}

export function showGroups() {
  const h = shownHub();
  const groups = h ? h.consumerGroups.map((name) => progress(h, name)) : [];
  sync(
    $("groups"), groups, (g) => `${state.hub} ${g.name}`,
    () => {
      const r = namedRow(["group", "number", "number", "lag", "number most", "number behind"]);
      r.cells[3].append(makeChart({ role: "img" }));
      return r;
    },
    (r, g) => {
      const known = g.readers.length > 0;
      r.classList.toggle("unknown", !known);
      more(r.cells[0], g.name, () => h.partitions.flatMap((p) => p.readers.filter((x) => x.group === g.name).map((x) => describe(p, x))));
      const samples = history(key(state.hub, g.name));
      const chart = r.cells[3].firstElementChild;
      const { most, begin } = drawChart(chart, samples, now());
      cells(r, [undefined, known ? `${g.readers.length} of ${h.partitions.length}` : "none", count(g.attached), undefined, known ? count(most) : "–", known ? count(g.behind) : "–"]);
      r.cells[5].classList.toggle("warn", g.behind > 0);
      chart.setAttribute("aria-label", samples.length ? `Behind, in the last ${lasting(now() - begin)}: at most ${count(most)}` : "Has read nothing yet");
    },
  );
}

function describe(p, reader) {
  const receivers = reader.receivers.map((x) => `connection ${x.connection}${x.epoch === null ? "" : `, epoch ${x.epoch}`}`).join("; ");
  return `Partition ${p.id}: next ${count(reader.next)}, behind ${count(reader.behind)} (${receivers || "no receiver now"})`;
}
