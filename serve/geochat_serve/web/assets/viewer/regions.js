// The regions the user drew or, during a correction, the boxes of the answer; and the state sent to the server.

const regions = {
  list: [], // {id, cx, cy, w, h, angle}
  selected: null, // id
  stashed: null, // the user's regions during a correction
  lastId: 0,

  get(id) {
    return this.list.find((region) => region.id === id);
  },

  add(region) {
    const added = { ...region, id: ++this.lastId };
    this.list.push(added);
    this.selected = added.id;
    return added;
  },

  replace(region) {
    this.list = this.list.map((other) => (other.id === region.id ? region : other));
  },

  remove(id) {
    const index = this.list.findIndex((region) => region.id === id);
    this.list = this.list.filter((region) => region.id !== id);
    this.selected = this.list[Math.min(index, this.list.length - 1)]?.id ?? null;
  },

  clear() {
    this.endCorrection();
    this.list = [];
    this.selected = null;
  },

  // Edit the boxes of an answer instead of the user's regions.
  startCorrection(boxes) {
    this.stashed ??= this.list;
    this.list = [];
    boxes.forEach((box) => this.add(fromPoints(box.points)));
    this.selected = this.list[0]?.id ?? null;
  },

  // Return to the user's regions.
  endCorrection() {
    if (!this.stashed) return;
    this.list = this.stashed;
    this.stashed = this.selected = null;
  },
};

// Publish the state: the server gets it with the next question.
let publishedCount = 0;
let publishTimer = null;
function publish() {
  clearTimeout(publishTimer);
  publishTimer = null;
  if (!camera.scene) return;
  const own = regions.stashed ?? regions.list;
  props.value = JSON.stringify({
    scene: camera.scene.id,
    regions: own.map(toNumbers),
    window: camera.window(),
  });
  if (own.length !== publishedCount) {
    publishedCount = own.length;
    trigger("regions_changed", { count: publishedCount });
  }
}
function publishSoon() {
  clearTimeout(publishTimer);
  publishTimer = setTimeout(publish, 120);
}
// A user who turns to the rest of the page may ask at once.
for (const kind of ["pointerdown", "focusin"]) {
  document.addEventListener(kind, (event) => publishTimer && !element.contains(event.target) && publish(), true);
}

// Regions and boxes as SVG over the picture. Whatever a model wrote is set as text, never as markup.
const layer = element.querySelector(".gv-shapes");
const tip = element.querySelector(".gv-tip");
const answers = { boxes: [], shown: true, highlighted: null };
const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];
const KNOB = 26; // pixels from a side to the rotation knob

function svg(name, attributes, parent = layer) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

const onScreen = (points) => points.map((point) => camera.toScreen(point).map((v) => v.toFixed(2)).join(",")).join(" ");

function knobPoint(region, side) {
  const [x, y] = camera.toScreen(pointAt(region, [0, side]));
  const [dx, dy] = rotatePoint([0, side * KNOB], region.angle);
  return [x + dx, y + dy];
}

// The knob is at the top side (-1), or at the bottom (1) if the top one would be off the stage.
function knobSide(region) {
  if (gesture?.kind === "rotate") return gesture.side;
  const visible = ([x, y]) => x > 0 && y > 0 && x < camera.width && y < camera.height;
  return !visible(knobPoint(region, -1)) && visible(knobPoint(region, 1)) ? 1 : -1;
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
  const isHighlighted = answers.highlighted && box.key === answers.highlighted;
  const group = svg("g", { class: "gv-box" + (isHighlighted ? " highlighted" : "") + (box.asked ? " asked" : ""), "data-key": box.key });
  const [x, y] = camera.toScreen(box.points[0]);
  const [name, shape] = box.points.length === 1 ? ["circle", { cx: x, cy: y, r: 6 }] : ["polygon", { points: onScreen(box.points) }];
  svg(name, { ...shape, class: "under" }, group);
  svg(name, { ...shape, class: "over", stroke: box.colour, fill: box.colour }, group);
}

function drawRegion(region, index) {
  const chosen = region.id === regions.selected;
  const kind = regions.stashed ? "Box" : "Region";
  const group = svg("g", {
    class: "gv-region" + (chosen ? " chosen" : ""),
    "data-region": region.id,
    tabindex: 0,
    role: "button",
    "aria-pressed": chosen,
    "aria-label": kind + " " + (index + 1) + ": " + Math.round(region.w) + " by " + Math.round(region.h) +
      " pixels, rotated by " + Math.round(region.angle) + " degrees. Arrows move it, Alt and arrows resize it, brackets rotate it.",
  });
  const points = onScreen(corners(region));
  svg("polygon", { points, class: "under" }, group);
  svg("polygon", { points, class: "over" }, group);
  const [x, y] = camera.toScreen(pointAt(region, [-1, -1]));
  const tag = svg("g", { class: "tag", transform: "translate(" + x.toFixed(1) + " " + (y - 20).toFixed(1) + ")" }, group);
  svg("rect", { width: 10 + 8 * String(index + 1).length, height: 17, rx: 4 }, tag);
  svg("text", { x: 5, y: 12.5 }, tag).textContent = index + 1;
  if (!chosen) return;
  const side = knobSide(region);
  const knob = knobPoint(region, side);
  const [tx, ty] = camera.toScreen(pointAt(region, [0, side]));
  svg("line", { x1: tx, y1: ty, x2: knob[0], y2: knob[1], class: "stem" }, group);
  svg("circle", { cx: knob[0], cy: knob[1], r: 7, class: "knob" }, group);
  const small = Math.min(region.w, region.h) * camera.scale < 40;
  for (const handle of HANDLES) {
    if (small && handle.includes(0)) continue;
    const [hx, hy] = camera.toScreen(pointAt(region, handle));
    svg("circle", { cx: hx, cy: hy, r: 5, class: "handle" }, group);
  }
}

// The smallest answer box at a point, so that a box inside another can be reached.
function boxAt(point) {
  if (!answers.shown || regions.stashed) return null;
  const near = (box) => box.points.length === 1 && Math.hypot(box.points[0][0] - point[0], box.points[0][1] - point[1]) * camera.scale < 8;
  const found = answers.boxes.filter((box) => near(box) || contains(fromPoints(box.points), point));
  const area = (box) => { const r = fromPoints(box.points); return r.w * r.h; };
  return found.sort((a, b) => area(a) - area(b))[0] ?? null;
}

function highlight(key, notify = true) {
  if (answers.highlighted === key) return;
  answers.highlighted = key;
  layer.querySelectorAll(".gv-box").forEach((node) => node.classList.toggle("highlighted", node.dataset.key === key));
  updateTip();
  if (notify) document.dispatchEvent(new CustomEvent("geochat:highlight", { detail: { key, from: "viewer" } }));
}

function updateTip() {
  const box = answers.shown && !regions.stashed && answers.boxes.find((other) => other.key === answers.highlighted);
  tip.hidden = !box;
  if (!box) return;
  const score = box.score == null ? "" : " · " + Math.round(box.score * 100) + " % confidence in its words";
  tip.textContent = (box.asked ? "asked about" : "[" + box.number + "] " + (box.phrase || "box")) + score;
  const points = box.points.map((point) => camera.toScreen(point));
  const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const left = Math.min(Math.max(top[0], 60), camera.width - 60);
  tip.style.transform = "translate(-50%, -100%) translate(" + left + "px," + Math.max(top[1] - 8, 30) + "px)";
}

document.addEventListener("geochat:highlight", ({ detail }) => {
  if (detail.from !== "viewer") highlight(detail.key, false);
});

document.addEventListener("geochat:show-boxes", ({ detail }) => {
  answers.boxes = detail.boxes;
  if (answers.highlighted && !answers.boxes.some((box) => box.key === answers.highlighted)) answers.highlighted = null;
  drawShapes();
});

document.addEventListener("geochat:edit-boxes", ({ detail }) => {
  if (detail.boxes) regions.startCorrection(detail.boxes);
  else regions.endCorrection();
  hint(detail.boxes ? "Correcting: move, resize, rotate or delete boxes; press R to draw one" : "");
  drawShapes();
  updateBar();
});

// The correction editor asks for the boxes as they are now.
document.addEventListener("geochat:get-boxes", ({ detail }) => {
  detail.boxes = regions.stashed ? regions.list.map(toNumbers) : null;
});
