// Taking results away. A file comes as text in base64 and is saved by the browser; the server keeps none.

function save(download) {
  const bytes = Uint8Array.from(atob(download.content), (letter) => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: download.type }));
  link.download = download.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

element.querySelectorAll("[data-kind]").forEach((button) =>
  button.addEventListener("click", () => {
    const detail = { turns: [] };
    document.dispatchEvent(new CustomEvent("geochat:hidden", { detail }));
    trigger("download_file", { kind: button.dataset.kind, hidden: detail.turns });
  }),
);

const chooser = element.querySelector("input");
element.querySelector(".gt-load").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", async () => {
  const chosen = chooser.files[0];
  chooser.value = "";
  if (!chosen) return;
  if (chosen.size > 8 * 1024 * 1024) trigger("load_file", { text: "" });
  else trigger("load_file", { text: await chosen.text() });
});
element.querySelector(".gt-clear").addEventListener("click", () => {
  const count = element.querySelector(".gt-kept").textContent;
  if (count !== "0" && window.confirm("Forget the " + count + " corrected pairs?")) trigger("clear_kept");
});

watch("file", () => props.file && save(JSON.parse(props.file)));
const showKept = () => (element.querySelector(".gt-kept").textContent = props.count);
watch("count", showKept);
showKept();
