// Regions and boxes as SVG over the picture. Whatever a model wrote is set as text, never as markup.

const layer = element.querySelector(".gv-shapes");
const tip = element.querySelector(".gv-tip");
const answers = { boxes: [], shown: true, highlighted: [] }; // boxes as the results show them; keys
const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];
const KNOB = 26; // pixels from a side to the rotation knob
let tagSize = 1; // numbers are larger on large screens

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
  tagSize = Number(getComputedStyle(layer).getPropertyValue("--gv-scale")) || 1;
  if (!camera.scene) return;
  if (boxesShown()) answers.boxes.forEach(drawBox);
  regions.list.forEach(drawRegion);
  if (focused) layer.querySelector('[data-region="' + focused + '"]')?.focus({ preventScroll: true });
  updateTip();
}

const boxesShown = () => answers.shown && !regions.stashed;
const isHighlighted = (box) => answers.highlighted.includes(box.key);

function drawBox(box) {
  const names = ["gv-box", isHighlighted(box) && "highlighted", box.asked && "asked", box.selected && "selected"];
  const group = svg("g", { class: names.filter(Boolean).join(" "), "data-key": box.key, opacity: box.opacity });
  const [x, y] = camera.toScreen(box.points[0]);
  const [name, shape] = box.points.length === 1 ? ["circle", { cx: x, cy: y, r: 6 }] : ["polygon", { points: onScreen(box.points) }];
  svg(name, { ...shape, class: "under" }, group);
  svg(name, { ...shape, class: "over", stroke: box.colour, fill: box.colour }, group);
  drawNumber(box, group);
}

// The number of a box as in the text, at its topmost corner, and on the stage as long as any of the box is.
function drawNumber(box, group) {
  const points = box.points.map((point) => camera.toScreen(point));
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  if (Math.max(...xs) < 0 || Math.max(...ys) < 0 || Math.min(...xs) > camera.width || Math.min(...ys) > camera.height) return;
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const text = box.asked ? "region " + box.number : String(box.number);
  const [width, height] = [9 + (box.asked ? 6.4 : 7.6) * text.length, 17];
  const left = Math.min(Math.max(x - (tagSize * width) / 2, 0), camera.width - tagSize * width);
  const top = Math.min(Math.max(y - tagSize * height - 3, 0), camera.height - tagSize * height);
  const tag = svg("g", { class: "tag", transform: "translate(" + left.toFixed(1) + " " + top.toFixed(1) + ")" }, group);
  svg("rect", { width, height, rx: 4, fill: box.colour }, tag);
  svg("text", { x: width / 2, y: 12.5 }, tag).textContent = text;
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
  const width = 10 + 8 * String(index + 1).length;
  svg("rect", { width, height: 17, rx: 4 }, tag);
  svg("text", { x: width / 2, y: 12.5 }, tag).textContent = index + 1;
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
  if (!boxesShown()) return null;
  const near = (box) => box.points.length === 1 && Math.hypot(box.points[0][0] - point[0], box.points[0][1] - point[1]) * camera.scale < 8;
  const found = answers.boxes.filter((box) => near(box) || contains(fromPoints(box.points), point));
  const area = (box) => { const r = fromPoints(box.points); return r.w * r.h; };
  return found.sort((a, b) => area(a) - area(b))[0] ?? null;
}

function highlight(keys, notify = true) {
  if (answers.highlighted.join() === keys.join()) return;
  answers.highlighted = keys;
  layer.querySelectorAll(".gv-box").forEach((node) => node.classList.toggle("highlighted", keys.includes(node.dataset.key)));
  updateTip();
  if (notify) send("highlight", { keys, from: "viewer" });
}

function updateTip() {
  const box = boxesShown() && answers.boxes.find(isHighlighted);
  tip.hidden = !box;
  if (!box) return;
  const others = answers.boxes.filter(isHighlighted).length - 1;
  const score = box.score == null ? "" : " · " + Math.round(box.score * 100) + " % confidence in its words";
  const name = box.asked ? "asked about" : "[" + box.number + "] " + (box.phrase || "box");
  tip.textContent = name + (others ? " and " + others + " more" : score);
  const points = box.points.map((point) => camera.toScreen(point));
  const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const half = tip.offsetWidth / 2;
  const left = Math.max(Math.min(top[0], camera.width - half), half);
  tip.style.transform = "translate(-50%, -100%) translate(" + left + "px," + Math.max(top[1] - 24, 30) + "px)";
}

listen("highlight", ({ keys, from }) => from !== "viewer" && highlight(keys, false));

listen("show-boxes", ({ boxes }) => {
  answers.boxes = boxes;
  answers.highlighted = answers.highlighted.filter((key) => boxes.some((box) => box.key === key));
  drawShapes();
});

// Zoom to points, or to a window of the image.
listen("go-to", ({ points, window: view }) => {
  if (!camera.scene) return;
  if (points) {
    const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
    camera.show([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], 0.6);
  } else camera.show([view[0], view[1], view[0] + view[2], view[1] + view[3]], 0.96);
  refresh();
});

listen("edit-boxes", ({ boxes }) => {
  if (boxes) regions.startCorrection(boxes);
  else regions.endCorrection();
  hint(boxes ? "Correcting: move, resize, rotate or delete boxes, or draw one" : "");
  drawShapes();
  updateBar();
});

// The correction editor asks for the boxes as they are now.
listen("get-boxes", (detail) => (detail.boxes = regions.stashed ? regions.list.map(toNumbers) : null));
listen("get-shown", (detail) => (detail.hidden = !answers.shown));
