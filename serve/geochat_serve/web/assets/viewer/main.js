// The toolbar, and what holds the parts together.

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
};

function act(name) {
  actions[name]();
  refresh();
  updateBar();
  tellSoon();
}

element.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => act(button.dataset.do)));

function updateBar() {
  const button = (name) => element.querySelector('.gv-bar [data-do="' + name + '"]');
  button("draw").setAttribute("aria-pressed", drawing);
  button("boxes").setAttribute("aria-pressed", answers.shown);
  button("delete").disabled = regions.selected === null;
  for (const name of ["draw", "in", "out", "fit", "boxes"]) button(name).disabled = !camera.scene;
}

function refresh() {
  paint();
  drawShapes();
  showScale();
  tellSoon();
  wantDetail();
}

// A new scene is shown whole and without regions; the same image in other colours stays as it lies.
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
  const same = camera.scene && camera.scene.image === scene.image;
  camera.scene = scene;
  [pictures.overview, pictures.detail] = [overview, null];
  show("name", scene.name);
  element.querySelector(".gv-name").title = scene.name + ", " + scene.width + " × " + scene.height + " px";
  showOpen(false);
  if (!same) {
    regions.endCorrecting();
    regions.list = [];
    regions.selected = null;
    camera.fit();
  }
  refresh();
  updateBar();
  tell();
}

watch("scene", showScene);
watch("problem", () => setBusy(""));
watch("placed", () => {
  const placed = props.placed && JSON.parse(props.placed);
  if (!placed || placed.scene !== camera.scene?.id) return;
  placed.regions.forEach((numbers) => regions.add(fromNumbers(numbers)));
  refresh();
  updateBar();
  tell();
});

new ResizeObserver(() => {
  const box = stage.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const fitted = camera.scene && Math.abs(camera.scale / camera.fitScale() - 1) < 0.05;
  [camera.width, camera.height] = [box.width, box.height];
  if (camera.scene && fitted) camera.fit();
  else camera.hold();
  refresh();
}).observe(stage);

updateBar();
showOpen(true);
if (props.scene) showScene();
document.dispatchEvent(new CustomEvent("geochat:hello"));
