// What Gradio's controls lack: one group of tasks, panels that Esc closes, notifications without nested controls, and a
// question that survives a reload.

const tasks = () => [...document.querySelectorAll("#task input")];

// Gradio names each one differently, again at each change: Tab would stop at every task.
const groupTasks = () => tasks().forEach((input) => input.name === "task" || (input.name = "task"));

function mend() {
  document.querySelectorAll(".toast-header[role]").forEach((header) => {
    header.removeAttribute("role"); // it holds the button that closes it
    header.removeAttribute("tabindex");
  });
  document.querySelectorAll("div.empty[aria-label]").forEach((empty) => empty.setAttribute("role", "img"));
  document.querySelectorAll("#more .gr-accordion > button.label-wrap").forEach((button) => {
    const open = button.classList.contains("open");
    if (button.getAttribute("aria-expanded") !== String(open)) button.setAttribute("aria-expanded", open);
  });
}
let mending = null;
new MutationObserver(() => {
  groupTasks(); // before the next key
  mending ??= requestAnimationFrame(() => ((mending = null), mend()));
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "name"] });
groupTasks();
mend();

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  const panel = event.target.closest("#more .gr-accordion");
  const header = panel?.querySelector("button.label-wrap.open");
  if (!header || event.target.getAttribute("aria-expanded") === "true" && event.target !== header) return;
  header.click();
  header.focus();
});

const DRAFT = "geochat-draft";
window.addEventListener("pagehide", () => {
  const question = document.querySelector("#question textarea")?.value ?? "";
  const task = tasks().find((input) => input.checked)?.value ?? "Auto";
  sessionStorage.setItem(DRAFT, JSON.stringify({ question, task }));
});
