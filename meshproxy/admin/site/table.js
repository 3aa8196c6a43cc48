// Tables whose rows are kept and changed, so that the focus stays and little is drawn. Of a long table
// only the rows near the window are in the document, in groups of some rows; a gap as high as they are
// stands for each group that is further away.
import { make, put } from "./dom.js";

// A column is {title, text(row, delta), mark(row, delta), draw(cell, row), isMore, isText}: *draw* in
// place of *text* fills a cell itself; where there is little room, those that are *isMore* and then
// those that are *isLess* are left out.

const MANY_ROWS = 100;
const GROUP_ROWS = 20;
const NEAR = "800px";
const ROW_PX = 30; // until one has been seen

const kindOf = (column, mark) =>
  [column.isText ? "" : "number", column.isMore ? "more" : "", column.isLess ? "less" : "", mark].filter(Boolean).join(" ");

const watcher = new IntersectionObserver((entries) => {
  for (const { target: group, isIntersecting, boundingClientRect: { height } } of entries) {
    if (group.isDrawn && height) {
      group.height = height;
      group.table.rowHeight = height / group.childElementCount;
    }
    group.isNear = isIntersecting;
  }
  for (const table of new Set(entries.map(({ target }) => target.table))) arrange(table);
}, { rootMargin: NEAR });

// *newCell* makes the first cell of a row.
export function newTable(columns, first, newCell = plainCell) {
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
  return Object.assign(table, { columns, newCell, lines: new Map(), groups: [] });
}

// Shows *rows*, each with a `name` of its own, in their order.
export function fill(table, rows, deltas = []) {
  Object.assign(table, { wanted: rows, deltas });
  // In a long table no cell may change the widths, which would lay out all rows anew.
  table.classList.toggle("is-long", rows.length > MANY_ROWS);
  arrange(table);
}

// Returns the row of *name*, which is drawn wherever it stands; undefined if there is none.
export function lineOf(table, name) {
  arrange(table, name);
  return table.lines.get(name);
}

function arrange(table, sought) {
  const { wanted: rows, lines, groups } = table;
  const isLong = rows.length > MANY_ROWS;
  const size = isLong ? GROUP_ROWS : MANY_ROWS;
  const focused = document.activeElement;
  const held = new Set([sought]); // what is opened or has the focus stays in the document
  for (const [name, line] of lines) {
    if (line.below || line.contains(focused)) held.add(name);
  }
  cut(table, Math.ceil(rows.length / size));
  let index = 2; // the heading is row 1
  groups.forEach((group, at) => {
    const from = at * size;
    const own = rows.slice(from, from + size);
    group.isDrawn = !isLong || group.isNear || own.some(({ name }) => held.has(name));
    const elements = group.isDrawn ? own.flatMap((row, number) => drawn(table, row, table.deltas[from + number])) : [];
    elements.forEach((element, number) => set(element, "aria-rowindex", index + number));
    index += group.isDrawn ? elements.length : own.length;
    place(group, group.isDrawn ? elements : [gap(group, own.length)]);
  });
  set(table, "aria-rowcount", index - 1);
  for (const [name, line] of lines) {
    if (!line.isConnected) lines.delete(name);
  }
  if (focused !== document.activeElement && table.contains(focused)) focused.focus({ preventScroll: true });
}

function cut(table, count) {
  const { groups } = table;
  while (groups.length > count) {
    const group = groups.pop();
    watcher.unobserve(group);
    group.remove();
  }
  while (groups.length < count) {
    const group = table.appendChild(make("tbody"));
    Object.assign(group, { table, isNear: groups.length === 0 });
    groups.push(group);
    watcher.observe(group);
  }
}

// Returns the elements of *row*, written: itself, and what is opened below it.
function drawn(table, row, delta) {
  const { columns, lines, newCell } = table;
  let line = lines.get(row.name);
  if (!line) {
    line = make("tr");
    line.table = table;
    line.append(newCell(row, line), ...columns.map((column) => make("td", undefined, kindOf(column))));
    lines.set(row.name, line);
  }
  if (line.row !== row || line.delta !== delta) write(Object.assign(line, { row, delta }), columns);
  return line.below ? [line, line.below] : [line];
}

function write({ cells, row, delta }, columns) {
  columns.forEach((column, at) => {
    const cell = cells[at + 1];
    if (column.draw) column.draw(cell, row);
    else put(cell, column.text(row, delta), kindOf(column, column.mark && column.mark(row, delta)));
  });
}

function gap(group, rows) {
  if (!group.gap) {
    group.gap = make("tr");
    group.gap.append(make("td"));
    group.gap.setAttribute("aria-hidden", "true");
  }
  const height = (group.height || rows * (group.table.rowHeight || ROW_PX)) + "px";
  if (group.gap.style.height !== height) group.gap.style.height = height;
  return group.gap;
}

// Lets *group* have these *elements* in this order.
function place(group, elements) {
  let next = group.firstChild;
  for (const element of elements) {
    if (next && next.nextSibling === element) { // one has left, so all others need not move
      group.append(next);
      next = element;
    }
    if (element === next) next = next.nextSibling;
    else group.insertBefore(element, next);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function set(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const plainCell = (row) => make("td", row.title ?? row.name);

// A first cell whose button opens what *build* makes of a row below it, and closes it again.
export function openingCell(row, line, build) {
  const cell = make("td");
  const button = cell.appendChild(make("button", row.title ?? row.name, "name"));
  line.toggle = () => {
    if (line.below) {
      line.below = undefined;
    } else {
      line.below = make("tr", undefined, "details");
      const inside = line.below.appendChild(make("td"));
      inside.colSpan = line.table.columns.length + 1;
      build(inside, line);
    }
    arrange(line.table);
    button.setAttribute("aria-expanded", String(Boolean(line.below)));
  };
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", line.toggle);
  return cell;
}
