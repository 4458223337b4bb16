// A form that sends an event.

import { $, make, sync, tell } from "./document.js";
import { change } from "./server.js";
import { shownHub, state } from "./state.js";
import { count } from "./words.js";

// The types of a property's value in JSON: a whole number is an AMQP long, any other a double.
const types = {
  text: (text) => JSON.stringify(text),
  "whole number": (text) => number(text, /^\s*-?\d+\s*$/),
  number: (text) => number(text, /^\s*-?\d+(\.\d+)?(e[+-]?\d+)?\s*$/i, (n) => (/[.e]/i.test(n) ? n : `${n}.0`)),
  "true or false": (text) => (/^\s*(true|false)\s*$/.test(text) ? text.trim() : null),
};

// number is the JSON of a number, digit for digit; null if the text is none.
function number(text, form, as = (n) => n) {
  return form.test(text) ? as(text.trim().replace(/^(-?)0+(?=\d)/, "$1")) : null;
}

let added = 0;

function addProperty() {
  const n = ++added;
  const remove = make("button", { type: "button", "aria-label": "Remove this property" }, "×");
  const item = make(
    "li", {},
    make("input", { class: "property-name", "aria-label": "Name of the property", placeholder: "name", autocomplete: "off", required: "" }),
    make("select", { class: "property-type", "aria-label": "Type of the property" }, ...Object.keys(types).map((t) => make("option", {}, t))),
    make("input", { class: "property-value", "aria-label": "Value of the property", placeholder: "value", autocomplete: "off", id: `property-${n}` }),
    remove,
  );
  remove.addEventListener("click", () => {
    item.remove();
    $("add-property").focus();
  });
  $("send-properties").append(item);
  item.firstElementChild.focus();
}

// text is the request as JSON. Numbers go into it as they were typed, so that none loses digits.
function text() {
  const members = { hub: JSON.stringify(state.hub), [$("send-form").value]: JSON.stringify($("send-body").value) };
  const to = $("send-to").value;
  if (to === "key") members.key = JSON.stringify($("send-key").value);
  else if (to !== "turn") members.partition = JSON.stringify(to);
  if ($("send-type").value) members.contentType = JSON.stringify($("send-type").value.trim());
  if ($("send-id").value) members.messageId = JSON.stringify($("send-id").value);
  const properties = [...$("send-properties").children].map((item) => {
    const [name, type, value] = item.querySelectorAll("input, select");
    const json = types[type.value](value.value);
    if (json === null) throw new Error(`the property ${name.value} is “${value.value}”: want ${type.value === "text" ? "a text" : `a ${type.value}`.replace("a true", "true")}`);
    return `${JSON.stringify(name.value)}:${json}`;
  });
  if (properties.length) members.properties = `{${properties.join()}}`;
  return `{${Object.entries(members).map(([name, json]) => `"${name}":${json}`).join()}}`;
}

async function send(sent) {
  const button = $("send-now");
  button.disabled = true;
  tell($("send-error"), "");
  try {
    const e = await change("POST", "api/events", text());
    tell($("send-done"), `Stored as event ${count(e.sequence)} of partition ${e.partition}.`);
    sent();
  } catch (error) {
    tell($("send-done"), "");
    tell($("send-error"), error.message);
  } finally {
    button.disabled = false;
  }
}

export function showSend() {
  const h = shownHub();
  $("open-send").hidden = !h || state.snapshot.readOnly;
  if (!$("send").open) return;
  const places = [["turn", "The partitions in turn"], ["key", "By a partition key"], ...(h ? h.partitions.map((p) => [p.id, `Partition ${p.id}`]) : [])];
  sync($("send-to"), places, ([value]) => value, ([value, name]) => make("option", { value }, name));
  $("send-key-field").hidden = $("send-to").value !== "key";
  $("send-key").required = $("send-to").value === "key";
}

// listenToSend calls sent for each event that was stored.
export function listenToSend(sent) {
  $("open-send").addEventListener("click", () => {
    for (const id of ["send-error", "send-done"]) tell($(id), "");
    $("send-hub").textContent = state.hub;
    $("send").showModal();
    showSend();
    $("send-body").focus();
  });
  $("send-to").addEventListener("change", showSend);
  $("add-property").addEventListener("click", addProperty);
  $("send-event").addEventListener("submit", (e) => {
    e.preventDefault();
    send(sent);
  });
  $("send-event").addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      $("send-event").requestSubmit($("send-now"));
    }
  });
}
