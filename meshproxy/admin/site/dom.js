// Elements, and numbers in words.

export const find = (id) => document.getElementById(id);

export function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// Writes only what has changed.
export function put(element, text, kind) {
  if (text !== undefined && element.textContent !== text) element.textContent = text;
  if (kind !== undefined && element.className !== kind) element.className = kind;
}

export function link(text, href, kind) {
  const element = make("a", text, kind);
  element.href = href;
  return element;
}

export function short(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1e6) return (number / 1e6).toFixed(1) + " M";
  if (number >= 1e4) return (number / 1e3).toFixed(1) + " k";
  return Number.isInteger(number) ? String(number) : number.toFixed(1);
}

export const milliseconds = (number) =>
  number === null || number === undefined ? "–" : short(number) + " ms";

export function span(seconds) {
  if (seconds < 10) return Math.max(seconds, 0).toFixed(1).replace(".0", "") + " s";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + " h";
  return (seconds / 86400).toFixed(1) + " d";
}

// Rounded down: 100 % is all of them.
export function percent({ success, requests }) {
  if (!requests) return "–";
  const share = (100 * success) / requests;
  return (share < 99 ? Math.floor(share) : Math.floor(share * 100) / 100) + " %";
}

export function quality({ success, requests }) {
  if (!requests) return "";
  const share = success / requests;
  return share >= 0.99 ? "good" : share >= 0.9 ? "warn" : "bad";
}

export function clock(seconds) {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return (today ? "" : at.toLocaleDateString() + " ") + at.toLocaleTimeString([], { hour12: false });
}

// Asks for JSON at *path*, which has *parameters*; empty ones are left out.
export async function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  const answer = await fetch(path + (given.length ? "?" + new URLSearchParams(given) : ""));
  if (!answer.ok) throw new Error((await answer.text()).trim() || "status " + answer.status);
  return answer.json();
}

export function say(text, kind) {
  const place = find("said");
  place.hidden = false;
  put(place, text, kind || "");
}
