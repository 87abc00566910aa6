/* The report: a panel for the project that the address names, and the same projects as a table. Runs after filter.js. */
document.body.classList.add("scripted");
const cards = document.querySelector(".cards");

/* Videos load their first picture as they come into view, and have controls in the panel only. */
const near = new IntersectionObserver((seen) => {
  for (const entry of seen) if (entry.isIntersecting) {
    entry.target.preload = "metadata";
    near.unobserve(entry.target);
  }
}, { rootMargin: "200px" });
for (const video of document.querySelectorAll(".poster video")) {
  video.controls = false;
  near.observe(video);
}

const panel = document.createElement("dialog");
const panelHead = document.createElement("header");
const panelName = document.createElement("h3");
const panelClose = document.createElement("button");
const panelBody = document.createElement("div");
panelName.id = "_panel";
panelClose.textContent = "Close";
panelClose.type = "button";
panelHead.append(panelName, panelClose);
panel.append(panelHead, panelBody);
panel.setAttribute("aria-labelledby", "_panel");
document.body.append(panel);
let opened = null;

function giveBack() {
  if (!opened) return;
  const [poster, body] = panelBody.children;
  for (const video of poster.querySelectorAll("video")) {
    video.pause();
    video.controls = false;
  }
  opened.prepend(poster);
  opened.querySelector("details").append(...body.childNodes);
  opened = null;
}

function openPanel(card) {
  giveBack();
  const poster = card.querySelector(".poster");
  for (const video of poster.querySelectorAll("video")) {
    video.controls = true;
    video.preload = "metadata";
  }
  const body = document.createElement("div");
  body.append(...[...card.querySelector("details").childNodes].slice(1));
  panelBody.replaceChildren(poster, body);
  panelName.textContent = card.querySelector("h3").textContent;
  opened = card;
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
}

function follow() {
  const card = named()?.closest(".cards article");
  if (card && card !== opened) openPanel(card);
}

panel.addEventListener("close", () => {
  const card = opened;
  giveBack();
  history.replaceState(null, "", "#");
  card?.focus({ preventScroll: true });
});
panelClose.addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
addEventListener("keydown", (event) => {
  const by = { j: 1, k: -1 }[event.key];
  if (!panel.open || !by || event.ctrlKey || event.metaKey || event.altKey) return;
  event.stopPropagation();
  const seen = items.filter((item) => !item.at.hidden).map((item) => item.at);
  const next = seen[seen.indexOf(opened) + by];
  if (next) {
    openPanel(next);
    history.replaceState(null, "", next.querySelector("h3 a").getAttribute("href"));
  }
}, true);
cards.addEventListener("click", (event) => {
  const card = event.target.closest("article");
  if (!card || event.target.closest("a, summary, button")) return;
  location.hash = card.querySelector("h3 a").getAttribute("href");
  follow();
});
cards.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("article")) location.hash = event.target.querySelector("h3 a").getAttribute("href");
});
addEventListener("hashchange", follow);

/* The table is made of the cards when it is first asked for. */
const columns = {
  Address: (item) => item.name,
  Title: (item) => item.at.querySelector("h3 + p:not(:has(.badge))")?.textContent ?? "",
  Status: (item) => item.at.querySelector(".badge").textContent,
  Tags: (item) => item.groups.tag.join(" "),
  Attention: (item) => item.groups.mark.join(" "),
  Changed: (item) => item.at.querySelector(":scope > p time")?.textContent ?? "",
};
let list = null;

function makeList() {
  list = document.createElement("div");
  list.className = "list scroll";
  list.tabIndex = 0;
  const table = list.appendChild(document.createElement("table"));
  const head = table.createTHead().insertRow();
  for (const [name, read] of Object.entries(columns)) {
    const cell = head.appendChild(document.createElement("th"));
    cell.scope = "col";
    const button = cell.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => sortBy(cell, read));
  }
  const body = table.createTBody();
  for (const item of items) {
    item.row = body.insertRow();
    for (const [name, read] of Object.entries(columns)) {
      const cell = item.row.insertCell();
      const text = read(item);
      if (name === "Address") {
        const link = cell.appendChild(document.createElement("a"));
        link.href = item.at.querySelector("h3 a").getAttribute("href");
        link.appendChild(document.createElement("code")).textContent = text;
      } else if (name === "Status") cell.append(item.at.querySelector(".badge").cloneNode(true));
      else cell.textContent = text;
    }
  }
  cards.after(list);
}

function sortBy(cell, read) {
  const up = cell.getAttribute("aria-sort") !== "ascending";
  for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", up ? "ascending" : "descending");
  const keyed = items.map((item) => [read(item), item.row]);
  keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1));
  list.querySelector("tbody").append(...keyed.map(([, row]) => row));
}

document.getElementById("_view").addEventListener("click", (event) => {
  if (!list) makeList();
  const table = event.target.getAttribute("aria-pressed") !== "true";
  event.target.setAttribute("aria-pressed", String(table));
  cards.hidden = table;
  list.hidden = !table;
  show();
});
follow();
