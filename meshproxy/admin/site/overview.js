"use strict";

// The overview, asked for every two seconds; rates are differences between two answers.
const PERIOD_MS = 2000;
const SHOWN_ROWS = 50;
const ALL_ROWS = 100000;
const SVG = "http://www.w3.org/2000/svg";

const find = (id) => document.getElementById(id);
let before = new Map(); // what was counted at the last answer, by kind, router and name
let beforeAt = 0;
let asking = null;

function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function put(element, text, kind) {
  if (element.textContent !== text) element.textContent = text;
  if (kind !== undefined && element.className !== kind) element.className = kind;
}

// --- numbers in words ---

function short(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1e6) return (number / 1e6).toFixed(1) + " M";
  if (number >= 1e4) return (number / 1e3).toFixed(1) + " k";
  return Number.isInteger(number) ? String(number) : number.toFixed(1);
}

const milliseconds = (number) => (number === null ? "–" : short(number) + " ms");

function span(seconds) {
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + " h";
  return (seconds / 86400).toFixed(1) + " d";
}

// Rounded down: 100 % is all of them.
function percent({ success, requests }) {
  if (!requests) return "–";
  const share = (100 * success) / requests;
  return (share < 99 ? Math.floor(share) : Math.floor(share * 100) / 100) + " %";
}

function quality({ success, requests }) {
  if (!requests) return "";
  const share = success / requests;
  return share >= 0.99 ? "good" : share >= 0.9 ? "warn" : "bad";
}

// --- what came since the last answer ---

function change(row, key, seconds, now) {
  const earlier = before.get(key);
  now.set(key, row);
  if (!earlier || seconds <= 0 || row.requests < earlier.requests) return null;
  const requests = row.requests - earlier.requests;
  return {
    rate: requests / seconds,
    requests,
    success: row.success - earlier.success,
    retries: (row.retries - earlier.retries) / seconds,
  };
}

// --- columns: a title, the text of a row, and how it is marked ---

const IN_COMMON = [
  ["Requests/s", (row, delta) => short(delta && delta.rate)],
  ["Success now", (row, delta) => (delta ? percent(delta) : "–"), (row, delta) => (delta ? quality(delta) : "")],
  ["Success", percent, quality],
  ["Requests", (row) => short(row.requests)],
  ["Pending", (row) => short(row.pending)],
  ["p50", (row) => milliseconds(row.p50)],
  ["p95", (row) => milliseconds(row.p95)],
  ["p99", (row) => milliseconds(row.p99)],
];
const ROUTER = [
  ...IN_COMMON,
  ["Longest", (row) => milliseconds(row.max)],
  ["Connections", (row) => short(row.connections)],
  ["Retries/s", (row, delta) => short(delta && delta.retries)],
  ["Budget exhausted", (row) => short(row.exhausted), (row) => (row.exhausted ? "warn" : "")],
];
const SERVICE = [
  ...IN_COMMON,
  ["Retries", (row) => short(row.retries)],
  ["Retry budget", (row) => short(row.budget) + (row.exhausted ? ", exhausted " + short(row.exhausted) : ""),
    (row) => (row.exhausted ? "warn" : "")],
];
const CLIENT = [
  ["Endpoints", (row) => short(row.available) + " of " + short(row.endpoints),
    (row) => (row.available < row.endpoints || !row.endpoints ? "bad" : "good")],
  ...SERVICE,
  ["Connections", (row) => short(row.connections)],
  ["Removals", (row) => short(row.removals)],
];
const ENDPOINT = [
  ["State", (row) => row.state.replace("_", " ") + (row.seconds_out ? ", probed in " + span(row.seconds_out) : ""),
    (row) => (row.state === "alive" ? "good" : "bad")],
  ["Pending", (row) => short(row.pending)],
  ["Latency (EWMA)", (row) => milliseconds(row.ewma_ms)],
  ["Idle connections", (row) => short(row.idle)],
  ["Weight", (row) => short(row.weight)],
];

// --- tables: rows are kept and changed, so that the focus stays and little is drawn ---

function newTable(columns, first) {
  const wrapper = make("div", undefined, "wide");
  const table = wrapper.appendChild(make("table"));
  const head = table.appendChild(make("thead")).appendChild(make("tr"));
  head.append(make("th", first), ...columns.map(([title]) => make("th", title, "number")));
  wrapper.body = table.appendChild(make("tbody"));
  wrapper.body.kept = new Map();
  return wrapper;
}

function forget(kept, isWanted) {
  for (const [name, line] of kept) {
    if (!isWanted(name)) {
      if (line.below) line.below.remove();
      line.remove();
      kept.delete(name);
    }
  }
}

function fill(body, columns, rows, deltas, newCell) {
  const wanted = new Set(rows.map((row) => row.name));
  forget(body.kept, (name) => wanted.has(name));
  let place = body.firstChild;
  const stand = (line) => {
    if (line === place) place = place.nextSibling;
    else body.insertBefore(line, place);
  };
  rows.forEach((row, index) => {
    let line = body.kept.get(row.name);
    if (!line) {
      line = make("tr");
      line.append(newCell(row, line), ...columns.map(() => make("td")));
      body.kept.set(row.name, line);
    }
    stand(line);
    if (line.below) stand(line.below);
    columns.forEach(([, text, mark], at) => {
      put(line.cells[at + 1], text(row, deltas[index]), ("number " + (mark ? mark(row, deltas[index]) : "")).trim());
    });
  });
}

const plainCell = (row) => make("td", row.name);

// A service's name leads to how it is delegated.
function serviceCell(router) {
  return (row) => {
    const cell = make("td");
    const link = cell.appendChild(make("a", row.name));
    link.href = "delegator?" + new URLSearchParams({ router }) + "#" + encodeURI(row.name);
    return cell;
  };
}

// --- a client, and its endpoints below it ---

async function showEndpoints(router, client, line) {
  const answer = await fetch("endpoints.json?" + new URLSearchParams({ router, client }));
  if (!answer.ok) throw new Error("status " + answer.status);
  const found = await answer.json();
  if (!line.below) return;
  const byWorker = Array.isArray(found) ? { "": found } : found;
  const rows = Object.entries(byWorker).flatMap(([worker, endpoints]) =>
    endpoints.map((one) => ({ ...one, name: one.address + (worker && ", " + worker) })));
  fill(line.below.body, ENDPOINT, rows, [], plainCell);
}

function clientCell(router) {
  return (row, line) => {
    const cell = make("td");
    const button = cell.appendChild(make("button", row.name, "name"));
    line.toggle = () => {
      if (line.below) {
        line.below.remove();
        line.below = undefined;
      } else {
        line.below = make("tr", undefined, "details");
        const inside = line.below.appendChild(make("td"));
        inside.colSpan = CLIENT.length + 1;
        line.below.body = inside.appendChild(newTable(ENDPOINT, "Endpoint")).body;
        line.after(line.below);
        showEndpoints(router, row.name, line).catch(fail);
      }
      button.setAttribute("aria-expanded", String(Boolean(line.below)));
    };
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", line.toggle);
    return cell;
  };
}

// --- a router ---

function newRouter(label) {
  const section = make("section", undefined, "router");
  section.appendChild(make("h2", "Router " + label));
  const list = section.appendChild(make("dl", undefined, "figures"));
  section.figures = ROUTER.map(([title]) => {
    const figure = list.appendChild(make("div"));
    figure.appendChild(make("dt", title));
    return figure.appendChild(make("dd"));
  });
  section.spark = section.appendChild(document.createElementNS(SVG, "svg"));
  section.spark.setAttribute("class", "spark");
  section.spark.setAttribute("viewBox", "0 0 300 48");
  section.spark.setAttribute("preserveAspectRatio", "none");
  section.spark.setAttribute("role", "img");
  section.lines = ["requests", "failures"].map((kind) => {
    const line = section.spark.appendChild(document.createElementNS(SVG, "path"));
    line.setAttribute("class", kind);
    return line;
  });
  section.parts = [
    ["services", "Services", SERVICE, "Service", serviceCell],
    ["clients", "Clients", CLIENT, "Client", clientCell],
  ].map(([key, title, columns, first, cellOf]) => {
    const heading = section.appendChild(make("h3"));
    const body = section.appendChild(newTable(columns, first)).body;
    return { key, title, columns, heading, body, newCell: cellOf(label) };
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
  const top = Math.max(1, ...rates.map(([all]) => all));
  section.lines.forEach((line, which) => {
    const points = rates.map((rate, index) =>
      `${((index / Math.max(rates.length - 1, 1)) * 300).toFixed(1)},${(46 - (44 * rate[which]) / top).toFixed(1)}`);
    line.setAttribute("d", points.length > 1 ? "M" + points.join("L") : "");
  });
  const past = history.length > 1 ? span(history.at(-1)[0] - history[0][0]) : "0 s";
  section.spark.setAttribute("aria-label",
    `Requests per second in the last ${past}, ${short(top)} at most; failures in red`);
}

function showRouter(section, router, seconds, now) {
  const delta = change(router, "router " + router.label, seconds, now);
  ROUTER.forEach(([, text, mark], at) => {
    put(section.figures[at], text(router, delta), mark ? mark(router, delta) : "");
  });
  draw(section, router.history);
  for (const { key, title, columns, heading, body, newCell } of section.parts) {
    const { rows, found, total } = router[key];
    const shown = rows.length < found ? `${rows.length} of ${found}` : `${found}`;
    put(heading, `${title}: ${shown}${found < total ? `, of ${total} in all` : ""}`);
    const deltas = rows.map((row) => change(row, `${key} ${router.label} ${row.name}`, seconds, now));
    fill(body, columns, rows, deltas, newCell);
    for (const [name, line] of body.kept) {
      if (line.below) showEndpoints(router.label, name, line).catch(fail);
    }
  }
}

// --- the whole page ---

function clientLine(router, client) {
  const section = find("routers").kept.get(router);
  return section && section.parts.find((part) => part.key === "clients").body.kept.get(client);
}

async function lead(router, client) {
  if (!clientLine(router, client)) {
    find("wanted").value = client;
    await ask();
  }
  const line = clientLine(router, client);
  if (!line) return;
  if (!line.below) line.toggle();
  line.querySelector("button").focus();
}

function showProblems(problems, count) {
  const many = count === 1 ? "1 problem" : `${count} problems`;
  put(find("verdict"), count ? many : "All is well", count ? "bad" : "good");
  const list = find("problems");
  const text = JSON.stringify(problems);
  if (list.text === text) return;
  list.text = text;
  list.replaceChildren(...problems.map((problem) => {
    const item = make("li");
    if (problem.client) {
      const button = item.appendChild(make("button", problem.what, "name"));
      button.addEventListener("click", () => lead(problem.router, problem.client));
    } else {
      item.textContent = problem.what;
    }
    return item;
  }));
}

function showWorkers(workers) {
  find("workers").hidden = !workers;
  find("workers").querySelector("tbody").replaceChildren(...(workers || []).map((one) => {
    const line = make("tr");
    line.append(
      make("td", String(one.worker)),
      make("td", one.state, one.state === "serving" ? "good" : "bad"),
      make("td", String(one.pid), "number"),
      make("td", span(one.uptime / 1000), "number"),
    );
    return line;
  }));
}

function show(overview) {
  const now = new Map();
  const seconds = beforeAt ? overview.at - beforeAt : 0;
  const { rss, fds } = overview.process;
  put(find("process"), `${overview.version}, up ${span(overview.uptime_ms / 1000)}, ` +
    `${short(rss / 1048576)} MB, ${short(fds)} descriptors`, "");
  showProblems(overview.problems, overview.problem_count);
  showWorkers(overview.workers);
  const sections = find("routers");
  sections.kept = sections.kept || new Map();
  const labels = new Set(overview.routers.map((router) => router.label));
  forget(sections.kept, (label) => labels.has(label));
  for (const router of overview.routers) {
    if (!sections.kept.has(router.label)) {
      sections.kept.set(router.label, sections.appendChild(newRouter(router.label)));
    }
    showRouter(sections.kept.get(router.label), router, seconds, now);
  }
  before = now;
  beforeAt = overview.at;
}

function fail(error) {
  put(find("process"), "No answer: " + error.message, "bad");
}

async function askOnce() {
  try {
    const limit = find("every").checked ? ALL_ROWS : SHOWN_ROWS;
    const answer = await fetch("overview.json?" + new URLSearchParams({ q: find("wanted").value, limit }));
    if (!answer.ok) throw new Error("status " + answer.status);
    show(await answer.json());
  } catch (error) {
    fail(error);
  }
}

// One question at a time, and the last one is about what is wanted by then.
function ask() {
  const turn = (asking || Promise.resolve()).then(askOnce);
  asking = turn;
  return turn.finally(() => {
    if (asking === turn) asking = null;
  });
}

find("wanted").addEventListener("input", ask);
find("every").addEventListener("change", ask);
setInterval(() => {
  if (!asking && !document.hidden && !find("paused").checked) ask();
}, PERIOD_MS);
ask();
