// The regions a user has drawn, or the boxes of the answer being corrected; and what the server knows of them.

const regions = {
  list: [], // {id, cx, cy, w, h, angle}
  selected: null, // an id
  stashed: null, // the user's own, while an answer's boxes are edited
  serial: 0,

  get(id) {
    return this.list.find((region) => region.id === id);
  },

  add(region) {
    const added = { ...region, id: ++this.serial };
    this.list.push(added);
    this.selected = added.id;
    return added;
  },

  replace(region) {
    this.list = this.list.map((other) => (other.id === region.id ? region : other));
  },

  remove(id) {
    const place = this.list.findIndex((region) => region.id === id);
    this.list = this.list.filter((region) => region.id !== id);
    this.selected = this.list[Math.min(place, this.list.length - 1)]?.id ?? null;
  },

  // Edit an answer's boxes in place of the user's regions.
  correct(boxes) {
    this.stashed ??= this.list;
    this.list = [];
    boxes.forEach((box) => this.add(fromPoints(box.points)));
    this.selected = this.list[0]?.id ?? null;
  },

  // Back to the user's own.
  endCorrecting() {
    if (!this.stashed) return;
    this.list = this.stashed;
    this.stashed = this.selected = null;
  },
};

// Tell the server: the value goes with the next question.
let told = 0;
let tellTimer = null;
function tell() {
  clearTimeout(tellTimer);
  tellTimer = null;
  if (!camera.scene) return;
  const own = regions.stashed ?? regions.list;
  props.value = JSON.stringify({
    scene: camera.scene.id,
    regions: own.map(toNumbers),
    window: camera.window(),
  });
  if (own.length !== told) {
    told = own.length;
    trigger("region", { count: told });
  }
}
function tellSoon() {
  clearTimeout(tellTimer);
  tellTimer = setTimeout(tell, 120);
}
// Whoever turns to the rest of the page may ask at once.
for (const kind of ["pointerdown", "focusin"]) {
  document.addEventListener(kind, (event) => tellTimer && !element.contains(event.target) && tell(), true);
}
