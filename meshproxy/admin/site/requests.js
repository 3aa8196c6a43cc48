// Recent requests, and where the time of each went.
import { ask, clock, find, link, make, milliseconds, put, short } from "./dom.js";
import { fill, newTable, openingCell } from "./table.js";

const COLUMNS = [
  {
    title: "Status",
    text: (row) => (row.status === null ? "left" : String(row.status)),
    mark: (row) => (row.failed ? "bad" : "good"),
  },
  { title: "Request", text: (row) => `${row.method} ${row.host}${row.path}`, isText: true, mark: () => "long" },
  { title: "Time", text: (row) => milliseconds(row.ms) },
  { title: "Attempts", text: (row) => short(row.attempts), mark: (row) => (row.attempts > 1 ? "warn" : ""), isMore: true },
  { title: "Name", draw: drawName, isText: true, isLess: true },
  { title: "Endpoint", text: (row) => row.endpoint || "–", isText: true, isMore: true },
  { title: "Why", text: reasons, isText: true, mark: () => "cut", isMore: true },
];

// Of a text of several lines the last one says most: where a name led nowhere, "PATH (RULE, PLACE): WHY".
const brief = (why) => why && why.trim().split("\n").at(-1).split("): ").at(-1).trim();

// What another column tells is left out; that egress rules allowed it, as usual, is told where the request is opened.
function reasons({ reason, why, bound, egress }) {
  return [reason, brief(why)?.replace(`bound to ${bound}, which `, ""), egress?.startsWith("allow") ? "" : egress].filter(Boolean).join(": ");
}

function drawName(cell, row) {
  if (cell.shown) return;
  cell.shown = true;
  if (!row.logical) put(cell, "–");
  else cell.append(link(row.logical, explanation(row)));
}

const explanation = ({ router, logical }) => "explain?" + new URLSearchParams({ router, path: logical });

// --- a request opened: its phases, and a lane for each attempt ---

function bar(from, to, whole, kind) {
  const track = make("div", undefined, "track");
  const mark = track.appendChild(make("div", undefined, kind));
  mark.style.marginLeft = (100 * Math.max(from, 0)) / whole + "%";
  mark.style.width = Math.max((100 * (to - from)) / whole, 0.5) + "%";
  return track;
}

function open(inside, line) {
  const { row } = line;
  const whole = Math.max(row.ms, 0.001);
  const list = inside.appendChild(make("dl", undefined, "lanes"));
  const add = (title, track, text) => list.append(make("dt", title), track, make("dd", text));
  let at = 0;
  for (const [phase, ms] of Object.entries(row.phases)) {
    if (ms) add(phase, bar(at, at + ms, whole, "phase"), milliseconds(ms));
    at += ms;
  }
  row.lanes.forEach((lane, number) => {
    const isLast = number === row.lanes.length - 1;
    const kind = isLast && !row.failed ? "lane" : "lane failed";
    const text = [lane.result, lane.endpoint, milliseconds(lane.to_ms - lane.from_ms)].filter(Boolean).join(", ");
    add("attempt " + (number + 1), bar(lane.from_ms, lane.to_ms, whole, kind), text);
  });
  const facts = [["client", row.client], ["server", row.server], ["router", row.router], ["bound to", row.bound],
    ["why", row.why], ["egress", row.egress], ["trace", row.trace]];
  const told = inside.appendChild(make("dl", undefined, "facts"));
  for (const [name, value] of facts) {
    if (value) told.append(make("dt", name), make("dd", value));
  }
  if (row.logical) {
    const why = inside.appendChild(make("p"));
    why.append(link("Why this name leads there", explanation(row)));
  }
}

const cell = (row, line) => openingCell(row, line, open);

// A request that somebody looks at stays, also when the proxy has forgotten it.
function withOpened(lines, rows) {
  const names = new Set(rows.map((row) => row.name));
  const opened = [...lines.values()].filter((line) => line.below && !names.has(line.row.name));
  return [...rows, ...opened.map((line) => line.row)].sort((one, other) => other.at - one.at);
}

// --- the tab ---

const fields = () => find("requests-filter").querySelectorAll("[name]");

export function read(parameters) {
  for (const field of fields()) {
    field.value = parameters[field.name] || "";
  }
}

export function written() {
  return Object.fromEntries([...fields()].map((field) => [field.name, field.value]).filter(([, value]) => value));
}

export async function refresh() {
  const wanted = written();
  if (wanted.status === "failed") {
    wanted.failed = "1";
    delete wanted.status;
  }
  const { requests } = await ask("requests.json", wanted);
  find("requests-none").hidden = requests.length > 0;
  const place = find("requests-table");
  const table = place.querySelector("table") || place.appendChild(newTable(COLUMNS, "At", cell));
  const seen = new Map();
  const rows = requests.map((one) => {
    const key = `${one.at} ${one.client} ${one.path}`;
    seen.set(key, (seen.get(key) || 0) + 1);
    return { ...one, name: `${key} ${seen.get(key)}`, title: clock(one.at) };
  });
  fill(table, withOpened(table.lines, rows));
}
