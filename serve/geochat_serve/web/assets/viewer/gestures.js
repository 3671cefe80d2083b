// Mouse, pen and touch: one pointer pans, draws, moves, resizes or rotates; two zoom.

const stage = element.querySelector(".gv-stage");
const pointers = new Map();
let gesture = null; // {kind, ...} of the gesture in progress
let drawing = false; // whether the next drag draws a region

function local(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const near = (a, b, reach) => Math.hypot(a[0] - b[0], a[1] - b[1]) <= reach;

function setDrawing(on) {
  drawing = on;
  element.querySelector(".gv").dataset.mode = on ? "draw" : "pan";
  const byTouch = window.matchMedia("(pointer: coarse)").matches;
  const how = byTouch ? "Drag a finger over the region" : "Drag to draw a region. Enter places one in the middle, Esc cancels.";
  hint(on ? how : "");
  updateBar();
}

// The gesture that a pointer at `screen` starts.
function hitTest(screen, coarse) {
  const point = camera.toImage(screen);
  const chosen = regions.get(regions.selected);
  const reach = coarse ? 22 : 11;
  if (chosen) {
    const side = knobSide(chosen);
    if (near(screen, knobPoint(chosen, side), reach)) return { kind: "rotate", region: chosen, side };
    const handle = HANDLES.find((h) => near(screen, camera.toScreen(pointAt(chosen, h)), reach));
    if (handle) return { kind: "resize", region: chosen, handle };
  }
  const region = [...regions.list].reverse().find((other) => contains(other, point));
  return region ? { kind: "move", region, from: point } : { kind: "pan", at: screen };
}

stage.addEventListener("pointerdown", (event) => {
  if (!camera.scene || event.target.closest(".gv-open") || (event.pointerType === "mouse" && event.button === 2)) return;
  stage.setPointerCapture(event.pointerId);
  const screen = local(event);
  pointers.set(event.pointerId, screen);
  if (pointers.size === 2) {
    gesture = { kind: "pinch" };
    return;
  }
  if (pointers.size > 2) return;
  if (event.button === 1) gesture = { kind: "pan", at: screen };
  else if (drawing || event.shiftKey) gesture = { kind: "draw", from: camera.toImage(screen), start: screen };
  else gesture = hitTest(screen, event.pointerType !== "mouse");
  gesture.began = screen;
  if (gesture.region) {
    regions.selected = gesture.region.id;
    drawShapes();
    updateBar();
  }
});

stage.addEventListener("pointermove", (event) => {
  const screen = local(event);
  showCursor(screen);
  if (!pointers.has(event.pointerId)) {
    if (camera.scene && event.pointerType === "mouse" && !event.target.closest(".gv-open")) hover(screen);
    return;
  }
  const before = [...pointers.values()];
  pointers.set(event.pointerId, screen);
  if (gesture?.kind === "pinch") pinch(before, [...pointers.values()]);
  else if (gesture) drag(screen, event.shiftKey);
});

function pinch([a, b], [c, d]) {
  const middle = (p, q) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  const spread = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]) || 1;
  const [from, to] = [middle(a, b), middle(c, d)];
  camera.pan(to[0] - from[0], to[1] - from[1]);
  camera.zoomAt(spread(c, d) / spread(a, b), to);
  refresh();
}

function drag(screen, shift) {
  const point = camera.toImage(screen);
  if (gesture.kind === "pan") {
    camera.pan(screen[0] - gesture.at[0], screen[1] - gesture.at[1]);
    gesture.at = screen;
    refresh();
    return;
  }
  if (gesture.kind === "draw") {
    if (!gesture.region && near(screen, gesture.start, 4)) return;
    gesture.region ??= regions.add(fromCorners(gesture.from, point));
    const drawn = { ...fromCorners(gesture.from, point), id: gesture.region.id };
    regions.replace(drawn);
  } else if (gesture.kind === "move") {
    const { region, from } = gesture;
    regions.replace({ ...region, cx: region.cx + point[0] - from[0], cy: region.cy + point[1] - from[1] });
  } else if (gesture.kind === "resize") {
    regions.replace(resized(gesture.region, gesture.handle, point));
  } else if (gesture.kind === "rotate") {
    regions.replace(rotatedTowards(gesture.region, point, shift ? 15 : 1, gesture.side));
  }
  drawShapes();
  publishSoon();
}

function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  const ended = gesture;
  gesture = null;
  if (!ended) return;
  const still = ended.began && near(local(event), ended.began, 4);
  if (ended.kind === "draw") {
    const drawn = regions.get(ended.region?.id);
    if (drawn && Math.min(drawn.w, drawn.h) * camera.scale < 4) regions.remove(drawn.id);
    setDrawing(false);
  } else if (ended.kind === "pan" && still) {
    const box = boxAt(camera.toImage(ended.began));
    if (regions.selected && !box) regions.selected = null;
    highlight(box ? [box.key] : []);
  }
  drawShapes();
  updateBar();
  publish();
}
stage.addEventListener("pointerup", release);
stage.addEventListener("pointercancel", release);
stage.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "touch") return; // a tap ends with it
  if (!pointers.size) highlight([]);
});

function hover(screen) {
  const hit = drawing ? { kind: "draw" } : hitTest(screen, false);
  stage.dataset.gesture = hit.kind;
  const box = hit.kind === "pan" ? boxAt(camera.toImage(screen)) : null;
  highlight(box ? [box.key] : []);
}

stage.addEventListener(
  "wheel",
  (event) => {
    if (!camera.scene || event.target.closest(".gv-open")) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    camera.zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018)), local(event));
    refresh();
  },
  { passive: false },
);

stage.addEventListener("dblclick", (event) => {
  if (!camera.scene || event.target.closest(".gv-open")) return;
  camera.zoomAt(2, local(event));
  refresh();
});
