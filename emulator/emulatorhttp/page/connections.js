// The clients' connections.

import { $, cells, more, row, set, sync } from "./document.js";
import { state } from "./state.js";
import { count, plural, since } from "./words.js";

export function showConnections() {
  const { connections, connectionCount } = state.snapshot;
  const newest = [...connections].reverse();
  set($("connections-title"), connectionCount ? `Connections (${count(connectionCount)})` : "Connections");
  $("nobody").hidden = newest.length > 0;
  $("connections").parentElement.hidden = newest.length === 0;
  sync(
    $("connections"), newest, (c) => c.number, () => row(["number id", "client", "from", "by", "number senders", "number receivers", "number events", "number open"]),
    (r, c) => {
      cells(r, [String(c.number), undefined, c.remote, c.transport, count(c.senders), count(c.receivers), count(c.events), since(c.opened)]);
      more(r.cells[1], c.client || "not known yet", () => links(c));
    },
  );
}

function links(c) {
  const lines = c.links.map((l) => `${l.receiver ? "Receives from" : "Sends to"} ${l.address}: ${plural(l.events, "event", "events")}`);
  if (c.linkCount > lines.length) lines.push(`and ${count(c.linkCount - lines.length)} more links`);
  return lines;
}
