// The page loads itself again every 2 s while it is visible, and takes over what has changed. So
// the focus, the selection and the places of scrolled tables stay.

const interval = 2000; // ms between two looks
const patience = 5000; // ms after which a look counts as failed

const $ = (id) => document.getElementById(id);
let paused = false;
let looking = false;
let timer = 0;

// say shows whether the page is live.
function say(state, text) {
  $("live").dataset.state = state;
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

// adopt makes an element like another one, and changes only what differs.
function adopt(old, now) {
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of now.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes];
  const after = [...now.childNodes];
  after.forEach((node, i) => {
    const twin = before[i];
    if (!twin) old.append(document.importNode(node, true));
    else if (twin.nodeName !== node.nodeName) twin.replaceWith(document.importNode(node, true));
    else if (twin.nodeType === Node.ELEMENT_NODE) adopt(twin, node);
    else if (twin.data !== node.data) twin.data = node.data;
  });
  before.slice(after.length).forEach((node) => node.remove());
}

// look loads the page, and takes over its parts except for the state of this one.
async function look() {
  if (looking || paused || document.hidden) return;
  looking = true;
  clearTimeout(timer);
  let trouble = "The service does not answer";
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(patience) });
    if (!answer.ok) trouble = answer.status === 404 ? "The producer is not shown any more" : `The service answers with status ${answer.status}`;
    const now = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    if (now && !paused) {
      for (const part of ["main", "header .muted"]) adopt(document.querySelector(part), now.querySelector(part));
      trouble = "";
    }
  } catch {
    // The trouble says it.
  }
  if (!paused) say(trouble ? "lost" : "live", trouble || "Live");
  looking = false;
  timer = setTimeout(look, interval);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (paused) say("paused", "Paused");
  else look();
});
document.addEventListener("visibilitychange", look);
$("live").hidden = false;
say("live", "Live");
timer = setTimeout(look, interval);
