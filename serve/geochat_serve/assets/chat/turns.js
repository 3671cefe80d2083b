// The turns of the conversation; one is made anew only when something of it has changed.

const list = element.querySelector(".gc-turns");
const hidden = new Set(); // turns whose boxes are not shown
const raw = new Set(); // turns shown as the model wrote them
let turns = [];
let correcting = null; // {id, text} of the answer being corrected

function statusText(turn) {
  if (turn.status === "waiting") {
    return turn.ahead ? "Waiting: " + turn.ahead + (turn.ahead === 1 ? " question" : " questions") + " ahead" : "Starting …";
  }
  if (turn.status === "stopped" && !turn.remarks.length) return "Stopped";
  return turn.failure;
}

// What to know beside an answer; styled by its code.
function notes(notices, className) {
  return notices.map((notice) => {
    const made = node("p", className, notice.text);
    made.dataset.code = notice.code;
    return made;
  });
}

// Of the answers offered, the likeliest, each with its probability.
const MOST_CHOICES = 8;
function choicesNode(choices) {
  const made = node("ol", "gc-choices");
  made.setAttribute("aria-label", "Probabilities");
  for (const choice of choices.slice(0, MOST_CHOICES)) {
    const item = node("li");
    item.style.setProperty("--share", choice.probability * 100 + "%");
    item.append(node("span", "gc-choice", choice.text), node("span", "gc-share", percent(choice.probability)));
    made.append(item);
  }
  const left = choices.length - MOST_CHOICES;
  if (left > 0) made.append(node("li", "gc-others", left + (left === 1 ? " other" : " others") + ", less likely"));
  return made;
}

const percent = (share) => (share >= 0.995 && share < 1 ? "> 99" : share > 0 && share < 0.005 ? "< 1" : Math.round(share * 100)) + " %";

function turnNode(turn, isLast, isBusy) {
  const item = node("li", "gc-turn " + turn.status + (turn.replaced ? " replaced" : ""));
  item.dataset.turn = turn.id;
  const asked = node("div", "gc-asked");
  if (turn.task !== "Auto") asked.append(node("span", "gc-task", turn.task));
  if (turn.question) asked.append(node("span", "gc-question", turn.question));
  turn.asked.forEach((_, index) => {
    asked.append(linked(node("span", "gc-region", "region " + (index + 1)), [turn.id + "-asked-" + (index + 1)], "var(--gc-soft)"));
  });
  if (turn.window) asked.append(node("span", "gc-view", "this view, " + turn.window[2] + " × " + turn.window[3] + " px"));
  item.append(asked);

  const answer = node("div", "gc-answer");
  answer.append(...notes(turn.notices, "gc-notice"));
  if (raw.has(turn.id)) answer.append(node("pre", "gc-raw", turn.raw));
  else if (turn.parts.length || turn.status === "writing") answer.append(answerNode(turn));
  if (turn.choices.length) answer.append(choicesNode(turn.choices));
  answer.append(...notes(turn.remarks, "gc-remark"));
  const status = statusText(turn);
  if (status) answer.append(node("p", "gc-status", status));
  if (correcting?.id === turn.id) answer.append(editor(turn));
  item.append(answer);
  if (turn.status !== "waiting" && turn.status !== "writing") item.append(tools(turn, isLast, isBusy));
  return item;
}

function tools(turn, isLast, isBusy) {
  const bar = node("div", "gc-tools");
  const add = (text, title, act, pressed) => {
    const made = button(text, title, act);
    if (pressed !== undefined) made.setAttribute("aria-pressed", pressed);
    bar.append(made);
    return made;
  };
  const flip = (set) => () => {
    set.has(turn.id) ? set.delete(turn.id) : set.add(turn.id);
    render();
  };
  if (turn.boxes.length || turn.asked.length) {
    const on = !hidden.has(turn.id);
    add(on ? "Hide boxes" : "Show boxes", "Show this answer's boxes on the image", flip(hidden), on);
  }
  if (turn.raw) {
    add("Raw", "Show the answer as the model wrote it", flip(raw), raw.has(turn.id));
    if (!isBusy) add("Correct", "Correct this answer and keep it for training", () => correct(turn), correcting?.id === turn.id);
  }
  if (isLast && !isBusy) {
    add("Retry", "Ask the same again", () => trigger("retry", { turn: turn.id }));
    add(turn.replaced ? "Keep as it was" : "Edit", turn.replaced ? "Stop editing the question" : "Edit the question and ask again", () => trigger("edit", { turn: turn.id }));
  }
  if (turn.corrected) bar.append(node("span", "gc-kept", "corrected and kept"));
  if (turn.seconds !== null) bar.append(node("span", "gc-seconds", turn.seconds + " s"));
  return bar;
}

// Make or remake what has changed, and tell the viewer which boxes to show.
const made = new Map(); // id -> {state, node}
function render() {
  const known = JSON.parse(props.value || '{"turns":[]}');
  turns = known.turns;
  element.querySelector(".gc-empty").hidden = turns.length > 0;
  for (const id of [...made.keys()]) {
    if (turns.some((turn) => turn.id === id)) continue;
    made.get(id).node.remove();
    made.delete(id);
  }
  const scroller = element.querySelector(".gc");
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  turns.forEach((turn, index) => {
    const isLast = index === turns.length - 1;
    const flags = [isLast, known.busy, hidden.has(turn.id), raw.has(turn.id), correcting?.id === turn.id];
    const state = JSON.stringify([turn, flags]);
    const before = made.get(turn.id);
    if (before?.state === state) return;
    if (before && correcting?.id === turn.id && before.node.querySelector("textarea")) return; // leave the editor alone
    const item = turnNode(turn, isLast, known.busy);
    if (before) {
      const focused = [...before.node.querySelectorAll("button")].indexOf(document.activeElement);
      before.node.replaceWith(item);
      if (focused >= 0) item.querySelectorAll("button")[focused]?.focus();
    } else list.append(item);
    made.set(turn.id, { state, node: item });
  });
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  announce();
  showBoxes();
}

// For screen readers: the whole answer once, not every word as it comes.
let announced = null;
function announce() {
  const last = turns.at(-1);
  if (!last || last.status === "waiting" || last.status === "writing" || announced === last.id + last.status + last.raw) return;
  announced = last.id + last.status + last.raw;
  const words = last.parts.map((part) => (part.kind === "box" ? "" : part.text)).join("");
  element.querySelector(".gc-live").textContent = [words, ...last.remarks.map((remark) => remark.text), last.failure].join(" ");
}

function showBoxes() {
  const boxes = [];
  for (const turn of turns) {
    if (hidden.has(turn.id)) continue;
    turn.asked.forEach((points, index) => {
      boxes.push({ key: turn.id + "-asked-" + (index + 1), points, asked: true, colour: "#ffffff", number: index + 1 });
    });
    boxes.push(...turn.boxes);
  }
  document.dispatchEvent(new CustomEvent("geochat:answers", { detail: { boxes } }));
}

document.addEventListener("geochat:hello", showBoxes);
document.addEventListener("geochat:hidden", ({ detail }) => (detail.turns = [...hidden]));
