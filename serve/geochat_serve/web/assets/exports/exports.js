// Exports and imports. A file arrives in base64 and the browser saves it; the server keeps no copy.

const MAX_CONVERSATION = 8 * 1024 * 1024; // bytes

function save(file) {
  const bytes = Uint8Array.from(atob(file.content), (letter) => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

element.querySelectorAll("[data-kind]").forEach((button) =>
  button.addEventListener("click", () => {
    const detail = { exchanges: [] };
    document.dispatchEvent(new CustomEvent("geochat:get-hidden", { detail }));
    trigger("export", { kind: button.dataset.kind, hidden: detail.exchanges });
  }),
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

watch("file", () => props.file && save(JSON.parse(props.file)));
const showCount = () => (counter.textContent = props.count);
watch("count", showCount);
showCount();
