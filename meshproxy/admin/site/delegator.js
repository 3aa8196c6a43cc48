"use strict";

// Asks how the name in the form, which the fragment of the address has too, is delegated.
const at = (id) => document.getElementById(id);

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function addresses(addr) {
  if (addr.type === "bound") {
    return addr.addrs.length ? addr.addrs.map((one) => `${one.ip}:${one.port}`).join(", ") : "no endpoints";
  }
  return addr.type === "failed" ? "failed: " + addr.cause : UNKNOWN[addr.type];
}

const UNKNOWN = { neg: "no endpoints", pending: "no answer yet" };
const ENDS = {
  neg: "~, no such name",
  fail: "!, no other entry is tried",
  empty: "$, no endpoints, and no other entry is tried",
};

function describe(node) {
  switch (node.type) {
    case "leaf": return [`bound to ${node.bound.id}: ${addresses(node.bound.addr)}`,
      node.bound.addr.type === "bound" && node.bound.addr.addrs.length ? "good" : "bad"];
    case "exception": return [node.message, "bad"];
    case "transformation": return ["changed by " + node.name, ""];
    case "union": return ["all of these, by weight", ""];
    case "alt": return ["the first of these that leads somewhere", ""];
    case "delegate": return ["", ""];
    default: return [ENDS[node.type], "warn"];
  }
}

function below(node) {
  switch (node.type) {
    case "delegate": return [["", node.delegate]];
    case "transformation": return [["", node.tree]];
    case "alt": return node.alt.map((tree) => ["", tree]);
    case "union": return node.union.map(({ weight, tree }) => [weight + " * ", tree]);
    default: return [];
  }
}

function item(prefix, node) {
  const made = element("li");
  made.append(element("strong", prefix + node.path));
  if (node.dentry) made.append(" ", element("code", `${node.dentry.prefix} => ${node.dentry.dst}`));
  const [text, kind] = describe(node);
  if (text) made.append(" ", element("span", text, kind));
  const members = below(node);
  if (members.length) {
    made.appendChild(element("ul")).append(...members.map(([before, tree]) => item(before, tree)));
  }
  return made;
}

async function ask() {
  const tree = at("tree");
  const question = { namespace: tree.dataset.router, dtab: at("dtab").value, path: at("path").value };
  tree.replaceChildren(element("p", "Asking"));
  const query = new URLSearchParams({ router: question.namespace, path: question.path });
  at("explain").href = "explain?" + query;
  try {
    const answer = await fetch("delegator.json", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    });
    if (!answer.ok) throw new Error(await answer.text());
    const list = element("ul");
    list.append(item("", await answer.json()));
    tree.replaceChildren(list);
  } catch (error) {
    tree.replaceChildren(element("p", error.message, "bad"));
  }
}

function fragment() {
  const written = location.hash.slice(1);
  try {
    return decodeURIComponent(written);
  } catch { // typed by hand, a percent sign and all
    return written;
  }
}

function follow() {
  if (location.hash.length > 1) {
    at("path").value = fragment();
    ask();
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const hash = "#" + encodeURI(at("path").value);
  if (location.hash === hash) ask();
  else location.hash = hash;
});
addEventListener("hashchange", follow);
follow();
