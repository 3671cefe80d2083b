// The controls of the panel.

const chosenBoxes = () => shownBoxes().filter((box) => selected.has(box.key));

element.querySelector(".gr-toggle").addEventListener("click", () => {
  state.open = !state.open;
  update();
});

element.querySelector(".gr-threshold input").addEventListener("input", (event) => {
  state.threshold = Number(event.target.value);
  update();
});

element.querySelector(".gr-filter").addEventListener("input", (event) => {
  state.filter = event.target.value;
  update();
});

element.querySelectorAll("th[data-sort] button").forEach((button) =>
  button.addEventListener("click", () => {
    const by = button.parentElement.dataset.sort;
    sorting.down = sorting.by === by && !sorting.down;
    sorting.by = by;
    update();
  }),
);

all.addEventListener("change", () => {
  selected = new Set(all.checked ? shownBoxes().map((box) => box.key) : []);
  update();
});

element.querySelector('[data-do="go"]').addEventListener("click", () => goTo(chosenBoxes()));
element.querySelector('[data-do="delete"]').addEventListener("click", () => {
  deleteBoxes([...selected]);
  all.focus(); // the button has nothing left to delete
});

element.querySelectorAll("[data-kind]").forEach((button) =>
  button.addEventListener("click", () => {
    const { hidden } = send("get-shown"); // all boxes may be hidden on the image
    const boxes = hidden ? [] : selected.size ? chosenBoxes() : shownBoxes();
    const saving = element.querySelector(".gr-saving");
    if (boxes.length) exportFile({ kind: button.dataset.kind, shown: boxes.map((box) => box.key) }, saving);
    else tellExport(saving, "No boxes are shown; show them on the image (B), or those of an answer.");
  }),
);

listen("highlight", ({ keys }) => {
  rows.querySelectorAll("tr").forEach((row) => row.classList.toggle("highlighted", keys.includes(row.dataset.key)));
});

element.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !state.open) return;
  event.preventDefault();
  state.open = false;
  update();
  element.querySelector(".gr-toggle").focus();
});

update();
send("results-ready");
