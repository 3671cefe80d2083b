// The exchanges of the conversation; one is rebuilt only when it has changed.

const list = element.querySelector(".gc-exchanges");
const scroller = element.querySelector(".gc");
let shown = new Set(); // exchanges whose boxes are on the image
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
  for (const region of exchange.asked) {
    asked.append(linkToBoxes(node("span", "gc-region", "region " + region.number), [region.key], "var(--gc-soft)", exchange.asked));
  }
  if (exchange.window) {
    const [, , width, height] = exchange.window;
    const view = node("span", "gc-view", "visible area, " + width + " × " + height + " px");
    view.title = "Show this part of the image";
    asked.append(pressable(view, () => send("go-to", { window: exchange.window })));
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
    tool.dataset.tool = text;
    if (pressed !== undefined) tool.setAttribute("aria-pressed", pressed);
    bar.append(tool);
  };
  const toggle = (set) => () => {
    set.has(exchange.id) ? set.delete(exchange.id) : set.add(exchange.id);
    render();
  };
  if (exchange.boxes.length || exchange.asked.length) {
    const on = shown.has(exchange.id);
    const show = () => send("show-layer", { exchange: exchange.id, shown: !on });
    add(on ? "Hide boxes" : "Show boxes", "Show the boxes of this answer on the image", show, on);
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

// Build or rebuild what has changed, and tell the results which boxes there are.
const built = new Map(); // id -> {state, node}
let conversation = { exchanges: [], memory: "", busy: false };
function render() {
  conversation = JSON.parse(props.value || '{"exchanges":[],"memory":"","busy":false}');
  exchanges = conversation.exchanges;
  element.querySelector(".gc-empty").hidden = exchanges.length > 0;
  for (const id of [...built.keys()]) {
    if (exchanges.some((exchange) => exchange.id === id)) continue;
    built.get(id).node.remove();
    built.delete(id);
  }
  renderExchanges();
  announce();
  tellAnswers();
}

// A reader at the end stays there, whatever is added and however the window changes.
const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
const stay = () => (scroller.scrollTop = scroller.scrollHeight);
let followed = true;
scroller.addEventListener("scroll", () => (followed = isAtEnd()));
new ResizeObserver(() => followed && stay()).observe(scroller);

function renderExchanges() {
  const atEnd = isAtEnd();
  exchanges.forEach((exchange, index) => update(exchange, index === exchanges.length - 1, conversation.busy));
  showMemory(conversation.memory);
  if (atEnd) stay();
}

function update(exchange, isLast, isBusy) {
  const flags = [isLast, isBusy, shown.has(exchange.id), raw.has(exchange.id), correcting === exchange.id];
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

const tellAnswers = () => send("answers", { exchanges });
listen("results-ready", tellAnswers);
listen("get-answers", (detail) => (detail.answers = exchanges.length));
listen("layers", (detail) => {
  if (detail.shown.size === shown.size && [...detail.shown].every((id) => shown.has(id))) return;
  shown = new Set(detail.shown);
  renderExchanges();
});
