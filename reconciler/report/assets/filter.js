"use strict";
const filter = document.getElementById("filter");
const boxes = [...filter.querySelectorAll("input[type=checkbox]")];
const search = document.getElementById("search");
const status_ = document.getElementById("shown");
const items = [...document.querySelectorAll("[data-kinds]")];

function show() {
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const name = search.value.trim().toLowerCase();
  let count = 0;
  for (const item of items) {
    const fits = item.dataset.kinds.split(" ").some((kind) => wanted.has(kind)) && item.dataset.name.includes(name);
    item.hidden = !fits;
    count += fits;
  }
  for (const section of document.querySelectorAll("main > section")) {
    const inside = [...section.querySelectorAll("[data-kinds]")];
    section.hidden = inside.length > 0 && inside.every((item) => item.hidden);
  }
  status_.textContent = `${count} of ${items.length} projects shown`;
}

function fold(open) {
  for (const details of document.querySelectorAll("main details")) details.open = open;
}

filter.addEventListener("input", show);
document.getElementById("unfold").addEventListener("click", () => fold(true));
document.getElementById("fold").addEventListener("click", () => fold(false));
filter.hidden = false;
show();
