// The page requests /api/snapshot every second while it is visible, and events when there are new
// ones. Data from clients goes into the page as text, never as HTML.

const $ = (id) => document.getElementById(id);
const interval = 1000; // ms between two looks
const patience = 5000; // ms after which a look counts as failed
const samples = 120; // of the history, one for each look
const loud = 10; // new events at most that are marked as such
const kept = 400; // rows of events at most while one of them has the focus

let snapshot = null; // the latest
let before = null; // the one before it, for rates
let hub = ""; // the name of the hub that is shown
let paused = false;
let shown = ""; // what the list of events was made for
const histories = new Map(); // events a second by hub

// ---- Words ----

const numbers = new Intl.NumberFormat("en");
const count = (n) => numbers.format(n);

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (bytes >= 999.5 && i < units.length - 1) {
    bytes /= 1000;
    i++;
  }
  return `${i === 0 || bytes >= 99.5 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`;
}

const rate = (n) => count(n >= 10 || n === 0 ? Math.round(n) : Math.round(n * 10) / 10);

function lasting(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// since is the time since something happened, by the emulator's clock.
const since = (time) => lasting(Date.parse(snapshot.time) - Date.parse(time));
const ago = (time) => (!time ? "never" : since(time) === "0 s" ? "now" : `${since(time)} ago`);
const clock = (time) => new Date(time).toLocaleTimeString("en-GB", { hour12: false }) + "." + String(new Date(time).getMilliseconds()).padStart(3, "0");
const plural = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;

// ---- The document ----

function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// sync gives parent one child for each item, in order. It keeps existing children, and so the focus.
function sync(parent, items, key, create, update) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let e = old.get(k);
    if (e) old.delete(k);
    else {
      e = create(item);
      e.dataset.key = k;
    }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}

const cells = (row, texts) => texts.forEach((text, i) => text !== undefined && set(row.cells[i], text));
const row = (classes) => make("tr", {}, ...classes.map((c) => make("td", { class: c || undefined })));

// more fills a cell with a text that expands to lines.
function more(cell, text, lines) {
  if (!cell.firstElementChild) cell.append(make("details", {}, make("summary"), make("ul", { class: "plain" })));
  const [summary, list] = cell.firstElementChild.children;
  set(summary, text);
  sync(list, lines, (l) => l, (l) => make("li", {}, l), () => {});
}

// ---- The snapshot ----

const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
const events = (h) => sum(h.partitions, (p) => p.events);
const find = (s, name) => s && s.hubs.find((h) => h.name === name);

// rates is how much arrived per second since the previous snapshot, in one partition or in a hub.
function rates(name, id) {
  const now = find(snapshot, name);
  const then = find(before, name);
  const seconds = before ? (Date.parse(snapshot.time) - Date.parse(before.time)) / 1000 : 0;
  if (!now || !then || seconds <= 0) return { events: 0, bytes: 0 };
  const of = (h, f) => sum(id === undefined ? h.partitions : h.partitions.slice(id, id + 1), f);
  const delta = (f) => Math.max(0, of(now, f) - of(then, f)) / seconds;
  return { events: delta((p) => p.events), bytes: delta((p) => p.bytes) };
}

function remember() {
  for (const h of snapshot.hubs) {
    const history = histories.get(h.name) || new Array(samples).fill(0);
    histories.set(h.name, history);
    if (before) {
      history.push(rates(h.name).events);
      history.shift();
    }
  }
}

function showHubs() {
  sync(
    $("hubs"), snapshot.hubs, (h) => h.name,
    (h) => {
      const bars = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      bars.setAttribute("aria-hidden", "true");
      bars.setAttribute("preserveAspectRatio", "none");
      const link = make("a", { href: "#hub=" + encodeURIComponent(h.name) }, make("strong", {}, h.name), make("span", { class: "small" }), bars);
      return make("li", {}, link);
    },
    (e, h) => {
      const link = e.firstElementChild;
      if (h.name === hub) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      const speed = rates(h.name).events;
      set(link.children[1], plural(events(h), "event", "events") + (h.disabled ? ", disabled" : speed > 0 ? `, ${rate(speed)}/s` : ""));
      drawBars(link.children[2], h.partitions.map((p) => p.heldEvents));
    },
  );
}

// drawBars draws at most 48 bars; it merges further ones.
function drawBars(svg, values) {
  const each = Math.ceil(values.length / 48);
  const bars = [];
  for (let i = 0; i < values.length; i += each) bars.push(Math.max(...values.slice(i, i + each)));
  const most = Math.max(1, ...bars);
  const text = bars.map((v) => Math.round((v / most) * 28)).join();
  if (svg.dataset.bars === text) return;
  svg.dataset.bars = text;
  svg.setAttribute("viewBox", `0 0 ${bars.length * 10} 30`);
  svg.replaceChildren(...text.split(",").map((height, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const h = 2 + Number(height);
    for (const [name, value] of Object.entries({ x: i * 10 + 1, y: 30 - h, width: 8, height: h, rx: 1 })) bar.setAttribute(name, value);
    return bar;
  }));
}

function showHub() {
  const h = find(snapshot, hub);
  set($("hub-name"), h ? h.name : "No hub");
  if (!h) return;
  const about = [plural(h.partitions.length, "partition", "partitions")];
  about.push(h.retention ? `keeps ${h.retention}` : "keeps everything");
  if (h.disabled) about.push("disabled");
  set($("hub-about"), about.join(" · "));
  const speed = rates(hub);
  set($("total-events"), count(events(h)));
  set($("total-bytes"), size(sum(h.partitions, (p) => p.bytes)));
  set($("rate-events"), rate(speed.events));
  set($("rate-bytes"), size(speed.bytes));
  showHistory();
  const most = Math.max(1, ...h.partitions.map((p) => p.heldEvents));
  sync(
    $("partitions"), h.partitions, (p) => `${hub} ${p.id}`,
    () => {
      const r = row(["", "", "number", "number", "number", "number"]);
      r.cells[0].replaceWith(make("th", { scope: "row" }));
      r.cells[1].append(make("div", { class: "bar", "aria-hidden": "true" }, make("i")));
      return r;
    },
    (r, p) => {
      const gone = p.events - p.heldEvents;
      cells(r, [p.id, undefined, count(p.heldEvents) + (gone > 0 ? ` of ${count(p.events)}` : ""), size(p.heldBytes), rate(rates(hub, Number(p.id)).events), ago(p.enqueued)]);
      const width = `${(100 * p.heldEvents) / most}%`;
      const bar = r.cells[1].firstElementChild.firstElementChild;
      if (bar.style.width !== width) bar.style.width = width;
    },
  );
  showGroups(h);
  sync(
    $("partition"), [{ id: "" }, ...h.partitions], (p) => p.id,
    (p) => make("option", { value: p.id }, p.id === "" ? "All partitions" : `Partition ${p.id}`), () => {},
  );
}

function showHistory() {
  const history = histories.get(hub) || [];
  const most = Math.max(1, ...history);
  const points = history.map((v, i) => `${((600 * i) / (samples - 1)).toFixed(1)},${(54 - (50 * v) / most).toFixed(1)}`);
  const [area, line] = $("history").children;
  line.setAttribute("d", "M" + points.join("L"));
  area.setAttribute("d", `M0,56L${points.join("L")}L600,56Z`);
  $("history").setAttribute("aria-label", `Events a second, in the last two minutes: at most ${rate(Math.max(0, ...history))}`);
}

function showGroups(h) {
  const groups = h.consumerGroups.map((name) => {
    const readers = h.partitions.flatMap((p) => p.readers.filter((r) => r.group === name));
    return { name, readers, attached: sum(readers, (r) => r.receivers.length), behind: sum(readers, (r) => r.behind) };
  });
  sync($("groups"), groups, (g) => `${hub} ${g.name}`, () => {
    const r = row(["", "number", "number", "number"]);
    r.cells[0].replaceWith(make("th", { scope: "row" }));
    return r;
  }, (r, g) => {
    cells(r, [undefined, g.readers.length ? `${g.readers.length} of ${h.partitions.length}` : "none", count(g.attached), g.readers.length ? count(g.behind) : "–"]);
    r.cells[3].classList.toggle("warn", g.behind > 0);
    const who = (x) => x.receivers.map((y) => `connection ${y.connection}${y.epoch === null ? "" : `, epoch ${y.epoch}`}`).join("; ") || "none now";
    const of = (p) => p.readers.filter((x) => x.group === g.name).map((x) => `Partition ${p.id}: next ${count(x.next)}, behind ${count(x.behind)} (${who(x)})`);
    more(r.cells[0], g.name, h.partitions.flatMap(of));
  });
}

function showFaults() {
  const lines = [...snapshot.inForce];
  if (lines.length === 0 && snapshot.rules.length === 0) lines.push(snapshot.faults.length ? "None now. What happened so far:" : "None. Everything works as it should.");
  sync($("in-force"), lines, (l) => l, (l) => make("li", {}, l), () => {});
  $("set-fault").hidden = snapshot.readOnly;
  sync(
    $("rules"), snapshot.rules, (f) => f.id,
    (f) => {
      const clear = make("button", { type: "button", "aria-label": `Clear ${f.rule}` }, "Clear");
      clear.hidden = snapshot.readOnly;
      clear.addEventListener("click", () => change("DELETE", `api/faults/${f.id}`));
      return make("li", {}, make("code", {}, f.rule), make("span", { class: "muted" }), clear);
    },
    (e, f) => set(e.children[1], [plural(f.hits, "hit", "hits"), f.remaining !== null && `${count(f.remaining)} to come`, f.over && "over"].filter(Boolean).join(", ")),
  );
  $("faults-table").hidden = snapshot.faults.length === 0;
  sync(
    $("faults"), snapshot.faults.slice(0, 50), (f) => JSON.stringify([f.kind, f.hub, f.what]), () => row(["", "", "number", "number"]),
    (r, f) => cells(r, [f.what, f.hub ? `${f.kind}, ${f.hub}` : f.kind, count(f.count), ago(f.last)]),
  );
}

function showConnections() {
  const newest = [...snapshot.connections].reverse();
  set($("connections-title"), snapshot.connectionCount ? `Connections (${count(snapshot.connectionCount)})` : "Connections");
  $("nobody").hidden = newest.length > 0;
  sync(
    $("connections"), newest, (c) => c.number, () => row(["number", "", "", "", "number", "number", "number", "number"]),
    (r, c) => {
      cells(r, [String(c.number), undefined, c.remote, c.transport, count(c.senders), count(c.receivers), count(c.events), since(c.opened)]);
      const lines = c.links.map((l) => `${l.receiver ? "Receives from" : "Sends to"} ${l.address}: ${plural(l.events, "event", "events")}`);
      if (c.linkCount > lines.length) lines.push(`and ${count(c.linkCount - lines.length)} more links`);
      more(r.cells[1], c.client || "not known yet", lines);
    },
  );
}

function show() {
  if (!find(snapshot, hub)) hub = snapshot.hubs.length ? snapshot.hubs[0].name : "";
  set($("address"), snapshot.address);
  set($("uptime"), `up for ${since(snapshot.started)}`);
  showHubs();
  showHub();
  showFaults();
  showConnections();
}

// ---- Events ----

const query = () => ({ hub, partition: $("partition").value, q: $("text").value.trim() });

async function showEvents() {
  const h = find(snapshot, hub);
  const wanted = query();
  const version = JSON.stringify([wanted, h && events(h), h && sum(h.partitions, (p) => p.heldEvents)]);
  if (version === shown || !h) return;
  const answer = await ask("api/events?" + new URLSearchParams(wanted));
  if (JSON.stringify(query()) !== JSON.stringify(wanted)) return; // another answer is on its way
  const same = shown && JSON.stringify(JSON.parse(shown)[0]) === JSON.stringify(wanted);
  shown = version;
  const list = $("list");
  // The focused event must not disappear because new ones come.
  const found = answer.events.map((e) => ({ ...e, name: `${wanted.hub} ${e.partition} ${e.sequence}` }));
  const rows = new Set(found.map((e) => e.name));
  if (same && list.contains(document.activeElement)) {
    found.push(...[...list.children].map((r) => r.event).filter((e) => !rows.has(e.name)));
    found.length = Math.min(found.length, kept);
  }
  const old = new Set([...list.children].map((r) => r.dataset.key));
  const calm = found.filter((e) => !old.has(e.name)).length > loud; // so many would only flicker
  sync(list, found, (e) => e.name, (e) => eventRow(e, same && !calm), () => {});
  $("none").hidden = found.length > 0;
  set($("none"), wanted.q ? "Nothing found." : "No events yet.");
  const total = wanted.partition === "" ? events(h) : sum(h.partitions.filter((p) => p.id === wanted.partition), (p) => p.events);
  if (wanted.q) set($("found"), `${plural(answer.events.length, "event", "events")} found among ${answer.all ? `all ${count(answer.searched)}` : `the newest ${count(answer.searched)} of ${count(total)}`}`);
  else set($("found"), total ? `The newest ${count(answer.events.length)} of ${count(total)}` : "");
}

function eventRow(e, isNew) {
  const r = row(["number", "time", "key", "properties", "body clip", "number"]);
  const open = make("button", { type: "button", class: "open", "aria-label": `Event ${e.sequence} of partition ${e.partition}` }, make("small", {}, e.partition + " / "), String(e.sequence));
  r.cells[0].append(open);
  cells(r, [undefined, clock(e.enqueued), e.key ?? "", e.properties.map((p) => `${p.name}=${p.value}`).join("  "), preview(e.body), size(e.body.bytes)]);
  if (e.body.kind === "binary" || e.body.kind === "value") r.cells[4].classList.add("binary");
  if (isNew) r.classList.add("new");
  r.event = e;
  return r;
}

const preview = (body) => body.text.replace(/\s+/g, " ") + (body.truncated ? " …" : "");

// open shows a whole event in the dialog.
async function open(e) {
  const where = new URLSearchParams({ hub, partition: e.partition, sequence: e.sequence });
  const dialog = $("event");
  let whole;
  try {
    whole = await ask("api/event?" + where);
  } catch (error) {
    set($("event-title"), error.message);
    whole = null;
  }
  if (whole) {
    set($("event-title"), `Event ${count(whole.sequence)} of partition ${whole.partition}`);
    const facts = [["Key", whole.key ?? "none"], ["Stored", whole.enqueued], ["Offset", whole.offset], ["Size", `${count(whole.bytes)} bytes, encoded`]];
    if (whole.messageId) facts.push(["Message id", whole.messageId]);
    if (whole.contentType) facts.push(["Content type", whole.contentType]);
    for (const a of whole.annotations) if (a.name !== "x-opt-partition-key") facts.push([a.name, a.value]);
    $("event-facts").replaceChildren(...facts.flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]));
    $("event-properties").replaceChildren(...whole.properties.flatMap((p) => [make("dt", { title: p.type }, p.name), make("dd", {}, p.value)]));
    $("event-properties-title").hidden = whole.properties.length === 0;
    set($("event-body"), whole.body.text);
    const kinds = { text: "text", json: "JSON", binary: "binary, in hexadecimal", value: "an AMQP value, the whole event in hexadecimal" };
    set($("event-size"), `${count(whole.body.bytes)} bytes, ${kinds[whole.body.kind]}${whole.body.truncated ? "; this is the beginning" : ""}`);
    $("event-download").href = "api/body?" + where;
    $("event-download").hidden = whole.body.kind === "value";
  }
  if (!dialog.open) dialog.showModal();
}

// ---- The clock ----

async function ask(url, options = {}) {
  const response = await fetch(url, { signal: AbortSignal.timeout(patience), ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// change sends a request that changes the server, and shows its error beside the form.
async function change(method, url, body) {
  let problem = "";
  try {
    await ask(url, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  } catch (error) {
    problem = error.message;
  }
  set($("rule-error"), problem);
  $("rule-error").hidden = problem === "";
  look();
  return problem === "";
}

function tell(state, text) {
  $("state").dataset.state = state;
  set($("state-text"), text);
}

let looking = false;
let again = false;

// look refreshes the page. Refreshes do not overlap; one that is requested meanwhile follows.
async function look(fetchSnapshot = true) {
  again = looking;
  if (looking) return;
  looking = true;
  try {
    if (fetchSnapshot) {
      const next = await ask("api/snapshot");
      before = snapshot;
      snapshot = next;
      remember();
      show();
    }
    if (snapshot) await showEvents();
    tell(paused ? "paused" : "live", paused ? "Paused" : "Live");
  } catch {
    before = null;
    tell("lost", "The emulator does not answer");
  } finally {
    looking = false;
  }
  if (again) await look(false);
}

function choose() {
  hub = new URLSearchParams(location.hash.slice(1)).get("hub") ?? hub;
  $("partition").value = "";
  if (snapshot) show();
  look(false);
}

let timer = 0;
function run() {
  clearInterval(timer);
  if (paused || document.hidden) return;
  timer = setInterval(look, interval);
  look();
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  tell(paused ? "paused" : "live", paused ? "Paused" : "Live");
  run();
});
$("search").addEventListener("submit", (e) => e.preventDefault());
$("set-fault").addEventListener("submit", async (e) => {
  e.preventDefault();
  if (await change("POST", "api/faults", { rule: $("rule").value })) $("rule").value = "";
});
let typed = 0;
$("text").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(look, 150, false);
});
$("partition").addEventListener("change", () => look(false));
$("list").addEventListener("click", (e) => {
  const r = e.target.closest("tr");
  if (r && !String(getSelection())) open(r.event);
});
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) && !$("event").open) {
    e.preventDefault();
    $("text").focus();
    return;
  }
  const r = document.activeElement.closest("#list tr");
  const next = r && { ArrowDown: r.nextElementSibling, ArrowUp: r.previousElementSibling }[e.key];
  if (next) {
    e.preventDefault();
    next.querySelector("button").focus();
  }
});
addEventListener("hashchange", choose);
document.addEventListener("visibilitychange", run);
choose();
run();
