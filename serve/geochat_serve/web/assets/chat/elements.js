// DOM helpers. Every word of a user or a model is set as text: nothing here turns it into markup.

function node(name, className, text) {
  const created = document.createElement(name);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
}

function button(text, title, onclick) {
  const created = node("button", "", text);
  created.type = "button";
  created.title = title;
  created.setAttribute("aria-label", title);
  created.addEventListener("click", onclick);
  return created;
}

// Highlight the boxes of a phrase or a box number while it is hovered or focused.
function linkToBoxes(target, keys, colour) {
  target.dataset.keys = keys.join(" ");
  target.style.setProperty("--colour", colour);
  if (!keys.length) return target;
  target.tabIndex = 0;
  const on = () => highlight(keys[0]);
  const off = () => highlight(null);
  for (const name of ["pointerenter", "focus", "click"]) target.addEventListener(name, on);
  for (const name of ["pointerleave", "blur"]) target.addEventListener(name, off);
  return target;
}

function highlight(key, notify = true) {
  element.querySelectorAll("[data-keys]").forEach((linked) => {
    linked.classList.toggle("highlighted", key !== null && linked.dataset.keys.split(" ").includes(key));
  });
  if (notify) document.dispatchEvent(new CustomEvent("geochat:highlight", { detail: { key, from: "chat" } }));
}

document.addEventListener("geochat:highlight", ({ detail }) => {
  if (detail.from === "chat") return;
  highlight(detail.key, false);
  element.querySelector(".highlighted")?.scrollIntoView({ block: "nearest", behavior: "instant" });
});

// The words, phrases and box numbers of an answer.
function answerNode(exchange) {
  const words = node("div", "gc-words");
  for (const part of exchange.parts) {
    if (part.kind === "text") words.append(part.text);
    else if (part.kind === "phrase") {
      words.append(linkToBoxes(node("span", "gc-phrase", part.text), part.keys, part.colour));
    } else {
      const chip = linkToBoxes(node("span", "gc-chip", part.number), [part.key], part.colour);
      chip.setAttribute("aria-label", "box " + part.number);
      words.append(chip);
    }
  }
  if (exchange.status === "writing") words.append(node("span", "gc-caret"));
  return words;
}

// Notices beside an answer; their code sets their style.
function noticeNodes(notices, className) {
  return notices.map((notice) => {
    const paragraph = node("p", className, notice.text);
    paragraph.dataset.code = notice.code;
    return paragraph;
  });
}

// The likeliest of the offered answers, with their probabilities.
const MAX_CHOICES = 8;
function choicesNode(choices) {
  const list = node("ol", "gc-choices");
  list.setAttribute("aria-label", "Probabilities");
  for (const choice of choices.slice(0, MAX_CHOICES)) {
    const item = node("li");
    item.style.setProperty("--share", choice.probability * 100 + "%");
    item.append(node("span", "gc-choice", choice.text), node("span", "gc-share", percent(choice.probability)));
    list.append(item);
  }
  const others = choices.length - MAX_CHOICES;
  if (others > 0) list.append(node("li", "gc-others", others + (others === 1 ? " other" : " others") + ", less likely"));
  return list;
}

function percent(share) {
  if (share >= 0.995 && share < 1) return "> 99 %";
  if (share > 0 && share < 0.005) return "< 1 %";
  return Math.round(share * 100) + " %";
}
