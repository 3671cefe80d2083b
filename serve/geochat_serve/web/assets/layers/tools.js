// Measuring, the grid, the north arrow, and going to coordinates.

const measure = { tool: null, points: [], cursor: null }; // points in pixels of the image
let mark = null; // the place last gone to

const toolButtons = [...element.querySelectorAll(".gy-tool")];
const [gridBox, northBox] = [element.querySelector(".gy-grid"), element.querySelector(".gy-north")];

function setTool(tool) {
  Object.assign(measure, { tool, points: [], cursor: null });
  toolButtons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.tool === tool));
  if (tool) document.querySelector(".gv-stage").focus();
  say(tool ? "Click the corners on the image. Backspace takes one back, Esc ends measuring." : "");
  paintSoon();
}

toolButtons.forEach((button) =>
  button.addEventListener("click", () => setTool(measure.tool === button.dataset.tool || !camera?.scene ? null : button.dataset.tool)),
);
for (const box of [gridBox, northBox]) box.addEventListener("change", paintSoon);

// While measuring, a click sets a corner; a drag still pans, and the wheel zooms.
let pressed = null;
function place(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

document.addEventListener("pointerdown", (event) => (pressed = measure.tool && event.target.closest?.(".gv-stage") ? place(event) : null), true);
document.addEventListener("pointermove", (event) => {
  if (!measure.tool || !canvas || !event.target.closest?.(".gv-stage")) return;
  measure.cursor = event.pointerType === "mouse" ? camera.toImage(place(event)) : null;
  paintSoon();
});
document.addEventListener("pointerup", (event) => {
  if (!pressed || !measure.tool) return;
  const here = place(event);
  if (Math.hypot(here[0] - pressed[0], here[1] - pressed[1]) < 5) measure.points.push(camera.toImage(here));
  pressed = null;
  tellMeasure();
  paintSoon();
}, true);
document.addEventListener("keydown", (event) => {
  if (!measure.tool || event.target.closest?.("input, textarea")) return;
  if (event.key === "Escape") setTool(null);
  else if (event.key === "Backspace") measure.points.pop();
  else if (event.key === "Enter") measure.points.push(camera.toImage([camera.width / 2, camera.height / 2]));
  else return;
  event.preventDefault();
  event.stopPropagation();
  if (measure.tool) tellMeasure();
  paintSoon();
}, true);

function measured(points) {
  if (measure.tool === "area") return points.length < 3 ? "" : areaText(areaOf(points));
  return points.length < 2 ? "" : lengthText(lengthOf(points));
}

function tellMeasure() {
  const name = measure.tool === "area" ? "Area: " : "Length: ";
  const text = measured(measure.points);
  if (text) say(name + text);
}

function paintTools(pen) {
  if (gridBox.checked) paintGrid(pen);
  if (measure.tool) paintMeasure(pen);
  if (mark && mark.image_id === camera.scene.image_id) paintMark(pen, camera.toScreen(mark.point));
  if (northBox.checked && camera.scene.lonlat) paintNorth(pen);
}

function outlined(pen, text, x, y) {
  pen.font = "600 12px ui-sans-serif, system-ui, sans-serif";
  pen.lineWidth = 3.5;
  pen.strokeStyle = "#101010";
  pen.fillStyle = "#ffffff";
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

function strokeTwice(pen, path) {
  for (const [colour, width] of [["#101010", 4], ["#ffffff", 2]]) {
    [pen.strokeStyle, pen.lineWidth] = [colour, width];
    pen.stroke(path);
  }
}

function paintMeasure(pen) {
  const points = measure.cursor ? [...measure.points, measure.cursor] : measure.points;
  const path = new Path2D();
  trace(path, points, measure.tool === "area" && points.length > 2);
  for (const [x, y] of measure.points.map((point) => camera.toScreen(point))) {
    path.moveTo(x + 4, y);
    path.arc(x, y, 4, 0, 2 * Math.PI);
  }
  strokeTwice(pen, path);
  if (points.length > 1) {
    const [x, y] = camera.toScreen(points.at(-1));
    outlined(pen, measured(points), x + 10, y - 8);
  }
}

function paintMark(pen, [x, y]) {
  const path = new Path2D();
  path.arc(x, y, 9, 0, 2 * Math.PI);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(x + dx * 4, y + dy * 4);
    path.lineTo(x + dx * 15, y + dy * 15);
  }
  strokeTwice(pen, path);
}

function paintNorth(pen) {
  const step = Math.max(1, Math.min(camera.scene.width, camera.scene.height) / 64);
  const middle = camera.toImage([camera.width / 2, camera.height / 2]);
  const [dx, dy] = solve(slopes(middle, step), [0, 1]); // to the north, in pixels
  if (!Number.isFinite(dx + dy)) return;
  const angle = Math.atan2(dy, dx);
  const [x, y] = [camera.width - 34, 40];
  const at = (turn, far) => [x + Math.cos(angle + turn) * far, y + Math.sin(angle + turn) * far];
  const path = new Path2D();
  [at(0, 22), at(2.6, 16), at(Math.PI, 7), at(-2.6, 16)].forEach(([px, py], number) => (number ? path.lineTo(px, py) : path.moveTo(px, py)));
  path.closePath();
  pen.fillStyle = "#ffffff";
  pen.fill(path);
  [pen.strokeStyle, pen.lineWidth] = ["#101010", 2];
  pen.stroke(path);
  const [textX, textY] = at(0, 31);
  outlined(pen, "N", textX - 4.5, textY + 4);
}

// Lines at round numbers of the map, or of pixels where the image has no place on Earth.
function paintGrid(pen) {
  const corners = [[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]].map((corner) => toMap(camera.toImage(corner)));
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const most = Math.max(right - left, high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [5, 2, 1].map((factor) => factor * power).find((size) => size <= most) ?? power;
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const screen = (point) => camera.toScreen(camera.scene.affine ? fromMap(point) : point);
  const path = new Path2D();
  const texts = [];
  const line = (from, to, value) => {
    const [a, b] = [screen(from), screen(to)];
    path.moveTo(...a);
    path.lineTo(...b);
    const within = ([x, y]) => [Math.min(Math.max(x, 4), camera.width - 70), Math.min(Math.max(y, 14), camera.height - 6)];
    texts.push([value.toFixed(digits), ...within(a)]);
  };
  for (let x = Math.ceil(left / step) * step; x <= right; x += step) line([x, low], [x, high], x);
  for (let y = Math.ceil(low / step) * step; y <= high; y += step) line([left, y], [right, y], y);
  pen.globalAlpha = 0.6;
  [pen.strokeStyle, pen.lineWidth] = ["#101010", 2.5];
  pen.stroke(path);
  [pen.strokeStyle, pen.lineWidth] = ["#ffffff", 1];
  pen.stroke(path);
  pen.globalAlpha = 1;
  for (const [text, x, y] of texts) outlined(pen, text, x + 3, y - 3);
}

element.querySelector(".gy-goto").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    if (!camera?.scene) throw new Error("No image is open; open one first.");
    const { width, height, image_id } = camera.scene;
    const point = readPlace(element.querySelector(".gy-place").value);
    if (!point || point[0] < 0 || point[1] < 0 || point[0] > width || point[1] > height) throw new Error("That place is not on the image.");
    mark = { point, image_id };
    const reach = Math.max(64, Math.min(width, height) / 50);
    send("go-to", { points: [[point[0] - reach, point[1] - reach], [point[0] + reach, point[1] + reach]] });
    say("");
  } catch (error) {
    say(error.message, true);
  }
});
listen("scene", () => measure.tool && setTool(null));
