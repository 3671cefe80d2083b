// Image layers over the image, and the swipe: the image left of a line, the layers right of it.

let imageLayers = []; // {id, name, bounds, shown, opacity, tiles}, the lowest first; the layer panel lists them
let under = null; // id of the image on which the bounds lie
const sheet = document.createElement("canvas"); // on which a layer is put together
const swipe = { on: false, part: 0.5, line: element.querySelector(".gv-swipe"), sides: [...element.querySelectorAll(".gv-side")] };

const isDrawn = (each) => under === camera.scene?.image_id && each.bounds && each.shown && each.opacity > 0;

listen("put-images", ({ image_id, images, swiping }) => {
  under = image_id;
  const before = new Map(imageLayers.map((each) => [each.id, each.tiles]));
  imageLayers = images.map((each) => ({ ...each, tiles: before.get(each.id) ?? makeTiles(each.id) }));
  for (const [id, store] of before) if (!images.some((each) => each.id === id)) dropTiles(store);
  swipe.on = swiping;
  requestTiles();
  paint();
});

function paintImages(pen) {
  const drawn = imageLayers.filter(isDrawn);
  placeLine(drawn.at(-1));
  for (const each of drawn) {
    if (each.tiles.scene !== camera.scene.image_id) continue;
    paintSheet(each);
    pen.save();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    const left = swipe.on ? Math.round(canvas.width * swipe.part) : 0;
    pen.globalAlpha = each.opacity;
    if (left < canvas.width) pen.drawImage(sheet, left, 0, canvas.width - left, canvas.height, left, 0, canvas.width - left, canvas.height);
    pen.restore();
  }
}

// Put the tiles of a layer together: opaque, without seams, a fine tile instead of the coarse one behind it.
function paintSheet({ tiles: store }) {
  const dpr = window.devicePixelRatio || 1;
  const pen = sheet.getContext("2d");
  if (sheet.width !== canvas.width || sheet.height !== canvas.height) [sheet.width, sheet.height] = [canvas.width, canvas.height];
  else pen.clearRect(0, 0, sheet.width, sheet.height);
  for (const { picture, window: part } of tilesToDraw(store, levelNeeded())) {
    const [x1, y1] = camera.toScreen(part).map((value) => Math.round(value * dpr));
    const [x2, y2] = camera.toScreen([part[0] + part[2], part[1] + part[3]]).map((value) => Math.round(value * dpr));
    if (x2 <= 0 || y2 <= 0 || x1 >= sheet.width || y1 >= sheet.height) continue;
    pen.imageSmoothingEnabled = camera.scale < (3 * picture.width) / part[2];
    pen.clearRect(x1, y1, x2 - x1, y2 - y1);
    pen.drawImage(picture, x1, y1, x2 - x1, y2 - y1);
  }
}

// The line and the names beside it, while there is a layer to swipe.
function placeLine(top) {
  const [line, hidden] = [swipe.line, !swipe.on || !top];
  for (const each of [line, ...swipe.sides]) each.hidden = hidden;
  if (hidden) return;
  const percent = Math.round(swipe.part * 100);
  line.style.left = swipe.part * 100 + "%";
  line.setAttribute("aria-valuenow", percent);
  line.setAttribute("aria-valuetext", percent + " % " + camera.scene.name + ", then " + top.name);
  [camera.scene.name, top.name].forEach((name, at) => (swipe.sides[at].textContent = name));
}

function setSwipe(part) {
  swipe.part = Math.min(1, Math.max(0, part));
  paint();
}

swipe.line.addEventListener("pointerdown", (event) => {
  event.stopPropagation(); // the stage would pan
  swipe.line.setPointerCapture(event.pointerId);
});
swipe.line.addEventListener("pointermove", (event) => {
  if (swipe.line.hasPointerCapture(event.pointerId)) setSwipe((event.clientX - canvas.getBoundingClientRect().left) / camera.width);
});
swipe.line.addEventListener("dblclick", (event) => event.stopPropagation());
swipe.line.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.01, ArrowDown: -0.01, ArrowRight: 0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation(); // the image would pan
  setSwipe(swipe.part + step * (event.shiftKey ? 10 : 1));
});
