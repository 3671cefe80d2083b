// The list of layers: name, visibility, opacity, place, export, removal.

const list = element.querySelector(".gy-list");

// What the user chose for layers, by id; the tab keeps it, so that a reload brings it back.
const CHOSEN = "geochat-layers";
const chosen = JSON.parse(sessionStorage.getItem(CHOSEN) || "{}");
const keepChosen = () => sessionStorage.setItem(CHOSEN, JSON.stringify(chosen));

function choose(layer, values) {
  Object.assign(layer, values);
  chosen[layer.id] = { ...chosen[layer.id], ...values };
  keepChosen();
}

function forgetChoice(id) {
  delete chosen[id];
  keepChosen();
}

listen("new-session", () => Object.keys(chosen).forEach(forgetChoice));

// A row of the list; `acts` has what its controls do: `update` after a choice, `go` and `remove`.
function makeRow(layer, acts) {
  const change = (values) => {
    choose(layer, values);
    acts.update();
  };
  const range = node("input", { type: "range", min: 0, max: 1, step: 0.05, value: layer.opacity, ariaLabel: "Opacity" });
  const shown = node("input", { type: "checkbox", checked: layer.shown, ariaLabel: "Show the layer" });
  const name = node("input", { type: "text", value: layer.name, maxLength: 80, ariaLabel: "Name of the layer" });
  const swatch = node("i");
  if (layer.colour) swatch.style.background = layer.colour;
  range.addEventListener("input", () => change({ opacity: Number(range.value) }));
  shown.addEventListener("change", () => change({ shown: shown.checked }));
  name.addEventListener("input", () => change({ name: name.value }));
  const button = (text, action) => node("button", { type: "button", textContent: text, onclick: action });
  return node(
    "li",
    {},
    shown,
    swatch,
    name,
    node("span", { className: "gy-count" }),
    node("div", { className: "gy-tools" }, range, button("Go to", acts.go), button("Remove", acts.remove)),
  );
}

function goTo({ boxes }) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < boxes.length; at += 4) {
    for (const side of [0, 1]) box[side] = Math.min(box[side], boxes[at + side]);
    for (const side of [2, 3]) box[side] = Math.max(box[side], boxes[at + side]);
  }
  if (boxes.length) send("go-to", { points: [box.slice(0, 2), box.slice(2)] });
}

function removeLayer(id) {
  const place = layers.findIndex((layer) => layer.id === id);
  if (place < 0) return;
  layers[place].row.remove();
  forgetChoice(id);
  layers.splice(place, 1);
  paintSoon();
}

// Layers of another image stay in the list of that image.
function showRows() {
  for (const layer of layers) {
    layer.row.hidden = layer.image_id !== camera?.scene?.image_id;
    layer.row.querySelector(".gy-count").textContent = layer.shapes.length.toLocaleString("en");
  }
}

// A new layer, or new shapes of one there is, which keeps what the user chose for it.
listen("put-layer", (given) => {
  const before = layers.find((layer) => layer.id === given.id);
  const made = makeLayer(given);
  if (before) {
    const { name, colour, shown, opacity, row } = before;
    Object.assign(before, made, { name, colour, shown, opacity, row });
  } else {
    choose(made, { colour: COLOURS[layers.length % COLOURS.length], ...chosen[made.id] });
    made.row = makeRow(made, { update: paintSoon, go: () => goTo(made), remove: () => (removeLayer(made.id), made.removed?.()) });
    layers.push(made);
    list.prepend(made.row);
  }
  showRows();
  paintSoon();
});
listen("remove-layer", ({ id }) => removeLayer(id));
listen("scene", showRows);

function say(text, bad = false) {
  element.querySelector(".gy-message").textContent = text;
  element.querySelector(".gy-message").classList.toggle("bad", bad);
}

// A file of features: sent to the server, which lays it on the image and keeps the shapes for a page that is reloaded.
const MAX_OVERLAY = 64 * 1024 * 1024; // bytes

function putOverlay({ id, ...layer }) {
  const removed = () => callJson("overlays/" + id + "/remove", {}).catch(() => {}); // one that is gone is removed all the same
  send("put-layer", { id: "overlay " + id, removed, ...layer });
}

listen("scene", async ({ scene }) => {
  if (layers.some((layer) => layer.image_id === scene.image_id && layer.removed)) return; // other bands of it
  try {
    const told = await callJson("overlays");
    for (const id of told.image_id === scene.image_id ? told.overlays : []) putOverlay(await callJson("overlays/" + id));
  } catch (error) {
    say(error.message, true);
  }
});

async function addOverlay(file) {
  element.querySelector("details").open = true;
  try {
    if (!camera?.scene) throw new Error("No image is open; open one first.");
    if (file.size > MAX_OVERLAY) throw new Error(file.name + " has " + Math.ceil(file.size / 1048576) + " MB; layers may have up to 64.");
    say("Reading " + file.name + " …");
    const { path } = await upload(file);
    const { skipped, others, ...layer } = await callJson("overlays", { upload: path, name: file.name });
    putOverlay(layer);
    const notes = [];
    if (skipped) notes.push(skipped.toLocaleString("en") + " features have no place on the image");
    if (others.length) notes.push("the file has other layers, which are not shown: " + others.join(", "));
    say(notes.length ? layer.name + ": " + notes.join("; ") + "." : "");
  } catch (error) {
    say(error.message || file.name + " could not be uploaded; try again.", true);
  }
}

listen("overlay", ({ file }) => addOverlay(file));
const picker = element.querySelector(".gy-file");
element.querySelector(".gy-add").addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  if (picker.files[0]) addOverlay(picker.files[0]);
  picker.value = "";
});
