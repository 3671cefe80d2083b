// Layers over the image: shapes in pixels of the image, drawn on a canvas of the viewer's stage. There may be a hundred
// thousand of them, so only what is in view is drawn, and what is smaller than three pixels becomes a dot.

const COLOURS = ["#56B4E9", "#F0E442", "#CC79A7", "#E69F00", "#D55E00", "#FFFFFF"];
const layers = []; // {id, image_id, name, colour, shown, opacity, shapes, boxes}
let camera = null;
let canvas = null;
let tip = null;
let frame = null;

// A layer from shapes {type, parts, label}; parts are rings, lines or single points.
function makeLayer({ id, image_id, name, shapes, ...rest }) {
  const boxes = new Float64Array(shapes.length * 4); // left, top, right, bottom
  shapes.forEach((shape, number) => {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const part of shape.parts) {
      for (const [x, y] of part) {
        if (x < box[0]) box[0] = x;
        if (y < box[1]) box[1] = y;
        if (x > box[2]) box[2] = x;
        if (y > box[3]) box[3] = y;
      }
    }
    boxes.set(box, number * 4);
  });
  return { id, image_id, name, shapes, boxes, shown: true, opacity: 1, ...rest };
}

const visible = (layer) => layer.shown && layer.opacity > 0 && layer.image_id === camera?.scene?.image_id;

function paint() {
  frame = null;
  if (!camera || !canvas) return;
  const dpr = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(camera.width * dpr), Math.round(camera.height * dpr)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.setTransform(dpr, 0, 0, dpr, 0, 0);
  pen.clearRect(0, 0, camera.width, camera.height);
  if (!camera.scene) return;
  layers.filter(visible).forEach((layer) => paintLayer(pen, layer));
  paintTools(pen);
}

function paintLayer(pen, layer) {
  const [left, top] = camera.toImage([0, 0]);
  const [right, bottom] = camera.toImage([camera.width, camera.height]);
  const { boxes, shapes } = layer;
  const [closed, open] = [new Path2D(), new Path2D()];
  const dots = [];
  for (let number = 0, at = 0; number < shapes.length; number++, at += 4) {
    if (boxes[at] > right || boxes[at + 1] > bottom || boxes[at + 2] < left || boxes[at + 3] < top) continue;
    const size = Math.max(boxes[at + 2] - boxes[at], boxes[at + 3] - boxes[at + 1]) * camera.scale;
    const shape = shapes[number];
    if (size < 3) {
      dots.push([boxes[at], boxes[at + 1]], [boxes[at + 2], boxes[at + 3]]);
      continue;
    }
    for (const part of shape.parts) trace(shape.type === "polygon" ? closed : open, part, shape.type === "polygon");
  }
  pen.globalAlpha = layer.opacity;
  pen.lineJoin = "round";
  for (const [colour, lineWidth] of [["#101010", 4], [layer.colour, 2]]) {
    [pen.strokeStyle, pen.lineWidth] = [colour, lineWidth];
    pen.stroke(closed);
    pen.stroke(open);
  }
  for (let at = 0; at < dots.length; at += 2) {
    const [x1, y1] = camera.toScreen(dots[at]);
    const [x2, y2] = camera.toScreen(dots[at + 1]);
    pen.fillStyle = layer.colour;
    pen.fillRect((x1 + x2) / 2 - 1.5, (y1 + y2) / 2 - 1.5, 3, 3);
  }
  pen.globalAlpha = 1;
}

function trace(path, part, close) {
  part.forEach((point, number) => {
    const [x, y] = camera.toScreen(point);
    if (number) path.lineTo(x, y);
    else path.moveTo(x, y);
  });
  if (close) path.closePath();
}

const paintSoon = () => (frame ??= requestAnimationFrame(paint));

// The topmost shape at a point of the image, the smallest of its layer.
function shapeAt([x, y]) {
  const reach = 4 / camera.scale;
  for (const layer of layers.filter(visible).reverse()) {
    let best = null;
    let least = Infinity;
    const { boxes, shapes } = layer;
    for (let number = 0, at = 0; number < shapes.length; number++, at += 4) {
      if (x < boxes[at] - reach || y < boxes[at + 1] - reach || x > boxes[at + 2] + reach || y > boxes[at + 3] + reach) continue;
      const area = (boxes[at + 2] - boxes[at]) * (boxes[at + 3] - boxes[at + 1]);
      if (area < least && (shapes[number].type !== "polygon" || inside(shapes[number].parts, x, y))) [best, least] = [shapes[number], area];
    }
    if (best) return best;
  }
  return null;
}

// Even-odd rule, so holes are outside.
function inside(rings, x, y) {
  let odd = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [[xi, yi], [xj, yj]] = [ring[i], ring[j]];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
    }
  }
  return odd;
}

function showTip(event) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const shape = camera?.scene && !event.target.closest(".gv-open") ? shapeAt(camera.toImage([x, y])) : null;
  tip.hidden = !shape?.label;
  if (tip.hidden) return;
  tip.textContent = shape.label;
  tip.style.transform = "translate(" + Math.min(x + 14, Math.max(0, camera.width - 220)) + "px," + Math.max(y - 30, 4) + "px)";
}

// The viewer tells its camera with every change of the view; the first time, the canvas is put on its stage.
listen("view", (detail) => {
  camera = detail.camera;
  if (!canvas) {
    const stage = document.querySelector(".gv-stage");
    canvas = node("canvas", { className: "gy-canvas", ariaHidden: "true" });
    tip = node("div", { className: "gy-tip", role: "tooltip", hidden: true });
    stage.querySelector(".gv-canvas").after(canvas);
    stage.append(tip);
    stage.addEventListener("pointermove", showTip);
    stage.addEventListener("pointerleave", () => (tip.hidden = true));
  }
  paintSoon();
});
