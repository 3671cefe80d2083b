// The boxes of all answers as layers. What is shown here is on the image, in the table and in exports; nothing else is.

const KEPT = "geochat-results";
const state = {
  open: false, // whether the panel is
  chosen: {}, // exchange -> whether the user shows its layer; without a choice, only the latest layer is shown
  opacity: {}, // exchange -> 0.1 to 1
  deleted: [], // keys of boxes
  threshold: 0, // least score; boxes without one are always shown
  filter: "",
};
let exchanges = [];
let selected = new Set(); // keys
let known = false; // whether the answers have been told

try {
  Object.assign(state, JSON.parse(sessionStorage.getItem(KEPT) || "{}"));
} catch {
  sessionStorage.removeItem(KEPT);
}

const boxesOf = (exchange) => [...exchange.boxes, ...exchange.asked].map((box) => ({ ...box, exchange }));
const layers = () => exchanges.filter((exchange) => exchange.boxes.length + exchange.asked.length);
const titleOf = (exchange) => exchange.question || exchange.task;

function isShown(exchange) {
  return state.chosen[exchange.id] ?? exchange.id === layers().at(-1)?.id;
}

// The boxes that are shown, oldest answer first.
function shownBoxes() {
  const words = state.filter.trim().toLowerCase();
  const matches = (box) => !words || (nameOf(box) + "\n" + titleOf(box.exchange)).toLowerCase().includes(words);
  return layers()
    .filter(isShown)
    .flatMap(boxesOf)
    .filter((box) => !state.deleted.includes(box.key))
    .filter((box) => box.score == null || box.score * 100 >= state.threshold)
    .filter(matches);
}

const nameOf = (box) => (box.asked ? "region asked about" : box.phrase || "box");

function showLayer(exchange, on) {
  state.chosen[exchange] = on;
  update();
}

function setDeleted(keys, on) {
  const others = state.deleted.filter((key) => !keys.includes(key));
  state.deleted = on ? [...others, ...keys] : others;
  update();
}

// Delete boxes from the results; the answer keeps its words.
function deleteBoxes(keys) {
  setDeleted(keys, true);
  send("did", {
    label: keys.length === 1 ? "deleted box" : "deleted " + keys.length + " boxes",
    tag: "results",
    undo: () => setDeleted(keys, false),
    redo: () => setDeleted(keys, true),
  });
}

// Tell the other parts, and keep the state in the tab.
function update() {
  const boxes = shownBoxes();
  const keys = new Set(boxes.map((box) => box.key));
  selected = new Set([...selected].filter((key) => keys.has(key)));
  const drawn = boxes.map((box) => ({
    ...box,
    exchange: undefined,
    opacity: state.opacity[box.exchange.id] ?? 1,
    selected: selected.has(box.key),
  }));
  send("show-boxes", { boxes: drawn });
  send("layers", { shown: new Set(layers().filter(isShown).map((exchange) => exchange.id)) });
  if (known) sessionStorage.setItem(KEPT, JSON.stringify(state));
  showResults(boxes);
}

listen("answers", (told) => {
  exchanges = told.exchanges;
  known = true;
  update();
});

// The answers of another session have the same numbers, so what was kept of these is forgotten.
listen("new-session", () => {
  Object.assign(state, { chosen: {}, opacity: {}, deleted: [] });
  update();
});

listen("show-layer", ({ exchange, key, shown = true }) => {
  const id = exchange ?? Number(key.split("-")[0]);
  const layer = exchanges.find((other) => other.id === id);
  if (layer && isShown(layer) !== shown) showLayer(id, shown);
});
listen("viewer-ready", () => update());
