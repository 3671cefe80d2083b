// The page's look: as the system has it, until a user chooses.
const chosen = localStorage.getItem("geochat-look");
const dark = chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
document.body.classList.toggle("dark", dark);
element.querySelector("button").addEventListener("click", () => {
  const now = document.body.classList.toggle("dark");
  localStorage.setItem("geochat-look", now ? "dark" : "light");
});
element.querySelector(".gb-model").textContent = props.model;
