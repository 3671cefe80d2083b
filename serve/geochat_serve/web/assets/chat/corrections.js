// Correcting an answer: its words in the chat, its boxes on the image.

const HELP =
  "[1] stands for box 1 on the image. Move, resize, rotate, delete or draw boxes there, and name every box in the text. " +
  "<p>words</p> is the phrase of the boxes that follow it.";

function toggleCorrection(exchange) {
  if (correcting === exchange.id) return endCorrection();
  if (correcting) endCorrection();
  correcting = exchange.id;
  hidden.delete(exchange.id);
  document.dispatchEvent(new CustomEvent("geochat:edit-boxes", { detail: { boxes: exchange.boxes } }));
  render();
  element.querySelector("textarea")?.focus();
}

function endCorrection() {
  correcting = null;
  document.dispatchEvent(new CustomEvent("geochat:edit-boxes", { detail: { boxes: null } }));
  render();
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
    const detail = {};
    document.dispatchEvent(new CustomEvent("geochat:get-boxes", { detail }));
    trigger("correct", { exchange: exchange.id, text: text.value, boxes: detail.boxes || [] });
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") endCorrection();
  });
  return form;
}

// The editor closes once the server has saved the correction; until then it keeps what was typed.
watch("corrected", () => {
  const saved = props.corrected && JSON.parse(props.corrected);
  if (saved && correcting === saved.exchange) endCorrection();
});

watch("value", () => {
  const known = JSON.parse(props.value || '{"exchanges":[]}').exchanges;
  if (correcting && !known.some((exchange) => exchange.id === correcting)) endCorrection();
  else render();
});
render();
