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
  created.addEventListener("click", onclick);
  return created;
}

// Make a word a button: hovered or focused, it lights its boxes; pressed, it also brings them into view.
function linkToBoxes(target, keys, colour, boxes) {
  target.dataset.keys = keys.join(" ");
  target.style.setProperty("--colour", colour);
  if (!keys.length) return target;
  const mouse = (handler) => (event) => event.pointerType !== "touch" && handler();
  target.addEventListener("pointerenter", mouse(() => highlight(keys)));
  target.addEventListener("pointerleave", mouse(() => highlight([])));
  target.addEventListener("focus", () => highlight(keys));
  target.addEventListener("blur", () => highlight([]));
  const points = boxes.filter((box) => keys.includes(box.key)).flatMap((box) => box.points);
  return pressable(target, () => {
    send("show-layer", { key: keys[0] });
    send("go-to", { points });
    highlight(keys);
  });
}

function pressable(target, action) {
  target.tabIndex = 0;
  target.setAttribute("role", "button");
  target.addEventListener("click", action);
  target.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  });
  return target;
}

function highlight(keys, notify = true) {
  element.querySelectorAll("[data-keys]").forEach((linked) => {
    linked.classList.toggle("highlighted", linked.dataset.keys.split(" ").some((key) => key && keys.includes(key)));
  });
  if (notify) send("highlight", { keys, from: "chat" });
}

listen("highlight", ({ keys, from }) => {
  if (from === "chat") return;
  highlight(keys, false);
  const lit = element.querySelector(".gc-chip.highlighted") ?? element.querySelector(".highlighted");
  if (from === "viewer") lit?.scrollIntoView({ block: "nearest", behavior: "instant" });
});

// The words, phrases and box numbers of an answer; of a long row of numbers, the first ones and a button for the rest.
const MAX_CHIPS = 12;
const unfolded = new Set(); // exchanges whose numbers are all shown
function answerNode(exchange) {
  const words = node("div", "gc-words");
  let row = 0; // box numbers in a row
  let folded = null; // holds those beyond the first ones
  for (const part of exchange.parts) {
    if (part.kind === "box") {
      row += 1;
      if (row > MAX_CHIPS && !folded && !unfolded.has(exchange.id)) {
        folded = node("span", "gc-folded");
        folded.hidden = true;
        words.append(unfoldButton(exchange, folded), folded);
      }
      (folded ?? words).append(chip(part, exchange));
    } else if (part.kind === "text" && !part.text.trim() && row) {
      (folded ?? words).append(part.text);
    } else {
      [row, folded] = [0, null];
      if (part.kind === "text") words.append(part.text);
      else words.append(linkToBoxes(node("span", "gc-phrase", part.text), part.keys, part.colour, exchange.boxes));
    }
  }
  words.querySelectorAll(".gc-unfold").forEach((unfold) => {
    unfold.textContent = "+ " + unfold.nextSibling.querySelectorAll(".gc-chip").length + " more";
  });
  if (exchange.status === "writing") words.append(node("span", "gc-caret"));
  return words;
}

function chip(part, exchange) {
  const created = linkToBoxes(node("span", "gc-chip", part.number), [part.key], part.colour, exchange.boxes);
  created.setAttribute("aria-label", "box " + part.number);
  return created;
}

function unfoldButton(exchange, folded) {
  const unfold = button("", "Show the numbers of all boxes", () => {
    unfolded.add(exchange.id);
    unfold.remove();
    folded.hidden = false;
    folded.querySelector(".gc-chip")?.focus();
  });
  unfold.className = "gc-unfold";
  return unfold;
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
