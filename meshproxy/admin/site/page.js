// The page at /: the verdict, and the tab that the fragment of the address names.
import { ask, clock, find, link, make, put, say, short, span } from "./dom.js";
import { refreshDiscovery, refreshEvents } from "./lists.js";
import { openClient, showRouters, showWorkers } from "./overview.js";
import * as requests from "./requests.js";
import { hideClosed, refreshConfiguration, refreshLevels, sendForms } from "./settings.js";

const PERIOD_MS = 2000;
const SHOWN_ROWS = 50;
const ALL_ROWS = 100000;
const TABS = {
  overview: async () => {},
  requests: requests.refresh,
  events: refreshEvents,
  discovery: refreshDiscovery,
  settings: refreshLevels,
};

let tab = "overview";
let wanted = null; // the client to open, and its router
let asking = null;
let heardAt = 0; // when the last answer came

// --- the verdict ---

function problemItem({ what, router, client, tab: place }) {
  if (!client && !place) return make("li", what);
  const item = make("li");
  item.append(link(what, client ? "#overview?" + new URLSearchParams({ router, client }) : "#" + place));
  return item;
}

function showProblems(problems, count) {
  const many = count === 1 ? "1 problem" : `${count} problems`;
  put(find("verdict"), count ? many : "All is well", count ? "bad" : "good");
  put(find("state"), undefined, count ? "is-bad" : "is-good");
  const list = find("problems");
  const more = count - problems.length;
  const key = JSON.stringify(problems.map((one) => [one.router, one.client, one.tab]).concat(more));
  if (list.key === key) { // the same ones, whose times go on
    problems.forEach(({ what }, at) => put(list.children[at].firstElementChild || list.children[at], what));
    return;
  }
  list.key = key;
  list.replaceChildren(...problems.map(problemItem));
  if (more > 0) list.append(make("li", `and ${more} more`));
}

function showProcess({ version, uptime_ms: uptime, process: { rss, fds } }) {
  put(find("process"), `${version}, up ${span(uptime / 1000)}, ${short(rss / 1048576)} MB, ${short(fds)} descriptors`, "");
}

// What is shown is old from now on, and nobody may take it for the present.
function showSilence(error) {
  const since = heardAt ? " since " + clock(heardAt) : "";
  put(find("process"), "No answer: " + error.message, "bad");
  put(find("verdict"), `No answer${since}: what is shown is from then`, "bad");
  put(find("state"), undefined, "is-bad");
}

function showDraining(problems) {
  const isDraining = problems.some(({ what }) => what.includes("draining"));
  find("drain")?.toggleAttribute("hidden", isDraining);
  find("undrain")?.toggleAttribute("hidden", !isDraining);
}

// Opens the client that the address names, once; looks for it by its name if it is not shown.
function lead() {
  if (!wanted) return;
  const { router, client } = wanted;
  const isSought = find("wanted").value === client;
  if (openClient(router, client) || isSought) {
    wanted = null;
  } else {
    find("wanted").value = client;
    refresh();
  }
}

// --- asking ---

async function askOnce() {
  try {
    const isOverview = tab === "overview";
    const limit = !isOverview ? 0 : find("every").checked ? ALL_ROWS : SHOWN_ROWS;
    const overview = await ask("overview.json", { q: find("wanted").value, limit });
    showProcess(overview);
    showProblems(overview.problems, overview.problem_count);
    showDraining(overview.problems);
    if (isOverview) {
      showRouters(overview);
      showWorkers(overview.workers);
      lead();
    }
    document.body.dataset.at = overview.at;
    heardAt = Date.now() / 1000;
  } catch (error) {
    showSilence(error);
    return;
  }
  const shown = tab;
  await TABS[shown]().then(
    () => { find(shown).dataset.at = Date.now(); },
    (error) => say(error.message, "bad"),
  );
}

// One question at a time, and the last one is about what is wanted by then.
function refresh() {
  const turn = (asking || Promise.resolve()).then(askOnce);
  asking = turn;
  return turn.finally(() => {
    if (asking === turn) asking = null;
  });
}

// --- tabs ---

function follow() {
  const [name, query] = location.hash.slice(1).split("?", 2);
  tab = Object.hasOwn(TABS, name) ? name : "overview";
  for (const one of Object.keys(TABS)) find(one).hidden = one !== tab;
  for (const one of document.querySelectorAll("nav a")) {
    if (one.getAttribute("href") === "#" + tab) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  find("said").hidden = true;
  const { router, client, ...given } = Object.fromEntries(new URLSearchParams(query));
  wanted = tab === "overview" && client ? { router, client } : null;
  if (tab === "requests") requests.read(given);
  if (tab === "settings") refreshConfiguration().catch((error) => say(error.message, "bad"));
  refresh();
}

for (const id of ["wanted", "events-wanted", "discovery-wanted"]) find(id).addEventListener("input", refresh);
find("every").addEventListener("change", refresh);
find("requests-filter").addEventListener("input", () => {
  history.replaceState(null, "", "#requests?" + new URLSearchParams(requests.written()));
  refresh();
});
addEventListener("hashchange", follow);
document.addEventListener("click", ({ target }) => {
  if (target.closest("a")?.href === location.href) follow();
});
sendForms(refresh);
hideClosed().catch((error) => say(error.message, "bad"));
setInterval(() => {
  if (!asking && !document.hidden && !find("paused").checked) refresh();
}, PERIOD_MS);
follow();
