// Correcting an answer: its words in the chat, its boxes on the image.

const HELP =
  "[1] stands for box 1 on the image. Move, resize, rotate, delete or draw boxes there, and name every box in the text. " +
  "<p>words</p> is the phrase of the boxes that follow it.";

let before = null; // the answer as it was when the editor opened: {exchange, text, boxes, corrected}
let saving = null; // the correction sent to the server

function toggleCorrection(exchange) {
  if (correcting === exchange.id) return endCorrection();
  if (correcting) endCorrection();
  correcting = exchange.id;
  send("show-layer", { exchange: exchange.id, shown: true });
  send("edit-boxes", { boxes: exchange.boxes });
  before = { exchange: exchange.id, text: exchange.editable, boxes: send("get-boxes").boxes, corrected: exchange.corrected };
  render();
  element.querySelector("textarea")?.focus();
}

function endCorrection() {
  const id = correcting;
  correcting = null;
  send("edit-boxes", { boxes: null });
  render();
  element.querySelector('[data-exchange="' + id + '"] [data-tool="Correct"]')?.focus();
}

function correctionForm(exchange) {
  const form = node("form", "gc-editor");
  const label = node("label", "", "Corrected answer");
  const text = node("textarea");
  text.value = exchange.editable;
  text.rows = Math.min(8, 2 + Math.ceil(text.value.length / 40));
  label.append(text);
  form.append(label, node("p", "gc-help", HELP));
  const bar = node("div", "gc-tools");
  const saveButton = button("Save", "Save the correction", () => {});
  saveButton.type = "submit";
  saveButton.className = "gc-primary";
  bar.append(saveButton, button("Cancel", "Leave the answer as it is", endCorrection));
  form.append(bar);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    saving = { exchange: exchange.id, text: text.value, boxes: send("get-boxes").boxes || [] };
    trigger("correct", saving);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") endCorrection();
  });
  return form;
}

// The editor closes once the server has saved the correction; until then it keeps what was typed.
watch("corrected", () => {
  const saved = props.corrected && JSON.parse(props.corrected);
  if (!saved || correcting !== saved.exchange || saving?.exchange !== saved.exchange) return;
  const [old, now] = [before, saving];
  endCorrection();
  send("did", {
    label: "correction",
    tag: "corrections",
    undo: () => (old.corrected ? trigger("correct", old) : trigger("withdraw_correction", { exchange: old.exchange })),
    redo: () => trigger("correct", now),
  });
});

watch("value", () => {
  const known = JSON.parse(props.value || '{"exchanges":[]}').exchanges;
  if (correcting && !known.some((exchange) => exchange.id === correcting)) endCorrection();
  else render();
});
render();
