"use strict";
const filter = document.getElementById("_filter");
const boxes = [...filter.querySelectorAll("input[type=checkbox]")];
const search = document.getElementById("_search");
const shownNow = document.getElementById("_shown");
const items = [...document.querySelectorAll("[data-kinds]")].map((at) => ({
  at,
  groups: {
    kind: at.dataset.kinds.split(" "), tag: (at.dataset.tags ?? "").split(" "), mark: (at.dataset.marks ?? "").split(" "),
    environment: [at.querySelector(":scope > p > i")?.textContent ?? ""],
  },
  name: at.dataset.name ?? at.querySelector("h3").id,
  rows: [...at.querySelectorAll("[data-name]")],
}));
for (const { at } of items) {
  at.tabIndex = -1; // the keys j and k set the focus there
  at.setAttribute("aria-labelledby", at.querySelector("h3").id);
}
const total = items.reduce((sum, item) => sum + (item.rows.length || 1), 0);
const sections = [...document.querySelectorAll("main > section")].map((at) => ({
  at, inside: items.filter((item) => at.contains(item.at)),
})).filter((section) => section.inside.length);

function hide(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/* What is checked narrows the page down; nothing checked shows everything. */
function show() {
  const wanted = {};
  for (const box of boxes) if (box.checked) (wanted[box.dataset.group] ??= new Set()).add(box.value);
  const name = search.value.trim().toLowerCase();
  let count = 0;
  for (const item of items) {
    const fits = Object.entries(wanted).every(([group, values]) => item.groups[group].some((one) => values.has(one)));
    let inside = 0;
    for (const row of item.rows) {
      const named = row.dataset.name.toLowerCase().includes(name);
      hide(row, !named);
      inside += named;
    }
    const found = fits && (item.rows.length ? inside : Number(item.name.toLowerCase().includes(name)));
    hide(item.at, !found);
    if (item.row) hide(item.row, !found);
    count += Number(found);
    if (found && name && item.rows.length) for (const fold of item.at.querySelectorAll("details.rows")) fold.open = true;
  }
  for (const section of sections) hide(section.at, section.inside.every((item) => item.at.hidden));
  shownNow.textContent = `${count} of ${total} projects shown`;
}

function fold(open) {
  for (const details of document.querySelectorAll("main details")) details.open = open;
}

/* The element that the page's address names. */
function named() {
  let id = location.hash.slice(1);
  try { id = decodeURIComponent(id); } catch { /* no link of ours */ }
  return id.startsWith("_") ? null : document.getElementById(id);
}

/* A link to a project shows it, whatever is filtered or folded. */
function arrive() {
  const target = named();
  if (!target) return;
  if (target.hidden || target.closest("[data-kinds]")?.hidden) {
    for (const box of boxes) box.checked = false;
    search.value = "";
    show();
  }
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView({ block: "start" });
}

/* Where a project is now: its card, or its link in a table that is shown instead. */
function place(item) {
  return item.at.parentElement.hidden ? item.row.querySelector("a") : item.at;
}

function move(by) {
  const seen = items.filter((item) => !item.at.hidden).map(place);
  const now = seen.findIndex((at) => at.contains(document.activeElement));
  const first = seen.findIndex((at) => at.getBoundingClientRect().bottom > 64);
  const next = seen[now < 0 ? Math.max(first, 0) : now + by];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === search) {
    search.value = "";
    show();
    search.blur();
  }
  if (event.target.matches("input[type=search], select, video")) return;
  const action = { "/": () => search.focus(), j: () => move(1), k: () => move(-1) }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main details:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
addEventListener("hashchange", arrive);
filter.addEventListener("input", show);
document.getElementById("_fold")?.addEventListener("click", (event) => {
  const open = event.target.textContent === "Unfold all";
  event.target.textContent = open ? "Fold all" : "Unfold all";
  fold(open);
});
filter.hidden = false;
show();
arrive();
