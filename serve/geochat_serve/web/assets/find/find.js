// Finding in the whole scene: a form, and the searches with their progress. What a search finds becomes a layer.

const input = (name) => element.querySelector(".gf-" + name);
const POLL_MS = 1000;
const searches = new Map(); // by id: what the server said last, its objects, its row
let openScene = null;
let timer = null;
let polling = false;

function say(text, bad = false) {
  input("message").textContent = text;
  input("message").classList.toggle("bad", bad);
}

// Run an action of the user's; whatever goes wrong is said below the form.
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(error.message, true);
  }
}

function readForm() {
  const number = (name) => (input(name).value.trim() === "" ? null : Number(input(name).value));
  const scales = input("scales").value.split(/[\s,;]+/).filter(Boolean).map(Number);
  const values = { phrases: input("phrases").value, window: number("window"), scales, min_score: number("score"), whole: input("whole").checked };
  if (input("inside").checked) {
    values.area = send("get-rings", { rings: [] }).rings;
    if (!values.area.length) throw new Error("No region is drawn; draw one, or search the whole scene.");
  }
  return values;
}

input("start").addEventListener("click", () =>
  attempt(async () => {
    if (!openScene) throw new Error("No image is open; open one first.");
    const values = readForm();
    input("start").disabled = true;
    say("Laying the windows …");
    try {
      take(await callJson("jobs", values));
      say("");
    } finally {
      input("start").disabled = false;
    }
  }),
);

const unfinished = (search) => search.state === "queued" || search.state === "running";

function take(told) {
  const search = searches.get(told.id) ?? { objects: [], provisional: [], row: makeRow(told) };
  if (search.run !== told.run) search.objects = [];
  Object.assign(search, told, { objects: search.objects, provisional: search.provisional });
  searches.set(told.id, search);
  showRow(search);
  pollSoon(search.fresh === false ? POLL_MS : 0);
  return search;
}

function pollSoon(wait = POLL_MS) {
  if (polling) return;
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
}

// Ask about each search that may have news: its objects come in pieces, and the last ones after its end.
async function poll() {
  polling = true;
  let more = false;
  for (const search of [...searches.values()]) {
    if (search.fresh && !unfinished(search)) continue;
    try {
      const told = await callJson("jobs/" + search.id + "?run=" + search.run + "&since=" + search.objects.length);
      if (told.run !== search.run || told.since === 0) search.objects = [];
      const { objects, ...rest } = told;
      search.objects.push(...objects);
      Object.assign(search, rest, { fresh: !told.more });
    } catch (error) {
      Object.assign(search, { state: "failed", error: error.message, resumable: false, fresh: true });
    }
    showRow(search);
    showLayer(search);
    more ||= !search.fresh || unfinished(search);
  }
  polling = false;
  if (more) pollSoon([...searches.values()].some((search) => !search.fresh) ? 0 : POLL_MS);
}

function showLayer(search) {
  if (!search.objects.length && !search.provisional.length) return;
  const shapes = [...search.objects, ...search.provisional].map((found) => ({
    type: "polygon",
    parts: [found.points],
    label: [found.phrase, found.score == null ? "" : Math.round(found.score * 100) + " %", found.length == null ? "" : found.length.toFixed(1) + " × " + found.width.toFixed(1) + " m"].filter(Boolean).join(" · "),
  }));
  send("put-layer", { id: "job " + search.id, image_id: search.image_id, name: search.phrases.join(", "), shapes, formats: JSON.parse(props.formats), file: (format) => exportLayer(search, format) });
}

async function exportLayer(search, format) {
  say("Writing the file …");
  await attempt(async () => {
    const response = await callServer("jobs/" + search.id + "/layer?format=" + encodeURIComponent(format));
    saveBlob(await response.blob(), fileName(response));
    say("");
  });
}

function makeRow(told) {
  const button = (text, name, action) => node("button", { type: "button", textContent: text, dataset: { action: name }, onclick: () => attempt(action) });
  const formats = node("select", { ariaLabel: "Format" }, ...JSON.parse(props.formats).map(({ name, title }) => node("option", { value: name, textContent: title })));
  const row = node(
    "li",
    {},
    node("b", { textContent: told.phrases.join(", ") }),
    node("progress", { max: 1, value: 0, ariaLabel: "Windows looked through" }),
    node("span", { className: "gf-state" }),
    node(
      "div",
      { className: "gf-row" },
      button("Cancel", "cancel", async () => take({ ...(await callJson("jobs/" + told.id + "/cancel", {})) })),
      button("Resume", "resume", async () => refresh(await callJson("jobs/" + told.id + "/resume", {}))),
      formats,
      button("Export", "export", () => exportLayer(searches.get(told.id), formats.value)),
      button("Remove", "remove", async () => removeSearch(told.id)),
    ),
  );
  input("jobs").prepend(row);
  return row;
}

function refresh(told) {
  searches.get(told.id).fresh = false;
  take(told);
}

async function removeSearch(id) {
  const { row } = searches.get(id);
  await callJson("jobs/" + id + "/remove", {}).catch(() => {}); // a search that is gone is removed all the same
  searches.delete(id);
  row.remove();
  send("remove-layer", { id: "job " + id });
}

const STATES = { queued: "Waiting", running: "Searching", done: "Done", failed: "Failed", cancelled: "Cancelled" };

function showRow(search) {
  const { windows, row } = search;
  const count = (number) => number.toLocaleString("en");
  const state = row.querySelector(".gf-state");
  const parts = [STATES[search.state], count(windows.done) + " of " + count(windows.total) + " windows", count(search.found) + " found"];
  if (search.left_out) parts.push(count(search.left_out) + " less probable left out");
  if (windows.failed) parts.push(count(windows.failed) + " windows failed");
  if (search.limited) parts.push("inside an area");
  if (search.image_id !== openScene?.image_id) parts.push("of " + search.image);
  state.textContent = parts.join(" · ") + (search.error ? ": " + search.error : "");
  state.classList.toggle("bad", search.state === "failed");
  row.querySelector("progress").value = windows.total ? windows.done / windows.total : 0;
  row.dataset.state = search.state;
  row.querySelector("[data-action=cancel]").hidden = !unfinished(search);
  row.querySelector("[data-action=resume]").hidden = !search.resumable;
  row.querySelector("[data-action=export]").disabled = !search.found;
}

listen("regions", ({ count }) => {
  input("inside-text").textContent = "Only inside the drawn regions" + (count ? " (" + count + ")" : "");
});

// Another image, or a reloaded page: the session's searches are listed again.
listen("scene", ({ scene }) => {
  openScene = scene;
  if (!scene) return;
  attempt(async () => {
    const told = await callJson("jobs");
    if (told.length) element.querySelector("details").open = true;
    told.forEach(take);
  });
});
