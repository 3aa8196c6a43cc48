// Log levels, the configuration, and forms that change something.
import { ask, find, make, say } from "./dom.js";
import { fill, newTable } from "./table.js";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const LEVEL = [{ title: "Level", draw: drawLevel, isText: true }];

function drawLevel(cell, row) {
  if (!cell.firstChild) {
    const form = cell.appendChild(make("form"));
    form.method = "post";
    form.action = "logging.json";
    Object.assign(form.appendChild(make("input")), { type: "hidden", name: "logger", value: row.name });
    cell.choice = form.appendChild(make("select"));
    cell.choice.name = "level";
    cell.choice.setAttribute("aria-label", "Level of " + row.name);
    cell.choice.append(...LEVELS.map((level) => make("option", level)));
    cell.choice.value = row.level;
    if (isOpen("logging.json")) form.append(" ", make("button", "Set"));
  }
  // a choice that is not sent yet stays
  if (cell.choice.told !== row.level) cell.choice.value = cell.choice.told = row.level;
}

// The paths of this server that are not closed by its configuration; all, until they are known.
let paths = null;
export const isOpen = (path) => !paths || paths.has("/" + path);

// Leaves out the forms that this server would not take.
export async function hideClosed() {
  const answer = await fetch("admin/index.txt");
  if (!answer.ok) return;
  paths = new Set((await answer.text()).split("\n"));
  for (const form of document.querySelectorAll(".controls form")) {
    if (!isOpen(form.getAttribute("action"))) form.parentElement.removeChild(form);
  }
}

export async function refreshLevels() {
  const levels = await ask("logging.json");
  const place = find("levels");
  const table = place.querySelector("table") || place.appendChild(newTable(LEVEL, "Logger"));
  fill(table, levels.map(({ logger, level }) => ({ name: logger, level })));
}

export async function refreshConfiguration() {
  find("configuration").textContent = JSON.stringify(await ask("config.json"), null, 2);
}

// Sends the forms of this page in the background, and says what came of it; then calls *done*.
export function sendForms(done) {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    event.preventDefault();
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) });
      say((await answer.text()).trim(), answer.ok ? "good" : "bad");
    } catch (error) {
      say("No answer: " + error.message, "bad");
    }
    done();
  });
}
