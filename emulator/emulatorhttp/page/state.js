// What the page knows of the emulator, and which hub it shows.

export const state = {
  snapshot: null, // the latest answer to /api/snapshot
  before: null, // the one before it, for rates; null if that is too long ago
  hub: "", // the name of the hub that is shown
};

// gap is how many ms may lie between two looks: one that is answered late, and the pause. Between
// looks further apart the page saw nothing.
export const gap = 6000;

export const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
export const hubIn = (snapshot, name) => (snapshot ? snapshot.hubs.find((h) => h.name === name) : undefined);
export const shownHub = () => hubIn(state.snapshot, state.hub);
export const stored = (h) => sum(h.partitions, (p) => p.events);

// learn takes a new snapshot. The one before it counts only if it is of the same emulator, and if the
// page took it shortly before.
export function learn(snapshot) {
  const last = state.snapshot;
  const ms = last ? Date.parse(snapshot.time) - Date.parse(last.time) : 0;
  state.before = ms > 0 && ms <= gap && last.started === snapshot.started ? last : null;
  state.snapshot = snapshot;
  if (!hubIn(snapshot, state.hub)) state.hub = snapshot.hubs.length ? snapshot.hubs[0].name : "";
}

// rates returns a function that says how much arrived a second since the snapshot before, in a
// partition or, without an index, in the hub. It returns null if that is not known.
export function rates(name) {
  const now = hubIn(state.snapshot, name);
  const then = hubIn(state.before, name);
  const seconds = state.before ? (Date.parse(state.snapshot.time) - Date.parse(state.before.time)) / 1000 : 0;
  if (!now || !then || seconds <= 0) return () => null;
  return (field, index) => {
    const of = (h) => (index === undefined ? sum(h.partitions, (p) => p[field]) : (h.partitions[index] ?? { [field]: 0 })[field]);
    return Math.max(0, of(now) - of(then)) / seconds;
  };
}
