// Light or dark theme: the system's, until the user chooses.
const chosen = localStorage.getItem("geochat-theme");
const dark = chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
document.body.classList.toggle("dark", dark);
element.querySelector("button").addEventListener("click", () => {
  const now = document.body.classList.toggle("dark");
  localStorage.setItem("geochat-theme", now ? "dark" : "light");
});
element.querySelector(".gb-model").textContent = props.model;
