// The panel: the list of layers, the threshold and the table. Every word is set as text.

const MAX_ROWS = 500;
const body = element.querySelector(".gr-body");
const rows = element.querySelector("tbody");
const all = element.querySelector(".gr-all");
const sorting = { by: "number", down: false };

function node(name, className, text) {
  const created = document.createElement(name);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
}

const plural = (count, word) => count + " " + word + (count === 1 ? "" : word.endsWith("x") ? "es" : "s");

function areaText({ area, area_unit: unit }) {
  if (area == null) return "–";
  if (unit === "px") return Math.round(area).toLocaleString("en") + " px";
  if (area >= 1e6) return (area / 1e6).toPrecision(3) + " km²";
  return (area >= 100 ? Math.round(area).toLocaleString("en") : area.toPrecision(2)) + " m²";
}

function placeText({ place, place_unit: unit }) {
  if (unit === "px") return Math.round(place[0]) + ", " + Math.round(place[1]) + " px";
  return place[1].toFixed(5) + "°, " + place[0].toFixed(5) + "°";
}

const scoreText = ({ score }) => (score == null ? "–" : Math.round(score * 100) + " %");

// The value a column is sorted by; boxes without one come last.
const SORT_VALUES = {
  number: (box) => box.exchange.id * 1e6 + (box.asked ? 5e5 : 0) + box.number,
  phrase: (box) => nameOf(box).toLowerCase(),
  score: (box) => box.score,
  area: (box) => box.area,
  place: (box) => -box.place[1] * (box.place_unit === "px" ? -1 : 1), // from the top
};

function sorted(boxes) {
  const value = SORT_VALUES[sorting.by];
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0) * (sorting.down ? -1 : 1);
  const [some, none] = [boxes.filter((box) => value(box) != null), boxes.filter((box) => value(box) == null)];
  return [...some.sort((a, b) => order(value(a), value(b))), ...none];
}

function showResults(boxes) {
  const total = layers().flatMap(boxesOf).length;
  element.querySelector(".gr-count").textContent = total ? boxes.length + " of " + plural(total, "box") + " shown" : "no boxes yet";
  element.querySelector(".gr-what").textContent = selected.size ? "Export " + selected.size + " selected:" : "Export:";
  element.querySelectorAll("[data-kind]").forEach((button) => (button.disabled = !boxes.length));
  element.querySelectorAll("[data-do]").forEach((button) => (button.disabled = !selected.size));
  element.querySelector(".gr-toggle").setAttribute("aria-expanded", state.open);
  body.hidden = !state.open;
  if (!state.open) return;
  element.querySelector(".gr-threshold output").textContent = state.threshold + " %";
  element.querySelector(".gr-threshold input").value = state.threshold;
  const filter = element.querySelector(".gr-filter");
  if (filter.value !== state.filter) filter.value = state.filter;
  showLayers();
  showRows(sorted(boxes));
}

function showLayers() {
  const list = element.querySelector(".gr-layers");
  const focused = list.contains(document.activeElement) && document.activeElement.dataset.control;
  list.replaceChildren(...layers().reverse().map(layerNode));
  if (focused) list.querySelector('[data-control="' + focused + '"]')?.focus();
}

function layerNode(exchange) {
  const item = node("li", "gr-layer");
  const label = node("label");
  const box = node("input");
  box.type = "checkbox";
  box.checked = isShown(exchange);
  box.dataset.control = "show-" + exchange.id;
  box.addEventListener("change", () => showLayer(exchange.id, box.checked));
  const title = exchange.id + ". " + titleOf(exchange);
  const name = node("span", "gr-layer-name", title);
  name.title = title;
  label.append(box, name, node("span", "gr-layer-count", boxesOf(exchange).length));
  const opacity = node("input", "gr-opacity");
  Object.assign(opacity, { type: "range", min: 0.1, max: 1, step: 0.1 });
  opacity.value = state.opacity[exchange.id] ?? 1;
  opacity.title = "Opacity";
  opacity.setAttribute("aria-label", "Opacity of " + title);
  opacity.dataset.control = "opacity-" + exchange.id;
  opacity.addEventListener("change", () => {
    state.opacity[exchange.id] = Number(opacity.value);
    update();
  });
  item.append(label, opacity);
  return item;
}

function showRows(boxes) {
  const focused = rows.contains(document.activeElement) && document.activeElement.dataset.control;
  const index = [...rows.children].findIndex((row) => row.contains(document.activeElement));
  rows.replaceChildren(...boxes.slice(0, MAX_ROWS).map(rowNode));
  if (focused) (rows.querySelector('[data-control="' + focused + '"]') ?? rows.children[Math.min(index, rows.children.length - 1)]?.querySelector("button") ?? all).focus();
  const beyond = boxes.length - MAX_ROWS;
  const none = element.querySelector(".gr-none");
  none.hidden = boxes.length > 0 && beyond <= 0;
  none.textContent = beyond > 0 ? plural(beyond, "more box") + "; filter or raise the score to list them." : "No boxes are shown.";
  all.checked = boxes.length > 0 && boxes.every((box) => selected.has(box.key));
  all.indeterminate = selected.size > 0 && !all.checked;
  element.querySelectorAll("th[data-sort]").forEach((head) => {
    const by = head.dataset.sort === sorting.by;
    head.setAttribute("aria-sort", by ? (sorting.down ? "descending" : "ascending") : "none");
  });
}

function rowNode(box) {
  const row = node("tr", selected.has(box.key) ? "selected" : "");
  row.dataset.key = box.key;
  row.style.setProperty("--colour", box.colour);
  const choose = node("input");
  choose.type = "checkbox";
  choose.checked = selected.has(box.key);
  choose.dataset.control = "choose-" + box.key;
  const number = (box.asked ? "region " : "") + box.number;
  choose.setAttribute("aria-label", "Select box " + number + " of answer " + box.exchange.id);
  choose.addEventListener("change", () => select(box.key, choose.checked));
  const phrase = node("button", "", nameOf(box));
  phrase.type = "button";
  phrase.title = "Go to this box; Delete removes it from the results";
  phrase.dataset.control = "go-" + box.key;
  const cells = [choose, node("span", "gr-number", number), phrase, scoreText(box), areaText(box), placeText(box)];
  for (const content of cells) {
    const cell = node("td");
    cell.append(content);
    row.append(cell);
  }
  const light = (keys) => () => send("highlight", { keys, from: "results" });
  row.addEventListener("pointerenter", light([box.key]));
  row.addEventListener("pointerleave", light([]));
  phrase.addEventListener("focus", light([box.key]));
  phrase.addEventListener("blur", light([]));
  row.addEventListener("click", (event) => event.target !== choose && goTo([box]));
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    deleteBoxes([box.key]);
  });
  return row;
}

function select(key, on) {
  on ? selected.add(key) : selected.delete(key);
  update();
}

function goTo(boxes) {
  send("go-to", { points: boxes.flatMap((box) => box.points) });
  send("highlight", { keys: boxes.map((box) => box.key), from: "results" });
}
