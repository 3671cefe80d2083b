// Image layers: further images over the open one. The server lays them, the viewer draws them, the list is here.

let images = []; // {id, name, bounds, problem, shown, opacity, row}, the lowest first
let swiping = false;
let listed = null; // id of the image that they lie over
const imageList = element.querySelector(".gy-images");
const offered = element.querySelector(".gy-offered");
const swipeButton = element.querySelector(".gy-swiping");

function showImages() {
  const usable = images.some((each) => each.bounds && each.shown && each.opacity > 0);
  swiping &&= usable;
  swipeButton.disabled = !usable;
  swipeButton.setAttribute("aria-pressed", swiping);
  const active = element.querySelector(".gy-active");
  active.hidden = !camera?.scene;
  if (camera?.scene) active.textContent = "Questions are about " + camera.scene.name + (images.length ? ", not about image layers." : ".");
  send("put-images", { image_id: listed, images: images.map(({ row, ...rest }) => rest), swiping });
}

function takeImage(told) {
  const layer = { shown: true, opacity: 1, ...told, ...chosen[told.id] };
  const [left, top, right, bottom] = told.bounds ?? [];
  layer.row = makeRow(layer, { update: showImages, go: () => told.bounds && send("go-to", { points: [[left, top], [right, bottom]] }), remove: () => removeImage(layer.id) });
  layer.row.querySelector(".gy-count").textContent = "image";
  if (told.problem) {
    layer.row.append(node("span", { className: "gy-problem", textContent: told.problem + "." }));
    layer.row.querySelectorAll('[type="checkbox"], [type="range"]').forEach((each) => (each.disabled = true));
  }
  images.push(layer);
  imageList.prepend(layer.row);
}

async function addImage(name, body) {
  try {
    if (!camera?.scene) throw new Error("No image is open; open one first.");
    say("Adding " + name + " …");
    takeImage(await callJson("images", await body()));
    say("");
    showImages();
  } catch (error) {
    say(error.message || name + " could not be uploaded; try again.", true);
  }
}

async function removeImage(id) {
  await callJson("images/" + id + "/remove", {}).catch(() => {}); // a layer that is gone is removed all the same
  images.find((each) => each.id === id)?.row.remove();
  images = images.filter((each) => each.id !== id);
  forgetChoice(id);
  showImages();
}

// Another image, or a reloaded page: the session's image layers are listed again, with their places on it.
listen("scene", async ({ scene }) => {
  if (scene.image_id === listed) return showImages();
  listed = scene.image_id;
  images.forEach((each) => (each.bounds = null)); // until the server has told
  try {
    const told = await callJson("images");
    if (told.image_id !== listed) return; // another one was opened in the meantime
    images.forEach((each) => each.row.remove());
    images = [];
    told.layers.forEach(takeImage);
  } catch (error) {
    say(error.message, true);
  }
  showImages();
});

const imagePicker = element.querySelector(".gy-image-file");
element.querySelector(".gy-add-image").addEventListener("click", () => imagePicker.click());
imagePicker.addEventListener("change", () => {
  const file = imagePicker.files[0];
  if (file) addImage(file.name, async () => ({ upload: (await upload(file)).path, name: file.name }));
  imagePicker.value = "";
});

const titles = Object.entries(JSON.parse(props.images));
offered.append(node("option", { value: "", textContent: "Image of this server …" }), ...titles.map(([value, textContent]) => node("option", { value, textContent })));
offered.addEventListener("change", () => {
  const file = offered.value;
  if (file) addImage(offered.selectedOptions[0].textContent, async () => ({ file }));
  offered.value = "";
});

swipeButton.addEventListener("click", () => {
  swiping = !swiping;
  showImages();
});
