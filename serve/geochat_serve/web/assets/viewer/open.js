// Opening an image: chosen, dropped, pasted, or a bundled scene.

const busy = element.querySelector(".gv-busy");
const file = element.querySelector(".gv-file");
const cover = element.querySelector(".gv-open");

function setBusy(text) {
  busy.hidden = !text;
  busy.querySelector("span").textContent = text || "";
}

function hint(text) {
  element.querySelector(".gv-hint").textContent = text;
}

function showOpen(on) {
  const had = cover.contains(document.activeElement);
  cover.hidden = !on;
  if (on && camera.scene) cover.querySelector(".gv-primary").focus();
  else if (!on && had) stage.focus();
  element.querySelector('[data-action="close-open"]').hidden = !camera.scene;
}

// Another image ends the conversation, so a user who has one is asked first.
function mayReplace() {
  const { answers: count } = send("get-answers", { answers: 0 });
  if (!camera.scene || !(count + regions.list.length)) return true;
  return window.confirm("Opening another image removes the conversation and the regions of " + camera.scene.name + ". Continue?");
}

async function open(picked) {
  if (!picked || !mayReplace()) return;
  const limit = props.max_upload_mb;
  if (picked.size > limit * 1024 * 1024) {
    hint("");
    trigger("upload_failed", { message: picked.name + " has " + Math.ceil(picked.size / 1048576) + " MB; the limit is " + limit + " MB" });
    return;
  }
  setBusy("Uploading " + picked.name + " …");
  try {
    const { path } = await upload(picked);
    setBusy("Opening " + picked.name + " …");
    trigger("uploaded", { upload: path, name: picked.name });
  } catch (error) {
    setBusy("");
    trigger("upload_failed", { message: picked.name + " could not be uploaded; try again" });
  }
}

cover.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !camera.scene) return;
  event.preventDefault();
  showOpen(false);
});

listen("may-replace", (detail) => (detail.allowed = mayReplace()));

file.addEventListener("change", () => {
  open(file.files[0]);
  file.value = "";
});

const root = element.querySelector(".gv");
root.addEventListener("dragover", (event) => {
  event.preventDefault();
  root.classList.add("dropping");
});
root.addEventListener("dragleave", (event) => {
  if (!root.contains(event.relatedTarget)) root.classList.remove("dropping");
});
root.addEventListener("drop", (event) => {
  event.preventDefault();
  root.classList.remove("dropping");
  const dropped = event.dataTransfer.files[0];
  if (dropped && camera.scene && /\.(geojson|json|gpkg|fgb)$/i.test(dropped.name)) send("overlay", { file: dropped });
  else open(dropped);
});
const onPaste = (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])][0];
  if (pasted) {
    event.preventDefault();
    open(pasted);
  }
};
document.addEventListener("paste", onPaste);

for (const sample of JSON.parse(props.samples)) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = sample.title;
  const picture = document.createElement("img");
  picture.src = sample.thumbnail;
  picture.alt = "";
  const name = document.createElement("span");
  name.textContent = sample.title;
  button.append(picture, name);
  button.addEventListener("click", () => {
    if (!mayReplace()) return;
    setBusy("Opening " + sample.title + " …");
    trigger("sample", { file: sample.file });
  });
  element.querySelector(".gv-gallery").append(button);
}
