// Keys, while the viewer has the focus. Arrows move the selected region or, without one, pan.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

element.querySelector(".gv").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.target.closest(".gv-open")) return;
  const focused = Number(event.target.closest("[data-region]")?.dataset.region);
  if (focused && regions.selected !== focused && event.key !== "Tab") regions.selected = focused;
  const chosen = regions.get(regions.selected);
  const arrow = ARROWS[event.key];
  if (arrow && event.target.closest(".gv-stage")) {
    if (chosen) nudge(chosen, arrow, event);
    else camera.pan(-arrow[0] * (event.shiftKey ? 200 : 50), -arrow[1] * (event.shiftKey ? 200 : 50));
  } else if ((event.key === "[" || event.key === "]") && chosen) {
    const step = (event.key === "]" ? 1 : -1) * (event.shiftKey ? 1 : 5);
    regions.replace({ ...chosen, angle: (chosen.angle + step + 360) % 360 });
  } else if ((event.key === "{" || event.key === "}") && chosen) {
    regions.replace({ ...chosen, angle: (chosen.angle + (event.key === "}" ? 1 : -1) + 360) % 360 });
  } else if ((event.key === "Delete" || event.key === "Backspace") && chosen) {
    regions.remove(chosen.id);
    if (!regions.list.length) stage.focus();
  } else if (event.key === "Escape") {
    if (drawing) setDrawing(false);
    else regions.selected = null;
    highlight([]);
    stage.focus();
  } else if (event.key === "Enter" && drawing) {
    placeInMiddle();
  } else if (event.key === "Enter" && focused) {
    regions.selected = focused;
  } else {
    const action = { r: "draw", f: "fit", 0: "fit", "+": "in", "=": "in", "-": "out", b: "boxes", o: "open" }[event.key.toLowerCase()];
    if (!action || event.altKey) return;
    run(action);
  }
  event.preventDefault();
  refresh();
  updateBar();
  publishSoon();
});

function nudge(region, [dx, dy], event) {
  const step = event.shiftKey ? 10 : 1;
  if (event.altKey) {
    const [w, h] = [Math.max(1, region.w + dx * step), Math.max(1, region.h + dy * step)];
    regions.replace({ ...region, w, h });
  } else {
    regions.replace({ ...region, cx: region.cx + dx * step, cy: region.cy + dy * step });
  }
}

// Add a region without a pointer: in the middle of the view, a third of its size.
function placeInMiddle() {
  const [left, top, width, height] = camera.window();
  const side = Math.min(width, height) / 3;
  regions.add({ cx: left + width / 2, cy: top + height / 2, w: side, h: side, angle: 0 });
  setDrawing(false);
  drawShapes();
  layer.querySelector(".gv-region.chosen")?.focus();
}
