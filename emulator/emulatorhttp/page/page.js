// The page requests /api/snapshot every second while it is visible, and events when there are new
// ones. Each part of it has a module of its own.

import { showConnections } from "./connections.js";
import { $, set } from "./document.js";
import { listenToEvent } from "./event.js";
import { begin, listenToEvents, showEvents, showStart } from "./events.js";
import { listenToFaults, showFaults } from "./faults.js";
import { noteGroups, showGroups } from "./groups.js";
import { noteHubs, showHub, showHubs } from "./hubs.js";
import { listenToSend, showSend } from "./send.js";
import { ask } from "./server.js";
import { learn, state } from "./state.js";
import { since } from "./words.js";

const interval = 1000; // ms between two looks

let paused = false;
let looking = false;
let again = false;
let timer = 0;

// keeping says where events are.
function keeping() {
  const s = state.snapshot;
  if (s.discard) return ["counts events only", "Events are counted, and none is kept."];
  if (s.durable) return ["durable", "Events are in the emulator’s store (--data), and are there again after a restart."];
  return ["in memory", "Events are in memory, and end with the emulator."];
}

function show() {
  const [where, sentence] = keeping();
  document.title = state.hub ? `${state.hub} – Event Hubs emulator` : "Event Hubs emulator";
  set($("address"), state.snapshot.address);
  set($("uptime"), `up for ${since(state.snapshot.started)}`);
  set($("where"), where);
  set($("keeping"), sentence);
  showHubs();
  showHub();
  showStart();
  showGroups();
  showFaults();
  showConnections();
  showSend();
}

function tellState(name, text) {
  $("state").dataset.state = name;
  set($("state-text"), text);
}

const tellPaused = () => tellState(paused ? "paused" : "live", paused ? "Paused" : "Live");

// look refreshes the page. Refreshes do not overlap; one that is requested meanwhile follows.
async function look(fetchSnapshot = true) {
  again = looking;
  if (looking) return;
  looking = true;
  try {
    if (fetchSnapshot) {
      learn(await ask("api/snapshot"));
      noteHubs();
      noteGroups();
      show();
    }
    if (state.snapshot) await showEvents();
    tellPaused();
  } catch {
    tellState("lost", "The emulator does not answer");
  } finally {
    looking = false;
  }
  if (again) await look(false);
}

const lookAtEvents = () => look(false);

// choose shows the hub that the address names.
function choose() {
  state.hub = new URLSearchParams(location.hash.slice(1)).get("hub") ?? state.hub;
  $("partition").value = "";
  begin();
  if (state.snapshot) show();
  lookAtEvents();
}

function run() {
  clearInterval(timer);
  if (paused || document.hidden) return;
  timer = setInterval(look, interval);
  look();
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  tellPaused();
  run();
});
listenToEvents(lookAtEvents);
listenToEvent();
listenToFaults(() => look());
listenToSend(() => look());
addEventListener("hashchange", choose);
document.addEventListener("visibilitychange", run);
choose();
run();
