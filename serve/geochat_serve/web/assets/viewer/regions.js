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
    recorded = JSON.stringify(this.list);
  },

  // Return to the user's regions.
  endCorrection() {
    if (!this.stashed) return;
    this.list = this.stashed;
    this.stashed = this.selected = null;
    recorded = JSON.stringify(this.list);
    send("forget", { tag: "boxes" });
  },
};

// Every change becomes a step that can be undone; a drag is one step.
let recorded = "[]"; // the regions after the last step
function record() {
  const [before, after] = [recorded, JSON.stringify(regions.list)];
  if (gesture || before === after) return;
  recorded = after;
  const change = regions.list.length - JSON.parse(before).length;
  const kind = regions.stashed ? "box" : "region";
  const label = (change > 0 ? "new " : change < 0 ? "removed " : "changed ") + kind;
  send("did", { label, tag: regions.stashed ? "boxes" : "regions", undo: () => setRegions(before), redo: () => setRegions(after) });
}

// Show regions of an earlier or later time, without making that a step of its own.
function setRegions(text) {
  regions.list = JSON.parse(text);
  regions.lastId = Math.max(regions.lastId, ...regions.list.map((region) => region.id), 0);
  if (!regions.get(regions.selected)) regions.selected = null;
  recorded = text;
  refresh();
  updateBar();
  publish();
}

// Publish the state: the server gets it with the next question, and a reloaded page finds it in the tab.
const KEPT = "geochat-view";
let publishedCount = 0;
let publishTimer = null;
function publish() {
  clearTimeout(publishTimer);
  publishTimer = null;
  if (!camera.scene) return;
  record();
  const own = regions.stashed ?? regions.list;
  const state = { regions: own.map(toNumbers), window: camera.window() };
  props.value = JSON.stringify({ scene: camera.scene.id, ...state });
  sessionStorage.setItem(KEPT, JSON.stringify({ image: camera.scene.image_id, ...state, middle: camera.middle(), scale: camera.scale }));
  send("regions", { count: own.length });
  if (own.length !== publishedCount) {
    publishedCount = own.length;
    trigger("regions_changed", { count: publishedCount });
  }
}
function publishSoon() {
  clearTimeout(publishTimer);
  publishTimer = setTimeout(publish, 120);
}

// After a reload: the regions and the view that the tab had of this image.
function resume() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
  if (kept?.image !== camera.scene.image_id) return false;
  regions.list = kept.regions.map((numbers) => ({ ...fromNumbers(numbers), id: ++regions.lastId }));
  publishedCount = regions.list.length; // no news: the task stays as the user left it
  recorded = JSON.stringify(regions.list);
  camera.look(kept.middle, kept.scale);
  return true;
}
window.addEventListener("pagehide", () => publishTimer && publish()); // a reload right after a change brings it back
// A user who turns to the rest of the page may ask at once.
for (const kind of ["pointerdown", "focusin"]) {
  document.addEventListener(kind, (event) => publishTimer && !element.contains(event.target) && publish(), true);
}

// The outlines of the user's regions, in pixels of the image.
listen("get-rings", (detail) => (detail.rings = (regions.stashed ?? regions.list).map(corners)));
