// The status line, the toolbar and the scene, which connect the other parts.

// The status line: scale bar, cursor position in pixels, map coordinates and degrees, zoom.
const show = (name, text) => (element.querySelector(".gv-" + name).textContent = text);

function showCursor(screen) {
  const scene = camera.scene;
  if (!scene) return;
  const [x, y] = camera.toImage(screen);
  const inside = x >= 0 && y >= 0 && x < scene.width && y < scene.height;
  show("pixel", inside ? "x " + Math.floor(x) + "  y " + Math.floor(y) : "");
  if (!inside || !scene.affine) {
    show("map", "");
    show("lonlat", "");
    return;
  }
  const [a, b, c, d, e, f] = scene.affine;
  const [mx, my] = [a * x + b * y + c, d * x + e * y + f];
  const digits = Math.abs(a) < 0.01 ? 6 : 1;
  show("map", (scene.crs ? scene.crs + "  " : "") + mx.toFixed(digits) + ", " + my.toFixed(digits));
  show("lonlat", scene.lonlat ? degrees(lonlatAt(x, y)) : "");
}

// Longitude and latitude, interpolated between the points of the grid.
function lonlatAt(x, y) {
  const { lonlat, width, height } = camera.scene;
  const last = lonlat.length - 1;
  const [u, v] = [(x / width) * last, (y / height) * last];
  const [i, j] = [Math.min(Math.floor(u), last - 1), Math.min(Math.floor(v), last - 1)];
  const mix = (p, q, t) => [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t];
  return mix(mix(lonlat[j][i], lonlat[j][i + 1], u - i), mix(lonlat[j + 1][i], lonlat[j + 1][i + 1], u - i), v - j);
}

listen("get-lonlat", (detail) => (detail.lonlat = camera.scene?.lonlat ? lonlatAt(...detail.point) : null));

function degrees([lon, lat]) {
  const east = ((lon + 540) % 360) - 180;
  return Math.abs(lat).toFixed(6) + "° " + (lat < 0 ? "S" : "N") + "  " + Math.abs(east).toFixed(6) + "° " + (east < 0 ? "W" : "E");
}

function showScale() {
  const bar = element.querySelector(".gv-scale");
  const scene = camera.scene;
  bar.hidden = !scene?.gsd;
  show("zoom", scene ? Math.round(camera.scale * 100) + " %" : "");
  if (bar.hidden) return;
  const most = (110 / camera.scale) * scene.gsd; // metres in 110 pixels
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((step) => step * power).find((step) => step <= most);
  bar.querySelector("i").style.width = (length / scene.gsd) * camera.scale + "px";
  bar.querySelector("b").textContent = length >= 1000 ? length / 1000 + " km" : length >= 1 ? length + " m" : Math.round(length * 100) + " cm";
}

// The toolbar.
const actions = {
  open: () => showOpen(cover.hidden),
  "close-open": () => showOpen(false),
  choose: () => file.click(),
  draw: () => camera.scene && setDrawing(!drawing),
  delete: () => regions.selected && regions.remove(regions.selected),
  in: () => camera.zoomAt(1.5, [camera.width / 2, camera.height / 2]),
  out: () => camera.zoomAt(1 / 1.5, [camera.width / 2, camera.height / 2]),
  fit: () => camera.fit(),
  boxes: () => (answers.shown = !answers.shown),
  undo: () => send("undo"),
  redo: () => send("redo"),
};

function run(name) {
  actions[name]();
  refresh();
  updateBar();
  publishSoon();
}

element.querySelectorAll("[data-action]").forEach((button) => button.addEventListener("click", () => run(button.dataset.action)));

function updateBar() {
  const button = (name) => element.querySelector('.gv-bar [data-action="' + name + '"]');
  button("draw").setAttribute("aria-pressed", drawing);
  button("boxes").setAttribute("aria-pressed", answers.shown);
  button("delete").disabled = regions.selected === null;
  for (const name of ["draw", "in", "out", "fit", "boxes"]) button(name).disabled = !camera.scene;
}

function refresh() {
  paint();
  drawShapes();
  showScale();
  publishSoon();
  requestTiles();
  send("view", { camera });
}

// A new scene is shown whole and without regions; another rendering of the same image keeps view and regions.
async function showScene() {
  const scene = props.scene ? JSON.parse(props.scene) : null;
  setBusy("");
  if (!scene) {
    camera.scene = pictures.overview = null;
    showOpen(true);
    refresh();
    return;
  }
  const overview = await loadPicture(scene.source);
  const [first, same] = [!camera.scene, camera.scene?.image_id === scene.image_id];
  camera.scene = scene;
  pictures.overview = overview;
  show("name", scene.name);
  element.querySelector(".gv-name").title = scene.name + ", " + scene.width + " × " + scene.height + " px";
  showOpen(false);
  if (!same && !(first && resume())) {
    regions.clear();
    recorded = "[]";
    camera.fit();
  }
  if (!same) send("forget");
  refresh();
  updateBar();
  publish();
  send("scene", { scene });
}

watch("scene", showScene);
watch("problem", () => setBusy(""));
// The conversation was cleared, and the regions with it; undone, both come back.
watch("cleared", () => {
  regions.endCorrection();
  const before = JSON.stringify(regions.list);
  const clear = (back) => {
    trigger("restore", { back });
    setRegions(back ? before : "[]");
  };
  setRegions("[]");
  send("did", { label: "cleared conversation", undo: () => clear(true), redo: () => clear(false) });
});

listen("history", (steps) => {
  for (const way of ["undo", "redo"]) {
    const button = element.querySelector('[data-action="' + way + '"]');
    button.disabled = !steps[way];
    const [name, keys] = way === "undo" ? ["Undo", "Ctrl+Z"] : ["Redo", "Ctrl+Shift+Z"];
    button.title = name + (steps[way] ? ": " + steps[way] : "") + " (" + keys + ")";
  }
});
watch("added", () => {
  const added = props.added && JSON.parse(props.added);
  if (!added || added.scene !== camera.scene?.id) return;
  added.regions.forEach((numbers) => regions.add(fromNumbers(numbers)));
  refresh();
  updateBar();
  publish();
});

new ResizeObserver(() => {
  const box = stage.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const fitted = camera.scene && Math.abs(camera.scale / camera.fitScale() - 1) < 0.05;
  [camera.width, camera.height] = [box.width, box.height];
  if (camera.scene && fitted) camera.fit();
  else camera.clamp();
  refresh();
}).observe(stage);

updateBar();
showOpen(true);
if (props.scene) showScene();
send("viewer-ready");
