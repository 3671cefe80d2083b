// Regions and boxes as vectors over the picture. Whatever a model wrote is set as text, never as markup.

const layer = element.querySelector(".gv-shapes");
const tip = element.querySelector(".gv-tip");
const answers = { boxes: [], shown: true, lit: null };
const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];
const KNOB = 26; // pixels from a side to the knob that turns

function make(name, attributes, parent = layer) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

const onScreen = (points) => points.map((point) => camera.toScreen(point).map((v) => v.toFixed(2)).join(",")).join(" ");

function knobOf(region, side) {
  const [x, y] = camera.toScreen(at(region, [0, side]));
  const [dx, dy] = turned([0, side * KNOB], region.angle);
  return [x + dx, y + dy];
}

// The knob is at the top side (-1), or at the bottom (1) where the top one would be off the stage.
function knobSide(region) {
  if (gesture?.kind === "turn") return gesture.side;
  const seen = ([x, y]) => x > 0 && y > 0 && x < camera.width && y < camera.height;
  return !seen(knobOf(region, -1)) && seen(knobOf(region, 1)) ? 1 : -1;
}

function drawShapes() {
  const focused = layer.contains(document.activeElement) ? document.activeElement.dataset.region : null;
  layer.replaceChildren();
  if (!camera.scene) return;
  if (answers.shown && !regions.stashed) answers.boxes.forEach(drawBox);
  regions.list.forEach(drawRegion);
  if (focused) layer.querySelector('[data-region="' + focused + '"]')?.focus({ preventScroll: true });
  updateTip();
}

function drawBox(box) {
  const lit = answers.lit && box.key === answers.lit;
  const group = make("g", { class: "gv-box" + (lit ? " lit" : "") + (box.asked ? " asked" : ""), "data-key": box.key });
  const points = onScreen(box.points);
  make("polygon", { points, class: "under" }, group);
  make("polygon", { points, class: "over", stroke: box.colour, fill: box.colour }, group);
}

function drawRegion(region, index) {
  const chosen = region.id === regions.selected;
  const what = regions.stashed ? "Box" : "Region";
  const group = make("g", {
    class: "gv-region" + (chosen ? " chosen" : ""),
    "data-region": region.id,
    tabindex: 0,
    role: "button",
    "aria-pressed": chosen,
    "aria-label": what + " " + (index + 1) + ": " + Math.round(region.w) + " by " + Math.round(region.h) +
      " pixels, turned " + Math.round(region.angle) + " degrees. Arrows move it, Alt and arrows resize it, brackets turn it.",
  });
  const points = onScreen(corners(region));
  make("polygon", { points, class: "under" }, group);
  make("polygon", { points, class: "over" }, group);
  const [x, y] = camera.toScreen(at(region, [-1, -1]));
  const tag = make("g", { class: "tag", transform: "translate(" + x.toFixed(1) + " " + (y - 20).toFixed(1) + ")" }, group);
  make("rect", { width: 10 + 8 * String(index + 1).length, height: 17, rx: 4 }, tag);
  make("text", { x: 5, y: 12.5 }, tag).textContent = index + 1;
  if (!chosen) return;
  const side = knobSide(region);
  const knob = knobOf(region, side);
  const [tx, ty] = camera.toScreen(at(region, [0, side]));
  make("line", { x1: tx, y1: ty, x2: knob[0], y2: knob[1], class: "stem" }, group);
  make("circle", { cx: knob[0], cy: knob[1], r: 7, class: "knob" }, group);
  const small = Math.min(region.w, region.h) * camera.scale < 40;
  for (const handle of HANDLES) {
    if (small && handle.includes(0)) continue;
    const [hx, hy] = camera.toScreen(at(region, handle));
    make("circle", { cx: hx, cy: hy, r: 5, class: "handle" }, group);
  }
}

// The topmost answer box at a point: the smallest, so that one inside another can be reached.
function boxAt(point) {
  if (!answers.shown || regions.stashed) return null;
  const found = answers.boxes.filter((box) => contains(fromPoints(box.points), point));
  const area = (box) => { const r = fromPoints(box.points); return r.w * r.h; };
  return found.sort((a, b) => area(a) - area(b))[0] ?? null;
}

function light(key, tellOthers = true) {
  if (answers.lit === key) return;
  answers.lit = key;
  layer.querySelectorAll(".gv-box").forEach((node) => node.classList.toggle("lit", node.dataset.key === key));
  updateTip();
  if (tellOthers) document.dispatchEvent(new CustomEvent("geochat:light", { detail: { key, from: "viewer" } }));
}

function updateTip() {
  const box = answers.shown && !regions.stashed && answers.boxes.find((other) => other.key === answers.lit);
  tip.hidden = !box;
  if (!box) return;
  const score = box.score == null ? "" : " · " + Math.round(box.score * 100) + " % sure of its words";
  tip.textContent = (box.asked ? "asked about" : "[" + box.number + "] " + (box.phrase || "box")) + score;
  const points = box.points.map((point) => camera.toScreen(point));
  const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const left = Math.min(Math.max(top[0], 60), camera.width - 60);
  tip.style.transform = "translate(-50%, -100%) translate(" + left + "px," + Math.max(top[1] - 8, 30) + "px)";
}

document.addEventListener("geochat:light", ({ detail }) => {
  if (detail.from !== "viewer") light(detail.key, false);
});

document.addEventListener("geochat:answers", ({ detail }) => {
  answers.boxes = detail.boxes;
  if (answers.lit && !answers.boxes.some((box) => box.key === answers.lit)) answers.lit = null;
  drawShapes();
});

document.addEventListener("geochat:correct", ({ detail }) => {
  if (detail.boxes) regions.correct(detail.boxes);
  else regions.endCorrecting();
  hint(detail.boxes ? "Correcting: move, resize, turn or delete boxes; R draws a new one" : "");
  drawShapes();
  updateBar();
});

// The correction editor takes the boxes as they are now.
document.addEventListener("geochat:collect", ({ detail }) => {
  detail.boxes = regions.stashed ? regions.list.map(toNumbers) : null;
});
