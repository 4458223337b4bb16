// The document: elements, and lists that follow data. Data from clients goes into it as text, never
// as HTML.

export const $ = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// set changes an element's text if it is another one.
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// tell shows a text, or hides its element without one.
export function tell(element, text) {
  set(element, text);
  element.hidden = text === "";
}

const together = 20; // children that are made or removed before the browser may do something else

function* syncing(parent, items, key, create, update = () => {}) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  let n = 0;
  for (const item of items) {
    const k = String(key(item));
    let e = old.get(k);
    if (e) old.delete(k);
    else {
      e = create(item);
      e.dataset.key = k;
      if (++n % together === 0) yield;
    }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) {
    e.remove();
    if (++n % together === 0) yield;
  }
}

// sync gives parent one child for each item, in order. It keeps existing children, and so the focus.
export function sync(...args) {
  for (const step of syncing(...args)) void step;
}

// syncInSteps is sync for many children: the page goes on meanwhile.
export async function syncInSteps(...args) {
  for (const step of syncing(...args)) await new Promise((resume) => setTimeout(resume, 0, step));
}

export const row = (classes) => make("tr", {}, ...classes.map((c) => make("td", { class: c || undefined })));

// namedRow is a row whose first cell is its heading.
export function namedRow(classes) {
  const r = row(classes);
  r.cells[0].replaceWith(make("th", { scope: "row", class: classes[0] || undefined }));
  return r;
}

export const cells = (row, texts) => texts.forEach((text, i) => text !== undefined && set(row.cells[i], text));

// more fills a cell with a text that expands to lines. Lines are made only while they are shown.
export function more(cell, text, lines) {
  if (!cell.firstElementChild) {
    const details = make("details", {}, make("summary"), make("ul", { class: "plain" }));
    details.addEventListener("toggle", () => details.fill());
    cell.append(details);
  }
  const details = cell.firstElementChild;
  const [summary, list] = details.children;
  set(summary, text);
  details.fill = () => details.open && sync(list, lines(), (l) => l, (l) => make("li", {}, l));
  details.fill();
}
