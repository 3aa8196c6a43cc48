// Tables whose rows are kept and changed, so that the focus stays and little is drawn.
import { make, put } from "./dom.js";

// A column is {title, text(row, delta), mark(row, delta), draw(cell, row), isMore, isText}: *draw* in
// place of *text* fills a cell itself; where there is little room, those that are *isMore* and then
// those that are *isLess* are left out.

const MANY_ROWS = 100;

const kindOf = (column, mark) =>
  [column.isText ? "" : "number", column.isMore ? "more" : "", column.isLess ? "less" : "", mark].filter(Boolean).join(" ");

// Rows far from the window are written when they come near it: of a thousand few are seen.
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.isAway = !isIntersecting;
    if (isIntersecting) draw(target);
  }
}, { rootMargin: "800px" });

function draw({ cells, columns, row, delta }) {
  columns.forEach((column, at) => {
    const cell = cells[at + 1];
    if (column.draw) column.draw(cell, row);
    else put(cell, column.text(row, delta), kindOf(column, column.mark && column.mark(row, delta)));
  });
}

export function newTable(columns, first) {
  const table = make("table");
  const head = table.appendChild(make("thead")).appendChild(make("tr"));
  const titles = columns.map((column) => {
    const title = make("th", column.title, kindOf(column));
    title.scope = "col";
    return title;
  });
  const corner = make("th", first);
  corner.scope = "col";
  head.append(corner, ...titles);
  table.body = table.appendChild(make("tbody"));
  table.body.kept = new Map();
  return table;
}

export function forget(kept, isWanted) {
  for (const [name, line] of kept) {
    if (!isWanted(name)) {
      if (line.below) line.below.remove();
      watcher.unobserve(line);
      line.remove();
      kept.delete(name);
    }
  }
}

// Shows *rows*, each with a `name` of its own, in their order; *newCell* makes the first cell of a row.
export function fill(body, columns, rows, newCell, deltas = []) {
  const wanted = new Set(rows.map((row) => row.name));
  forget(body.kept, (name) => wanted.has(name));
  // In a long table no cell may change the widths, which would lay out all rows anew.
  body.parentNode.classList.toggle("is-long", rows.length > MANY_ROWS);
  let place = body.firstChild;
  const stand = (line) => {
    if (place && place.nextSibling === line) { // one row has left, so all others need not move
      const gone = place;
      place = line;
      body.append(gone);
    }
    if (line === place) place = place.nextSibling;
    else body.insertBefore(line, place);
  };
  rows.forEach((row, index) => {
    let line = body.kept.get(row.name);
    if (!line) {
      line = make("tr");
      line.append(newCell(row, line), ...columns.map((column) => make("td", undefined, kindOf(column))));
      line.columns = columns;
      watcher.observe(line);
      body.kept.set(row.name, line);
    }
    line.row = row;
    line.delta = deltas[index];
    stand(line);
    if (line.below) stand(line.below);
    if (!line.isAway) draw(line);
  });
}

export const plainCell = (row) => make("td", row.title ?? row.name);

// A first cell whose button opens what *build* makes of a row below it, and closes it again.
export function openingCell(row, line, width, build) {
  const cell = make("td");
  const button = cell.appendChild(make("button", row.title ?? row.name, "name"));
  line.toggle = () => {
    if (line.below) {
      line.below.remove();
      line.below = undefined;
    } else {
      line.below = make("tr", undefined, "details");
      const inside = line.below.appendChild(make("td"));
      inside.colSpan = width + 1;
      line.after(line.below);
      build(inside, line);
    }
    button.setAttribute("aria-expanded", String(Boolean(line.below)));
  };
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", line.toggle);
  return cell;
}
