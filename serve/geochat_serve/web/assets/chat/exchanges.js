// The exchanges of the conversation; one is rebuilt only when it has changed.

const list = element.querySelector(".gc-exchanges");
const scroller = element.querySelector(".gc");
const hidden = new Set(); // exchanges whose boxes are hidden
const raw = new Set(); // exchanges shown as the model wrote them
let exchanges = [];
let correcting = null; // id of the exchange being corrected

function statusText(exchange) {
  if (exchange.status === "waiting") {
    const ahead = exchange.ahead;
    return ahead ? "Waiting: " + ahead + (ahead === 1 ? " question" : " questions") + " ahead" : "Starting …";
  }
  if (exchange.status === "stopped" && !exchange.answer_notices.length) return "Stopped";
  return exchange.failure;
}

function questionNode(exchange) {
  const asked = node("div", "gc-asked");
  if (exchange.task !== "Auto") asked.append(node("span", "gc-task", exchange.task));
  if (exchange.question) asked.append(node("span", "gc-question", exchange.question));
  exchange.asked.forEach((_, index) => {
    const chip = node("span", "gc-region", "region " + (index + 1));
    asked.append(linkToBoxes(chip, [exchange.id + "-asked-" + (index + 1)], "var(--gc-soft)"));
  });
  if (exchange.window) {
    const [, , width, height] = exchange.window;
    asked.append(node("span", "gc-view", "visible area, " + width + " × " + height + " px"));
  }
  return asked;
}

function exchangeNode(exchange, isLast, isBusy) {
  const item = node("li", "gc-exchange " + exchange.status + (exchange.being_edited ? " being-edited" : ""));
  item.dataset.exchange = exchange.id;
  item.append(questionNode(exchange));
  const answer = node("div", "gc-answer");
  answer.append(...noticeNodes(exchange.notices, "gc-notice"));
  if (raw.has(exchange.id)) answer.append(node("pre", "gc-raw", exchange.raw));
  else if (exchange.parts.length || exchange.status === "writing") answer.append(answerNode(exchange));
  if (exchange.choices.length) answer.append(choicesNode(exchange.choices));
  answer.append(...noticeNodes(exchange.answer_notices, "gc-answer-notice"));
  const status = statusText(exchange);
  if (status) answer.append(node("p", "gc-status", status));
  if (correcting === exchange.id) answer.append(correctionForm(exchange));
  item.append(answer);
  if (exchange.status !== "waiting" && exchange.status !== "writing") item.append(toolbar(exchange, isLast, isBusy));
  return item;
}

function toolbar(exchange, isLast, isBusy) {
  const bar = node("div", "gc-tools");
  const add = (text, title, action, pressed) => {
    const tool = button(text, title, action);
    if (pressed !== undefined) tool.setAttribute("aria-pressed", pressed);
    bar.append(tool);
  };
  const toggle = (set) => () => {
    set.has(exchange.id) ? set.delete(exchange.id) : set.add(exchange.id);
    render();
  };
  if (exchange.boxes.length || exchange.asked.length) {
    const shown = !hidden.has(exchange.id);
    add(shown ? "Hide boxes" : "Show boxes", "Show the boxes of this answer on the image", toggle(hidden), shown);
  }
  if (exchange.raw) {
    add("Raw", "Show the answer as the model wrote it", toggle(raw), raw.has(exchange.id));
    if (!isBusy) {
      const title = "Correct this answer and collect it as training data";
      add("Correct", title, () => toggleCorrection(exchange), correcting === exchange.id);
    }
  }
  if (isLast && !isBusy) {
    add("Retry", "Ask the same question again", () => trigger("retry", { exchange: exchange.id }));
    const edited = exchange.being_edited;
    const title = edited ? "Keep the question as it was" : "Edit the question and ask again";
    add(edited ? "Cancel edit" : "Edit", title, () => trigger("edit", { exchange: exchange.id }));
  }
  if (exchange.corrected) bar.append(node("span", "gc-corrected", "corrected"));
  if (exchange.seconds !== null) bar.append(node("span", "gc-seconds", exchange.seconds + " s"));
  return bar;
}

// Build or rebuild what has changed, and tell the viewer which boxes to show.
const built = new Map(); // id -> {state, node}
function render() {
  const conversation = JSON.parse(props.value || '{"exchanges":[],"memory":""}');
  exchanges = conversation.exchanges;
  element.querySelector(".gc-empty").hidden = exchanges.length > 0;
  for (const id of [...built.keys()]) {
    if (exchanges.some((exchange) => exchange.id === id)) continue;
    built.get(id).node.remove();
    built.delete(id);
  }
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  exchanges.forEach((exchange, index) => update(exchange, index === exchanges.length - 1, conversation.busy));
  showMemory(conversation.memory);
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  announce();
  showBoxes();
}

function update(exchange, isLast, isBusy) {
  const flags = [isLast, isBusy, hidden.has(exchange.id), raw.has(exchange.id), correcting === exchange.id];
  const state = JSON.stringify([{ ...exchange, remembered: null }, flags]);
  const before = built.get(exchange.id);
  if (before?.state === state) return;
  if (before && correcting === exchange.id && before.node.querySelector("textarea")) return; // keep the editor's text
  const item = exchangeNode(exchange, isLast, isBusy);
  if (before) {
    const focused = [...before.node.querySelectorAll("button")].indexOf(document.activeElement);
    before.node.replaceWith(item);
    if (focused >= 0) item.querySelectorAll("button")[focused]?.focus();
  } else list.append(item);
  built.set(exchange.id, { state, node: item });
}

// Say how much of the conversation the model sees with the next question, and mark where that begins.
function showMemory(text) {
  list.querySelector(".gc-divider")?.remove();
  element.querySelector(".gc-memory").textContent = text;
  const first = exchanges.findIndex((exchange) => exchange.remembered);
  if (text && first > 0) {
    built.get(exchanges[first].id).node.before(node("li", "gc-divider", "The model no longer sees what is above"));
  }
}

// For screen readers: the whole answer once, not every word as it is written.
let announced = null;
function announce() {
  const last = exchanges.at(-1);
  if (!last || last.status === "waiting" || last.status === "writing") return;
  const state = last.id + last.status + last.raw;
  if (announced === state) return;
  announced = state;
  const words = last.parts.map((part) => (part.kind === "box" ? "" : part.text)).join("");
  const notices = last.answer_notices.map((notice) => notice.text);
  element.querySelector(".gc-live").textContent = [words, ...notices, last.failure].join(" ");
}

function showBoxes() {
  const boxes = [];
  for (const exchange of exchanges) {
    if (hidden.has(exchange.id)) continue;
    exchange.asked.forEach((points, index) => {
      const key = exchange.id + "-asked-" + (index + 1);
      boxes.push({ key, points, asked: true, colour: "#ffffff", number: index + 1 });
    });
    boxes.push(...exchange.boxes);
  }
  document.dispatchEvent(new CustomEvent("geochat:show-boxes", { detail: { boxes } }));
}

document.addEventListener("geochat:viewer-ready", showBoxes);
document.addEventListener("geochat:get-hidden", ({ detail }) => (detail.exchanges = [...hidden]));
