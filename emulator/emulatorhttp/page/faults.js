// Faults: those in force, a form that sets one, and what happened.

import { $, cells, make, row, set, sync, tell } from "./document.js";
import { change } from "./server.js";
import { state } from "./state.js";
import { ago, count, lasting, now, plural } from "./words.js";

// Rules to begin with. HUB stands for the hub that is shown.
const examples = [
  ["Throttle 10%", "throttle hub=HUB share=10% for=30s"],
  ["Refuse 3 times", "reject hub=HUB condition=amqp:internal-error count=3"],
  ["Lose an acknowledgement", "lose-ack hub=HUB count=1"],
  ["Cut the connection", "cut-after hub=HUB count=1"],
  ["Answer after 1 s", "delay hub=HUB lasting=1s"],
  ["Steal a receiver", "steal hub=HUB count=1"],
];

let look = () => {};

// request changes the faults, and shows an error beside the form.
async function request(method, url, body) {
  let problem = "";
  try {
    await change(method, url, body);
  } catch (error) {
    problem = error.message;
  }
  tell($("rule-error"), problem);
  $("rule").toggleAttribute("aria-invalid", problem !== "");
  look();
  return problem === "";
}

export function listenToFaults(refresh) {
  look = refresh;
  $("examples").append(...examples.map(([text, rule]) => {
    const button = make("button", { type: "button", class: "chip", title: rule }, text);
    button.addEventListener("click", () => {
      $("rule").value = rule.replace("HUB", state.hub);
      $("rule").focus();
    });
    return make("li", {}, button);
  }));
  $("set-fault").addEventListener("submit", async (e) => {
    e.preventDefault();
    if (await request("POST", "api/faults", { rule: $("rule").value })) $("rule").value = "";
  });
  $("clear-faults").addEventListener("click", () => request("DELETE", "api/faults"));
}

export function showFaults() {
  const { inForce, rules, faults, readOnly } = state.snapshot;
  const lines = [...inForce];
  if (lines.length === 0 && rules.length === 0) lines.push("None. Everything works as it should.");
  sync($("in-force"), lines, (l) => l, (l) => make("li", {}, l));
  for (const id of ["set-fault", "examples"]) $(id).hidden = readOnly;
  $("clear-faults").hidden = readOnly || rules.length < 2;
  sync($("rules"), rules, (f) => f.id, ruleItem, (e, f) => {
    set(e.children[1], progress(f));
    e.classList.toggle("over", f.over);
  });
  $("happened").hidden = faults.length === 0;
  $("harmless").hidden = faults.length > 0;
  sync(
    $("faults"), faults.slice(0, 50), (f) => JSON.stringify([f.kind, f.hub, f.what]), () => row(["what", "to", "number times", "number last"]),
    (r, f) => cells(r, [f.what, f.hub ? `${f.kind}, ${f.hub}` : f.kind, count(f.count), ago(f.last)]),
  );
}

function ruleItem(f) {
  const clear = make("button", { type: "button", "aria-label": `Clear ${f.rule}` }, "Clear");
  clear.hidden = state.snapshot.readOnly;
  clear.addEventListener("click", () => request("DELETE", `api/faults/${f.id}`));
  return make("li", {}, make("code", {}, f.rule), make("span", { class: "muted" }), clear);
}

// progress says what a fault has done, and what is left of it.
function progress(f) {
  const words = [plural(f.hits, "hit", "hits")];
  if (f.remaining !== null) words.push(`${count(f.remaining)} to come`);
  if (f.over) words.push("over");
  else if (Date.parse(f.begins) > now()) words.push(`begins in ${lasting(Date.parse(f.begins) - now())}`);
  else if (f.ends) words.push(`ends in ${lasting(Date.parse(f.ends) - now())}`);
  return words.join(", ");
}
