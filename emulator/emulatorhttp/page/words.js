// Words: numbers, sizes and times as people read them.

import { state } from "./state.js";

const numbers = new Intl.NumberFormat("en");

export const count = (n) => numbers.format(n);
export const plural = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (bytes >= 999.5 && i < units.length - 1) {
    bytes /= 1000;
    i++;
  }
  return `${i === 0 || bytes >= 99.5 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`;
}

export const rate = (n) => count(n >= 10 || n === 0 ? Math.round(n) : Math.round(n * 10) / 10);

export function lasting(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// now is the emulator's time in milliseconds.
export const now = () => Date.parse(state.snapshot.time);
export const since = (time) => lasting(now() - Date.parse(time));
export const ago = (time) => (!time ? "never" : since(time) === "0 s" ? "now" : `${since(time)} ago`);

const two = (n) => String(n).padStart(2, "0");

const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;

// clock is a time of day, to the millisecond, with the date if that is not today's.
export function clock(time) {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return time; // beyond what browsers know
  const ofDay = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
  return isToday(time) ? ofDay : `${day(d)} ${ofDay}`;
}

export const isToday = (time) => day(new Date(time)) === day(new Date());

// preview is a body on one line.
export const preview = (body) => body.text.replace(/\s+/g, " ") + (body.truncated ? " …" : "");

const kinds = { text: "text", json: "JSON", binary: "binary, in hexadecimal", value: "an AMQP value, the whole event in hexadecimal" };

export const describeBody = (body) => `${count(body.bytes)} bytes, ${kinds[body.kind]}${body.truncated ? "; this is the beginning" : ""}`;
