// Correcting an answer: its words here, its boxes on the image; then the pair is kept.

function correct(turn) {
  if (correcting?.id === turn.id) return endCorrecting();
  if (correcting) endCorrecting();
  correcting = { id: turn.id };
  hidden.delete(turn.id);
  document.dispatchEvent(new CustomEvent("geochat:correct", { detail: { boxes: turn.boxes } }));
  render();
  element.querySelector("textarea")?.focus();
}

function endCorrecting() {
  correcting = null;
  document.dispatchEvent(new CustomEvent("geochat:correct", { detail: { boxes: null } }));
  render();
}

function editor(turn) {
  const form = node("form", "gc-editor");
  const label = node("label", "", "Corrected answer");
  const text = node("textarea");
  text.value = turn.editable;
  text.rows = Math.min(8, 2 + Math.ceil(text.value.length / 40));
  label.append(text);
  form.append(label, node("p", "gc-help", "[1] stands for box 1 on the image. Move, resize, turn, delete or draw boxes there; every box is named here. <p>words</p> name the boxes after them."));
  const bar = node("div", "gc-tools");
  const keep = button("Keep", "Keep the corrected pair", () => {});
  keep.type = "submit";
  keep.className = "gc-primary";
  bar.append(keep, button("Cancel", "Leave the answer as it is", endCorrecting));
  form.append(bar);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const detail = {};
    document.dispatchEvent(new CustomEvent("geochat:collect", { detail }));
    trigger("keep", { turn: turn.id, text: text.value, boxes: detail.boxes || [] });
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") endCorrecting();
  });
  return form;
}

// The server has kept the pair: leave the editor. Until then it stays, with what was typed.
watch("kept", () => {
  const kept = props.kept && JSON.parse(props.kept);
  if (kept && correcting?.id === kept.turn) endCorrecting();
});

watch("value", () => {
  if (correcting && !JSON.parse(props.value || '{"turns":[]}').turns.some((turn) => turn.id === correcting.id)) endCorrecting();
  else render();
});
render();
