// Building the page. Every word of a user or a model goes in as text: nothing here makes markup of it.

function node(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, title, onclick) {
  const made = node("button", "", text);
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", onclick);
  return made;
}

// A phrase and a box number light their boxes when they are hovered or have the focus.
function linked(made, keys, colour) {
  made.dataset.keys = keys.join(" ");
  made.style.setProperty("--colour", colour);
  if (!keys.length) return made;
  made.tabIndex = 0;
  const on = () => light(keys[0]);
  const off = () => light(null);
  for (const name of ["pointerenter", "focus", "click"]) made.addEventListener(name, on);
  for (const name of ["pointerleave", "blur"]) made.addEventListener(name, off);
  return made;
}

function light(key, tellOthers = true) {
  element.querySelectorAll("[data-keys]").forEach((made) => {
    made.classList.toggle("lit", key !== null && made.dataset.keys.split(" ").includes(key));
  });
  if (tellOthers) document.dispatchEvent(new CustomEvent("geochat:light", { detail: { key, from: "chat" } }));
}

document.addEventListener("geochat:light", ({ detail }) => {
  if (detail.from === "chat") return;
  light(detail.key, false);
  element.querySelector(".lit")?.scrollIntoView({ block: "nearest", behavior: "instant" });
});

// An answer's words, phrases and box numbers.
function answerNode(turn) {
  const made = node("div", "gc-words");
  for (const part of turn.parts) {
    if (part.kind === "text") made.append(part.text);
    else if (part.kind === "phrase") {
      made.append(linked(node("span", "gc-phrase", part.text), part.keys, part.colour));
    } else {
      const chip = linked(node("span", "gc-chip", part.number), [part.key], part.colour);
      chip.setAttribute("aria-label", "box " + part.number);
      made.append(chip);
    }
  }
  if (turn.status === "writing") made.append(node("span", "gc-caret"));
  return made;
}
