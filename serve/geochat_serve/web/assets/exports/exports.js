// The conversation as a file, saved and loaded; the corrections as training data.

const MAX_CONVERSATION = 8 * 1024 * 1024; // bytes

element.querySelectorAll("[data-kind]").forEach((button) =>
  button.addEventListener("click", () => exportFile({ kind: button.dataset.kind }, element.querySelector(".gc-saving"))),
);

const fileInput = element.querySelector("input");
element.querySelector(".ge-load").addEventListener("click", () => fileInput.click());
fileInput.addEventListener("change", async () => {
  const chosen = fileInput.files[0];
  fileInput.value = "";
  if (!chosen) return;
  trigger("load_conversation", { text: chosen.size > MAX_CONVERSATION ? "" : await chosen.text() });
});

const counter = element.querySelector(".ge-corrections");
element.querySelector(".ge-discard").addEventListener("click", () => {
  const count = Number(counter.textContent);
  const question = count === 1 ? "Discard the correction?" : "Discard all " + count + " corrections?";
  if (count && window.confirm(question)) trigger("discard_corrections");
});

const showCount = () => (counter.textContent = props.count);
watch("count", showCount);
showCount();
