/* The report: a panel for the project that the address names, and the same projects as a table. Runs after filter.js. */
document.body.classList.add("scripted");
const cards = document.querySelector(".cards");

/* Videos load their first picture as they come into view, and have controls in the panel only. The addresses of outputs
   expire: what can't be loaded says so. */
addEventListener("error", (event) => {
  const poster = event.target.closest?.(".poster");
  if (!poster) return;
  poster.textContent = "No preview: its address may have expired";
}, true);
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
const panelBody = document.createElement("div");
panelName.id = "_panel";
panelHead.append(panelName);
panel.append(panelHead, panelBody);
panel.setAttribute("aria-labelledby", "_panel");
document.body.append(panel);
let opened = null;

function button(label, action) {
  const made = panelHead.appendChild(document.createElement("button"));
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", action);
  return made;
}
const back = button("Previous", () => turn(-1));
const on = button("Next", () => turn(1));
button("Close", () => panel.close());

/* The panel has the parts of the card until it is closed or shows another. */
function giveBack() {
  if (!opened) return;
  const poster = panelBody.firstChild, body = panelBody.lastChild;
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
  const told = [...card.querySelectorAll(":scope > p:not(:empty)")].map((one) => one.cloneNode(true));
  if (told.length > 1) told[0].className = "title";
  panelBody.replaceChildren(poster, ...told, body);
  panelName.textContent = card.querySelector("h3").id;
  opened = card;
  back.disabled = !beside(-1);
  on.disabled = !beside(1);
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
}

/* The card that is so many places from the one in the panel, of those that the filter shows. */
function beside(by) {
  const seen = items.filter((item) => !item.at.hidden).map((item) => item.at);
  return seen[seen.indexOf(opened) + by];
}

function turn(by) {
  const next = beside(by);
  if (!next) return;
  openPanel(next);
  history.replaceState(null, "", next.querySelector("h3 a").getAttribute("href"));
}

function follow() {
  const card = named()?.closest(".cards article");
  if (card && card !== opened) openPanel(card);
}

panel.addEventListener("close", () => {
  const card = opened;
  giveBack();
  history.replaceState(null, "", "#");
  const item = items.find((one) => one.at === card);
  if (item) place(item).focus({ preventScroll: true });
});
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
addEventListener("keydown", (event) => {
  const by = { j: 1, k: -1 }[event.key];
  if (!panel.open || !by || event.ctrlKey || event.metaKey || event.altKey) return;
  event.stopPropagation();
  turn(by);
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

/* The table is made of the cards when it is first asked for; their order is that of the statuses, problems first. */
items.forEach((item, rank) => { item.rank = String(rank); });
const inOrder = new Intl.Collator("en", { numeric: true }).compare;
const columns = {
  Address: (item) => item.at.querySelector("h3").textContent,
  Status: (item) => item.rank,
  Title: (item) => item.at.querySelector("h3 + p").textContent,
  ...(items.some((item) => item.groups.environment[0]) && { Environment: (item) => item.groups.environment[0] }),
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
    if (name === "Status") cell.setAttribute("aria-sort", "ascending");
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
  for (const item of items) item.key = read(item);
  items.sort(({ key: a }, { key: b }) => (a === "") - (b === "") || inOrder(a, b) * (up ? 1 : -1)); // what is empty comes last
  list.querySelector("tbody").append(...items.map((item) => item.row));
  cards.append(...items.map((item) => item.at)); // the keys and the panel go by what is seen
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
