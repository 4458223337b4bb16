// Histories: values over the minutes in which the page looked, and their charts.

import { draw } from "./document.js";
import { gap } from "./state.js";

const kept = 5 * 60 * 1000; // ms of a history
const least = 30 * 1000; // ms of a chart's width
const width = 600;
const height = 56;
const series = new Map();

export const history = (key) => series.get(key) ?? [];

// note adds a value at a time to a history.
export function note(key, time, value) {
  const samples = history(key);
  series.set(key, samples);
  if (samples.length && samples.at(-1).time >= time) return;
  samples.push({ time, value });
  while (samples[0].time < time - kept) samples.shift();
}

export const makeChart = (attributes) =>
  draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "chart", ...attributes }, draw("path", { class: "area" }), draw("path", { class: "line" }));

// drawChart draws samples up to a time. It begins with the first sample, and leaves gaps where the
// page did not look: nothing is known about these times. It returns the largest value and the time
// where the chart begins.
export function drawChart(svg, samples, now) {
  const begin = Math.min(samples.length ? samples[0].time : now, now - least);
  const most = Math.max(1, ...samples.map((s) => s.value));
  const x = (s) => ((width * (s.time - begin)) / (now - begin)).toFixed(1);
  const y = (s) => (height - 2 - ((height - 6) * s.value) / most).toFixed(1);
  const runs = [];
  samples.forEach((s, i) => {
    if (i === 0 || s.time - samples[i - 1].time > gap) runs.push([]);
    runs.at(-1).push(s);
  });
  const line = (run) => `M${run.map((s) => `${x(s)},${y(s)}`).join("L")}${run.length === 1 ? "h0" : ""}`;
  const area = (run) => `M${x(run[0])},${height}L${run.map((s) => `${x(s)},${y(s)}`).join("L")}L${x(run.at(-1))},${height}Z`;
  svg.children[0].setAttribute("d", runs.map(area).join(""));
  svg.children[1].setAttribute("d", runs.map(line).join(""));
  return { most: Math.max(0, ...samples.map((s) => s.value)), begin: samples.length ? begin : now };
}
