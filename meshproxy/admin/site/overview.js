// Routers with their services and clients; rates are differences between two answers.
import { ask, find, link, make, milliseconds, percent, put, quality, say, short, span } from "./dom.js";
import { isOpen } from "./settings.js";
import { fill, lineOf, newTable, openingCell } from "./table.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 56;

let before = new Map(); // what was counted at the last answer, by kind, router and name
let beforeAt = 0;

function change(row, key, seconds, now) {
  const earlier = before.get(key);
  now.set(key, row);
  if (!earlier || seconds <= 0 || row.requests < earlier.requests) return null;
  const requests = row.requests - earlier.requests;
  return {
    requests,
    rate: requests / seconds,
    success: row.success - earlier.success,
    retries: Math.max(row.retries - earlier.retries, 0),
  };
}

// --- columns and figures ---

const isExhausted = (row) => (row.exhausted ? "warn" : "");
const RATE = { title: "Requests/s", text: (row, delta) => short(delta && delta.rate) };
const NOW = {
  title: "Success now",
  text: (row, delta) => (delta ? percent(delta) : "–"),
  mark: (row, delta) => (delta ? quality(delta) : ""),
};
const IN_COMMON = [
  RATE,
  NOW,
  { title: "Success", text: percent, mark: quality, isMore: true },
  { title: "Requests", text: (row) => short(row.requests), isLess: true },
  { title: "Pending", text: (row) => short(row.pending), isMore: true },
  { title: "p50", text: (row) => milliseconds(row.p50), isMore: true },
  { title: "p95", text: (row) => milliseconds(row.p95), isMore: true },
  { title: "p99", text: (row) => milliseconds(row.p99), isLess: true },
  { title: "Retries", text: (row) => short(row.retries), isMore: true },
  {
    title: "Budget",
    text: (row) => (row.exhausted ? `exhausted ${short(row.exhausted)} ×` : short(row.budget)),
    mark: isExhausted,
    isMore: true,
  },
];
const SERVICE = IN_COMMON;
const CLIENT = [
  {
    title: "Endpoints",
    text: (row) => short(row.available) + " of " + short(row.endpoints),
    mark: (row) => (row.available < row.endpoints || !row.endpoints ? "bad" : "good"),
  },
  { ...RATE, isLess: true },
  ...IN_COMMON.slice(1),
  { title: "Connections", text: (row) => short(row.connections), isMore: true },
];
const FIGURES = [
  RATE,
  NOW,
  { title: "p50", text: (row) => milliseconds(row.p50) },
  { title: "p95", text: (row) => milliseconds(row.p95) },
  { title: "p99", text: (row) => milliseconds(row.p99) },
  { title: "Longest", text: (row) => milliseconds(row.max) },
  { title: "Pending", text: (row) => short(row.pending) },
  { title: "Connections", text: (row) => short(row.connections) },
  {
    title: "Retries",
    text: (row, delta) => (delta && delta.requests ? ((100 * delta.retries) / delta.requests).toFixed(1) + " %" : "–"),
  },
  { title: "Out of budget", text: (row) => short(row.exhausted) + " ×", mark: isExhausted },
  { title: "Since the start", text: (row) => `${short(row.requests)}, ${percent(row)}`, mark: quality },
];
const STATES = {
  alive: "alive", dead: "dead", probe_open: "out, next request probes", probe_closed: "being probed",
  failing_fast: "no connection", closed: "removed",
};
const ENDPOINT = [
  { title: "State", text: (row) => STATES[row.state] || row.state, mark: (row) => (row.state === "alive" ? "good" : "bad") },
  { title: "Out for", text: (row) => (row.out_for_s ? span(row.out_for_s) : "–"), isLess: true },
  { title: "Probed in", text: (row) => (row.seconds_out > 0 ? span(row.seconds_out) : "–") },
  { title: "Load", text: (row) => short(row.pending), isLess: true },
  { title: "EWMA", text: (row) => milliseconds(row.ewma_ms), isLess: true },
  { title: "Connections", text: connectionsOf, isLess: true },
  { title: "Weight", text: (row) => short(row.weight), isMore: true },
  { title: "", draw: drawMark, isText: true },
];

// --- endpoints below their client ---

function connectionsOf({ connections, idle, streams }) {
  const carried = streams === null ? "" : `, ${short(streams)} stream${streams === 1 ? "" : "s"}`;
  return `${short(connections)}${carried}, ${short(idle)} idle`;
}

function drawMark(cell, row) {
  const state = row.state === "alive" ? "dead" : "alive";
  if (cell.shown === state) return;
  cell.shown = state;
  const form = make("form");
  form.method = "post";
  form.action = "admin/endpoint";
  const { router, client, address } = row;
  for (const [name, value] of Object.entries({ router, client, address, state })) {
    const field = form.appendChild(make("input"));
    Object.assign(field, { type: "hidden", name, value });
  }
  form.appendChild(make("button", "Mark " + state)).setAttribute("aria-label", `Mark ${address} ${state}`);
  cell.replaceChildren(isOpen("admin/endpoint") ? form : "", " ", link("Requests", "#requests?" + new URLSearchParams({ endpoint: address })));
}

async function showEndpoints(router, client, line) {
  const found = await ask("endpoints.json", { router, client });
  if (!line.below) return;
  const byWorker = Array.isArray(found) ? { "": found } : found;
  const rows = Object.entries(byWorker).flatMap(([worker, endpoints]) =>
    endpoints.map((one) => ({ ...one, router, client, name: one.address + (worker && ", " + worker) })));
  rows.sort((one, other) => (one.state === "alive") - (other.state === "alive")); // those that are out first
  line.below.table.hidden = !rows.length;
  line.below.empty.hidden = rows.length > 0;
  fill(line.below.table, rows);
}

const clientCell = (router) => (row, line) =>
  openingCell(row, line, (inside) => {
    line.below.table = newTable(ENDPOINT, "Endpoint");
    line.below.empty = make("p", "It has no endpoints: discovery gives no address.", "bad");
    line.below.empty.hidden = true;
    const tail = make("p", undefined, "note");
    tail.append(link("Requests of this client", "#requests?" + new URLSearchParams({ name: row.name })));
    inside.append(line.below.table, line.below.empty, tail);
    showEndpoints(router, row.name, line).catch((error) => say(error.message, "bad"));
  });

// A service's name leads to how it is delegated.
const serviceCell = (router) => (row) => {
  const cell = make("td");
  cell.append(link(row.name, "delegator?" + new URLSearchParams({ router }) + "#" + encodeURI(row.name)));
  return cell;
};

// --- a router ---

function newRouter(label) {
  const section = make("section", undefined, "router card");
  section.appendChild(make("h2", "Router " + label));
  const list = section.appendChild(make("dl", undefined, "figures"));
  section.figures = FIGURES.map(({ title }) => {
    const figure = list.appendChild(make("div"));
    figure.appendChild(make("dt", title));
    return figure.appendChild(make("dd"));
  });
  const chart = section.appendChild(make("figure", undefined, "spark"));
  section.spark = chart.appendChild(document.createElementNS(SVG, "svg"));
  section.spark.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  section.spark.setAttribute("preserveAspectRatio", "none");
  section.spark.setAttribute("role", "img");
  section.lines = ["requests", "failures"].map((kind) => {
    const line = section.spark.appendChild(document.createElementNS(SVG, "path"));
    line.setAttribute("class", kind);
    return line;
  });
  section.caption = chart.appendChild(make("figcaption"));
  section.parts = [
    ["services", "Services", SERVICE, "Service", serviceCell],
    ["clients", "Clients", CLIENT, "Client", clientCell],
  ].map(([key, title, columns, first, cellOf]) => {
    const heading = section.appendChild(make("h3"));
    const wrapper = section.appendChild(make("div", undefined, "wide"));
    const table = wrapper.appendChild(newTable(columns, first, cellOf(label)));
    return { key, title, heading, wrapper, table };
  });
  return section;
}

function draw(section, history) {
  const rates = history.slice(1).map(([at, requests, success], index) => {
    const [earlier, asked, fine] = history[index];
    const seconds = Math.max(at - earlier, 0.001);
    const all = Math.max(requests - asked, 0);
    return [all / seconds, Math.max(all - (success - fine), 0) / seconds];
  });
  const most = Math.max(0, ...rates.map(([all]) => all));
  const top = Math.max(1, most);
  const step = WIDTH / Math.max(rates.length - 1, 1);
  section.lines.forEach((line, which) => {
    const points = rates.map((rate, index) =>
      `${(index * step).toFixed(1)},${(HEIGHT - 1 - ((HEIGHT - 4) * rate[which]) / top).toFixed(1)}`);
    const path = `M0,${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z`;
    line.setAttribute("d", points.length > 1 && rates.some((rate) => rate[which]) ? path : "");
  });
  const past = history.length > 1 ? span(history.at(-1)[0] - history[0][0]) : "0 s";
  const told = most ? `Requests per second in the last ${past}, ${short(most)} at most; failures in red` : `No request in the last ${past}`;
  section.spark.toggleAttribute("hidden", !most);
  section.spark.setAttribute("aria-label", told);
  put(section.caption, told);
}

function showRouter(section, router, seconds, now) {
  const delta = change(router, "router " + router.label, seconds, now);
  FIGURES.forEach(({ text, mark }, at) => {
    put(section.figures[at], text(router, delta), (mark && mark(router, delta)) || "");
  });
  draw(section, router.history);
  for (const { key, title, heading, wrapper, table } of section.parts) {
    const { rows, found, total } = router[key];
    const shown = rows.length < found ? `${rows.length} of ${found}` : `${found}`;
    put(heading, `${title}: ${shown}${found < total ? `, of ${total} in all` : ""}`);
    wrapper.hidden = !rows.length;
    const deltas = rows.map((row) => change(row, `${key} ${router.label} ${row.name}`, seconds, now));
    fill(table, rows, deltas);
    for (const [name, line] of table.lines) {
      if (line.below) showEndpoints(router.label, name, line).catch((error) => say(error.message, "bad"));
    }
  }
}

export function showRouters(overview) {
  const now = new Map();
  const seconds = beforeAt ? overview.at - beforeAt : 0;
  const sections = find("routers");
  sections.kept = sections.kept || new Map();
  const labels = new Set(overview.routers.map((router) => router.label));
  for (const [label, section] of sections.kept) {
    if (labels.has(label)) continue;
    section.remove();
    sections.kept.delete(label);
  }
  for (const router of overview.routers) {
    if (!sections.kept.has(router.label)) {
      sections.kept.set(router.label, sections.appendChild(newRouter(router.label)));
    }
    showRouter(sections.kept.get(router.label), router, seconds, now);
  }
  before = now;
  beforeAt = overview.at;
}

// Opens a client, of any router if none is named; returns false if it is not shown.
export function openClient(router, client) {
  const sections = [...find("routers").kept].filter(([label]) => !router || label === router);
  const lines = sections.map(([, section]) => lineOf(section.parts.at(-1).table, client));
  const line = lines.find(Boolean);
  if (!line) return false;
  if (!line.below) line.toggle();
  line.querySelector("button").focus();
  line.scrollIntoView({ block: "nearest" });
  return true;
}

// --- workers ---

const WORKER = [
  { title: "State", text: (row) => row.state, mark: (row) => (row.state === "serving" ? "good" : "bad") },
  { title: "Process", text: (row) => String(row.pid) },
  { title: "Up", text: (row) => span(row.uptime / 1000) },
];

export function showWorkers(workers) {
  const section = find("workers");
  section.hidden = !workers;
  const place = section.querySelector(".wide");
  const table = place.firstChild || place.appendChild(newTable(WORKER, "Worker"));
  fill(table, (workers || []).map((one) => ({ ...one, name: String(one.worker) })));
}
