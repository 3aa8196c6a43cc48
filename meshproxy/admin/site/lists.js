// Events, and what discovery believes.
import { ask, clock, find, link, make, put, span } from "./dom.js";
import { fill, newTable } from "./table.js";

const EVENT = [
  { title: "Kind", draw: drawKind, isText: true, isLess: true },
  { title: "What", draw: drawSubject, isText: true },
  { title: "Happened", text: (row) => row.text, isText: true, mark: () => "long" },
  { title: "Over in", text: (row, now) => (row.until && row.until > now ? span(row.until - now) : ""), isMore: true },
];
const NAME = [
  { title: "Source", text: (row) => row.source + (row.process ? ` (${row.process})` : ""), isText: true, isLess: true },
  { title: "State", text: stateOf, isText: true, mark: (row) => (row.failure ? "bad long" : row.answered_at ? "good" : "warn") },
  { title: "Answer", text: (row) => row.answer || "none yet", isText: true, mark: (row) => (/^(no|0) /.test(row.answer) ? "long warn" : "long") },
  { title: "Age", text: (row, now) => (row.answered_at ? span(now - row.answered_at) : "–") },
  { title: "Asked again in", text: (row, now) => (row.renewed_at ? span(row.renewed_at - now) : "–"), isMore: true },
];

function drawKind(cell, row) {
  if (!cell.firstChild) cell.append(make("span", row.kind, "chip " + row.kind));
}

// What happened to an endpoint or a client leads to the client.
function drawSubject(cell, { subject, process }) {
  if (cell.firstChild) return;
  cell.classList.add("long");
  const client = subject.slice(subject.indexOf("/#/") < 0 ? subject.length : subject.indexOf("/#/"));
  if (client) cell.append(subject.slice(0, -client.length), link(client, "#overview?" + new URLSearchParams({ client })));
  else cell.append(subject);
  if (process) cell.append(` (${process})`);
}

function stateOf(row, now) {
  if (!row.failure) return row.answered_at ? "in use" : "asking";
  const then = row.answered_at ? "; the last good answer is in use" : "";
  return `fails since ${span(now - row.failing_since)}: ${row.failure}${then}`;
}

function show(place, columns, first, rows) {
  const table = find(place).querySelector("table") || find(place).appendChild(newTable(columns, first));
  const now = Date.now() / 1000;
  fill(table, rows, rows.map(() => now));
}

export async function refreshEvents() {
  const events = await ask("events.json", { q: find("events-wanted").value });
  const seen = new Map();
  const rows = events.map((event) => {
    const key = `${event.at} ${event.subject} ${event.process || ""}`;
    seen.set(key, (seen.get(key) || 0) + 1);
    return { ...event, name: `${key} ${seen.get(key)}`, title: clock(event.at) };
  });
  show("events-table", EVENT, "At", rows);
}

export async function refreshDiscovery() {
  const { found, names } = await ask("discovery.json", { q: find("discovery-wanted").value });
  const few = names.length < found ? `, ${names.length} are shown` : "";
  put(find("discovery-found"), found ? `${found} followed${few}; names that fail come first.` : "No name is followed.");
  const rows = names.map((row) => ({ ...row, title: row.name, name: `${row.source} ${row.name} ${row.process || ""}` }));
  show("discovery-table", NAME, "Name", rows);
}
