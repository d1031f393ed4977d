// Filters, order, keys: what a person does with the page.

const FOLD = /\s+/g;
const words = new Map(); // per sample, all of its texts in lower case, made when somebody searches
const collator = new Intl.Collator(undefined, { numeric: true });

function textOf(sample) {
  if (!words.has(sample)) {
    const info = SAMPLES[sample];
    const answers = CELLS[sample].flatMap((cell) => (cell ?? []).flatMap((answer) => [answer.t, answer.e])).filter((n) => n !== undefined);
    words.set(sample, [info.id, ...info.names, ...[info.question, ...info.references, ...answers].map((n) => TEXTS[n])].join("\n").toLowerCase());
  }
  return words.get(sample);
}

function disagree(sample, columns) {
  const answers = columns.filter((column) => CELLS[sample][column]?.length).map((column) => {
    const first = CELLS[sample][column].find((answer) => answer.t !== undefined);
    return first ? TEXTS[first.t].trim().replace(FOLD, " ").toLowerCase() : null;
  });
  return new Set(answers).size > 1;
}

const FILTERS = {
  all: () => true,
  wrong: (sample, columns) => columns.some((column) => isWrong(sample, column)),
  everywhere: (sample, columns) => columns.some((c) => CELLS[sample][c]) && columns.every((c) => !CELLS[sample][c] || isWrong(sample, c)),
  disagree,
  split: (sample, columns) => {
    const asked = columns.filter((column) => CELLS[sample][column] && !(Number.isNaN(scoreOf(sample, column)) && !isFailed(sample, column)));
    return asked.some((column) => isWrong(sample, column)) && asked.some((column) => !isWrong(sample, column));
  },
  failed: (sample, columns) => columns.some((column) => isFailed(sample, column)),
};

/** What samples are sorted by, the largest first; what has no score counts as the worst where it failed, else as none. */
const ORDERS = {
  worst: (sample, columns) => mean(columns.map((column) => badOrFailed(sample, column)).filter((v) => !Number.isNaN(v))),
  spread: (sample, columns) => {
    const all = columns.map((column) => badOrFailed(sample, column)).filter((v) => !Number.isNaN(v));
    return all.length ? Math.max(...all) - Math.min(...all) : -1;
  },
  long: (sample) => Math.max(-1, ...SAMPLES[sample].references.map((number) => TEXTS[number].length + (DATA.more[number] ?? 0))),
};

function badOrFailed(sample, column) {
  const score = scoreOf(sample, column), metric = METRICS[state.metric];
  if (!Number.isNaN(score)) return badness(score);
  return isFailed(sample, column) && metric.isFraction ? (metric.direction === "lower" ? 1 : 0) : NaN;
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : -Infinity;
}

/** Find the samples to show, in their order, and show them; the address follows unless it came from there. */
function refresh(isNew = true) {
  const columns = shownColumns(), wanted = $("search").value.trim().toLowerCase();
  const filter = FILTERS[$("show").value], docClass = $("doc_class").value, questionType = $("question_type").value;
  state.metric = Number($("metric").value);
  state.order = [...SAMPLES.keys()].filter((sample) =>
    (!docClass || (SAMPLES[sample].doc_class ?? "") === docClass.slice(1)) &&
    (!questionType || (SAMPLES[sample].question_type ?? "") === questionType.slice(1)) &&
    (!wanted || textOf(sample).includes(wanted)) && filter(sample, columns));
  if ($("sort").value !== "column") state.sort = $("sort").value;
  $("sort").value = state.column === null ? state.sort : "column";
  const order = state.column !== null ? (sample) => { const v = badOrFailed(sample, state.column); return Number.isNaN(v) ? -Infinity : v; } : ORDERS[$("sort").value];
  if (order) {
    const keys = new Map(state.order.map((sample) => [sample, order(sample, columns)]));
    state.order.sort((a, b) => (keys.get(b) > keys.get(a)) - (keys.get(b) < keys.get(a)) || a - b);
  }
  $("count").textContent = `${state.order.length.toLocaleString("en")} of ${SAMPLES.length.toLocaleString("en")} ${SAMPLES.length === 1 ? "sample" : "samples"}`;
  state.row = 0;
  state.cell = Math.min(state.cell, Math.max(0, columns.length - 1));
  $("box").scrollTop = 0;
  renderMatrix();
  $("reset").hidden = !viewText();
  if (isNew) writeAddress();
}

function sortByColumn(column) {
  state.column = column;
  refresh();
  $("head").querySelectorAll("button")[shownColumns().indexOf(column)]?.focus();
}

function option(value, text) {
  const made = make("option", "", text);
  made.value = value;
  return made;
}

/** Return what a class is called: see group_name in breakdowns.py. */
function groupName(value) {
  if (!value) return "(none)";
  return [...value].every((letter) => !letter.trim() || INVISIBLE.test(letter)) ? "(blank)" : value;
}

function fillClasses(name, label) {
  const values = [...new Set(SAMPLES.map((sample) => sample[name] ?? ""))].sort(collator.compare);
  $(name).append(option("", "all"), ...values.map((value) => option(`=${value}`, groupName(value))));
  $(label).hidden = values.length < 2;
}

function fillTools() {
  METRICS.forEach((metric, number) => $("metric").append(option(String(number), metric.name)));
  $("metric").value = String(Math.max(0, METRICS.findIndex((metric) => metric.isMain)));
  fillClasses("doc_class", "classes");
  fillClasses("question_type", "types");
  COLUMNS.forEach((column, number) => {
    const label = make("label"), check = make("input");
    check.type = "checkbox";
    check.checked = true;
    check.dataset.column = number;
    check.addEventListener("change", () => { if (check.checked) state.hidden.delete(number); else state.hidden.add(number); if (state.hidden.has(state.column)) state.column = null; refresh(); });
    label.append(check, make("bdi", "", column.name));
    $("columns").append(label);
  });
  for (const name of Object.keys(FIELDS)) usual[name] = $(name).value;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target, isTyping = target.closest?.("input, select, textarea");
  if ($("help").open) return;
  if ($("detail").open) { onDetailKey(event); return; }
  if (isTyping) {
    if (event.key === "Escape" && target.id === "search") { target.value = ""; refresh(); $("box").focus(); }
    return;
  }
  const inMatrix = target.closest?.("#body td"), arrows = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (event.key === "/") { event.preventDefault(); $("search").focus(); $("search").select(); }
  else if (event.key === "?") $("help").showModal();
  else if (event.key === "j" || event.key === "k") { event.preventDefault(); moveRow(event.key === "j" ? 1 : -1, inMatrix); }
  else if (inMatrix && arrows[event.key]) { event.preventDefault(); goTo(state.row + arrows[event.key][0], state.cell + arrows[event.key][1]); }
  else if (inMatrix && event.key === "Enter") { event.preventDefault(); openCell(state.order[state.row], shownColumns()[state.cell]); }
}

function moveRow(by, wasInside) {
  if (!wasInside) $("closer").scrollIntoView({ block: "start" });
  goTo(wasInside ? state.row + by : state.row, state.cell);
}

function onDetailKey(event) {
  const steps = { j: [1, 0], k: [-1, 0], ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (steps[event.key] && !event.target.closest?.(".side")) { event.preventDefault(); step(...steps[event.key]); }
}

function start() {
  if (!SAMPLES.length || !COLUMNS.length) { $("count").textContent = "There is no answer to look at."; return; }
  fillTools();
  $("tools").hidden = $("box").hidden = $("legend").hidden = false;
  refresh(false);
  let frame = 0, typing = 0;
  $("box").addEventListener("scroll", () => { frame ||= requestAnimationFrame(() => { frame = 0; renderRows(); }); }, { passive: true });
  $("tools").addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => refresh(), 120); });
  for (const id of ["show", "doc_class", "question_type", "metric"]) $(id).addEventListener("change", () => refresh());
  $("sort").addEventListener("change", () => { state.column = null; refresh(); });
  $("body").addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-column]");
    if (!cell || getSelection().toString()) return;
    goTo(Number(cell.dataset.row), shownColumns().indexOf(Number(cell.dataset.column)));
    openCell(state.order[state.row], Number(cell.dataset.column));
  });
  $("detail").addEventListener("close", () => { closeCell(); goTo(state.row, state.cell); });
  $("reset").addEventListener("click", () => { setView(""); refresh(); goTo(0, 0); });
  $("help-button").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", openAddress);
  matchMedia("(max-width: 45rem)").addEventListener("change", renderMatrix);
  openAddress();
}

/** Open on paper what is closed on the screen, and close it again. */
function unfold() {
  const closed = [...document.querySelectorAll("main details:not([open], .menu)")];
  closed.forEach((each) => { each.open = true; });
  addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }), { once: true });
}

addEventListener("beforeprint", unfold);
start();
