// Undo and redo for the whole page. Its parts report each step as `did` {label, undo, redo, tag}; steps of a tag are
// forgotten when their subject is gone, all steps when another image is opened.

const MAX_STEPS = 200;
const done = [];
const undone = [];

const tellHistory = () => send("history", { undo: done.at(-1)?.label ?? "", redo: undone.at(-1)?.label ?? "" });

function move(from, to, way) {
  const step = from.pop();
  if (!step) return;
  to.push(step);
  step[way]();
  tellHistory();
}

listen("did", (step) => {
  done.push(step);
  if (done.length > MAX_STEPS) done.shift();
  undone.length = 0;
  tellHistory();
});
listen("forget", ({ tag }) => {
  for (const steps of [done, undone]) {
    const kept = tag ? steps.filter((step) => step.tag !== tag) : [];
    steps.splice(0, steps.length, ...kept);
  }
  tellHistory();
});
listen("undo", () => move(done, undone, "undo"));
listen("redo", () => move(undone, done, "redo"));
listen("viewer-ready", tellHistory);

// A text box has an undo of its own.
const TEXT = "textarea, [contenteditable=true], input:not([type=checkbox], [type=radio], [type=range], [type=file])";
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest(TEXT)) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  send(key === "y" || event.shiftKey ? "redo" : "undo");
});
