// The data of the page, what is right and wrong in it, and the matrix: only the rows in sight are in the document.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SMALL_DIFF = 150000; // reference by answer: what takes about a millisecond
const SPARE_ROWS = 4;
const $ = (id) => document.getElementById(id);
const { metrics: METRICS, columns: COLUMNS, samples: SAMPLES, cells: CELLS, texts: TEXTS } = DATA;
const state = { metric: 0, sort: "order", column: null, order: [], row: 0, cell: 0, hidden: new Set(), height: 0, rows: new Map() };
let pictures = null;

COLUMNS.forEach((column) => {
  column.name = [column.model, column.params, column.prompt].filter(Boolean).join(" / ");
  column.brief = [column.model, column.short].filter(Boolean).join(" / ");
  column.key = [column.model, column.params, column.prompt].filter(Boolean).join("~");
});

function pictureOf(number) {
  pictures ??= JSON.parse($("pictures").textContent);
  return pictures[number];
}

/** Return the mean score of a cell's repeats by the metric chosen, NaN where none has one. */
function scoreOf(sample, column, metric = state.metric) {
  const scores = (CELLS[sample][column] ?? []).map((answer) => answer.m?.[metric]).filter((score) => score != null);
  return scores.length ? scores.reduce((sum, score) => sum + score, 0) / scores.length : NaN;
}

/** Return how bad a score is: higher is worse, whatever the metric's direction. */
function badness(score) {
  return METRICS[state.metric].direction === "lower" ? score : -score;
}

function isFailed(sample, column) {
  const answers = CELLS[sample][column];
  return answers !== null && answers.some((answer) => answer.s);
}

/** Tell whether a cell failed or has less than the full score; metrics that have no full score know no wrong. */
function isWrong(sample, column) {
  if (CELLS[sample][column] === null) return false;
  if (isFailed(sample, column)) return true;
  const metric = METRICS[state.metric], score = scoreOf(sample, column);
  return metric.isFraction && (metric.direction === "lower" ? score > 0 : score < 1);
}

function shownColumns() {
  return [...COLUMNS.keys()].filter((column) => !state.hidden.has(column));
}

function scoreText(score, metric) {
  if (score == null || Number.isNaN(score)) return "–";
  return Math.abs(score) >= 100 || METRICS[metric].unit === "characters" ? score.toFixed(0) : score.toFixed(3).replace(/^(-?\d+)\.000$/, "$1");
}

/** Return [reference's number, steps] of the reference that is nearest, or null where there is nothing to compare. */
function nearestDiff(sample, answer, most) {
  if (answer.t === undefined) return null;
  let best = null;
  for (const number of SAMPLES[sample].references) {
    const steps = findDiff(TEXTS[number], TEXTS[answer.t], most);
    if (steps === null) continue;
    const edits = countEdits(steps);
    if (best === null || edits < best[2]) best = [number, steps, edits];
  }
  return best;
}

function headRow() {
  const row = make("tr");
  const first = make("th", "", "sample");
  first.scope = "col";
  row.append(first);
  for (const column of shownColumns()) {
    const head = make("th");
    head.scope = "col";
    const button = make("button", "", COLUMNS[column].model);
    button.type = "button";
    button.title = `${COLUMNS[column].name}\nsort by this column, the worst first`;
    if (COLUMNS[column].short) button.append(make("small", "", COLUMNS[column].short));
    button.addEventListener("click", () => sortByColumn(state.column === column ? null : column));
    if (state.column === column) head.setAttribute("aria-sort", "descending");
    head.append(button, make("span", "tally", tally(column)));
    row.append(head);
  }
  return row;
}

/** Return how many of the samples shown are wrong in a column, "" where the metric knows no wrong. */
function tally(column) {
  if (!METRICS[state.metric].isFraction) return "";
  const asked = state.order.filter((sample) => CELLS[sample][column] !== null);
  return `✗ ${asked.filter((sample) => isWrong(sample, column)).length} of ${asked.length}`;
}

/** Return ✓ or ✗ by the metric chosen, nothing where that knows no wrong or there is no score. */
function verdictMark(sample, column) {
  const knows = isFailed(sample, column) || (METRICS[state.metric].isFraction && !Number.isNaN(scoreOf(sample, column)));
  if (!knows) return make("span");
  const wrong = isWrong(sample, column), mark = make("span", wrong ? "is-wrong" : "is-right", wrong ? "✗" : "✓");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", wrong ? "wrong" : "right");
  return mark;
}

function image(number, alt) {
  const picture = pictureOf(number);
  if (picture.defect) return make("span", "status", picture.defect);
  const element = make("img");
  element.src = `data:image/jpeg;base64,${picture.source}`;
  element.width = picture.width;
  element.height = picture.height;
  element.alt = alt;
  element.decoding = "async";
  return element;
}

/** Return a sample's picture number `place` with the answer's box drawn on the first. */
function page(sample, place) {
  const frame = make("span", "page");
  const shown = image(SAMPLES[sample].pictures[place], SAMPLES[sample].names[place]);
  frame.append(shown);
  const box = SAMPLES[sample].box;
  if (place === 0 && box && shown.tagName === "IMG") {
    const mark = make("span", "mark-box");
    ["left", "top", "width", "height"].forEach((name, n) => { mark.style[name] = `${box[n]}%`; });
    frame.append(mark);
  }
  return frame;
}

function sampleCell(place, sample) {
  const head = make("th"), inner = make("div", "inner"), grid = make("div", "sample"), left = make("div"), right = make("div");
  const info = SAMPLES[sample];
  head.scope = "row";
  if (info.pictures?.length) left.append(page(sample, 0));
  right.append(make("div", "id text", info.id));
  const question = make("div", "question text");
  putText(question, TEXTS[info.question]);
  right.append(question);
  if (info.crop !== undefined) {
    const crop = image(info.crop, "the answer's box");
    crop.classList.add("crop");
    right.append(crop);
  }
  const reference = make("div", "reference text");
  if (!info.references.length) reference.append(make("span", "empty", "no reference"));
  info.references.forEach((number, n) => {
    if (n) reference.append(make("span", "skip", " or "));
    if (TEXTS[number]) putText(reference, TEXTS[number].slice(0, 300)); else reference.append(make("span", "empty", "empty: nothing is right"));
  });
  right.append(reference, make("div", "tags text", [info.doc_class, info.question_type].filter(Boolean).join(" · ")));
  if (!info.pictures?.length) grid.style.gridTemplateColumns = "minmax(0, 1fr)"; else grid.append(left);
  grid.append(right);
  inner.append(grid);
  head.append(inner);
  return head;
}

function scoresLine(sample, column) {
  const line = make("div", "scores");
  const chosen = METRICS[state.metric];
  line.append(verdictMark(sample, column), make("b", "", `${chosen.name} ${scoreText(scoreOf(sample, column), state.metric)}`));
  METRICS.forEach((metric, number) => {
    if (metric.isMain && number !== state.metric) line.append(make("span", "", `${metric.name} ${scoreText(scoreOf(sample, column, number), number)}`));
  });
  const answers = CELLS[sample][column];
  if (answers.length > 1) {
    const different = new Set(answers.map((answer) => answer.t)).size;
    if (answers.some((answer) => answer.t !== undefined)) line.append(make("span", "", different === 1 ? `${answers.length} repeats, alike` : `first of ${answers.length} repeats, ${different} different`));
  }
  return line;
}

function heatClass(sample, column) {
  const metric = METRICS[state.metric], score = scoreOf(sample, column);
  if (!metric.isFraction || Number.isNaN(score) || score < 0 || score > 1) return "";
  return `heat${Math.round(9 * (metric.direction === "lower" ? score : 1 - score))}`;
}

function answerCell(place, sample, column) {
  const cell = make("td"), inner = make("div", "inner");
  cell.tabIndex = -1;
  cell.dataset.row = place;
  cell.dataset.column = column;
  const answers = CELLS[sample][column];
  if (answers === null) {
    inner.append(make("span", "empty", "not asked"));
  } else {
    const top = scoresLine(sample, column);
    top.className += ` ${heatClass(sample, column)}`;
    inner.append(top);
    inner.append(...failureLine(answers), ...firstAnswer(sample, answers));
  }
  cell.append(inner);
  return cell;
}

function failureLine(answers) {
  const failed = answers.find((answer) => answer.s);
  if (!failed) return [];
  const count = answers.filter((answer) => answer.s).length, which = answers.length > 1 ? ` ${count} of ${answers.length}` : "";
  return [make("span", "status text", [failed.s + which, failed.e === undefined ? "" : TEXTS[failed.e].slice(0, 200)].filter(Boolean).join(": "))];
}

function firstAnswer(sample, answers) {
  const first = answers.find((answer) => answer.t !== undefined);
  return first ? [shortAnswer(sample, first)] : [];
}

function shortAnswer(sample, answer) {
  const place = make("div", "answer text");
  const found = nearestDiff(sample, answer, SMALL_DIFF);
  if (!TEXTS[answer.t]) place.append(make("span", "empty", "an empty answer"));
  else if (found) putDiff(place, found[1], isAlike(found[1]) ? "both" : "answer", 60);
  else putText(place, TEXTS[answer.t].slice(0, 400));
  return place;
}

function makeRow(place) {
  const sample = state.order[place], row = make("tr");
  row.setAttribute("aria-rowindex", place + 2);
  row.append(sampleCell(place, sample));
  for (const column of shownColumns()) row.append(answerCell(place, sample, column));
  return row;
}

/** Put the rows in sight into the document and take the others out. */
function renderRows() {
  const box = $("box"), body = $("body"), count = state.order.length;
  state.height ||= measureRow();
  const first = Math.max(0, Math.floor(box.scrollTop / state.height) - SPARE_ROWS);
  const last = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / state.height) + SPARE_ROWS);
  const had = document.activeElement?.closest?.("#body td")?.dataset.row;
  for (const [place, row] of state.rows) if (place < first || place >= last) { row.remove(); state.rows.delete(place); }
  const [before, after] = body.querySelectorAll(".gap");
  for (let place = first, next = before.nextSibling; place < last; place++) {
    let row = state.rows.get(place);
    if (!row) { row = makeRow(place); state.rows.set(place, row); body.insertBefore(row, next); }
    next = row.nextSibling;
  }
  before.firstChild.style.height = `${first * state.height}px`;
  after.firstChild.style.height = `${(count - last) * state.height}px`;
  markActive(had !== undefined);
}

function measureRow() {
  if (!state.order.length) return 0;
  const row = makeRow(0);
  $("body").append(row);
  const height = row.getBoundingClientRect().height;
  row.remove();
  return height;
}

/** Begin the matrix anew, after a filter, an order or the columns changed. */
function renderMatrix() {
  const phone = matchMedia("(max-width: 45rem)").matches, columns = shownColumns();
  const first = phone ? 150 : 350, least = phone ? 215 : columns.length > 2 ? 230 : 290;
  const widths = [first, Math.max(least, Math.floor(($("box").clientWidth - first - 2) / Math.max(1, columns.length)))];
  $("head").replaceChildren(headRow());
  $("cols").replaceChildren(...[widths[0], ...columns.map(() => widths[1])].map((width) => {
    const col = make("col");
    col.style.width = `${width}px`;
    return col;
  }));
  $("matrix").style.width = `${widths[0] + widths[1] * columns.length}px`;
  $("matrix").setAttribute("aria-rowcount", state.order.length + 1);
  const gaps = [0, 1].map(() => {
    const row = make("tr", "gap"), cell = make("td");
    row.setAttribute("aria-hidden", "true");
    cell.colSpan = columns.length + 1;
    row.append(cell);
    return row;
  });
  $("body").replaceChildren(...gaps);
  state.rows.clear();
  state.height = 0;
  renderRows();
}

function markActive(withFocus) {
  const columns = shownColumns();
  for (const cell of $("body").querySelectorAll('td[tabindex="0"]')) cell.tabIndex = -1;
  const cell = state.rows.get(state.row)?.children[state.cell + 1];
  if (!cell || !columns.length) return;
  cell.tabIndex = 0;
  if (withFocus && document.activeElement !== cell) cell.focus({ preventScroll: true });
}

/** Make a cell the active one, bring it into sight and focus it. */
function goTo(row, cell) {
  const columns = shownColumns(), box = $("box");
  if (!state.order.length || !columns.length) return;
  state.row = Math.max(0, Math.min(state.order.length - 1, row));
  state.cell = Math.max(0, Math.min(columns.length - 1, cell));
  const head = $("head").offsetHeight, top = state.row * state.height;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + state.height > box.scrollTop + box.clientHeight - head) box.scrollTop = top + state.height - box.clientHeight + head;
  renderRows();
  const shown = state.rows.get(state.row)?.children[state.cell + 1];
  if (!shown) return;
  const side = $("head").firstChild.firstChild.offsetWidth, left = shown.offsetLeft - side, right = shown.offsetLeft + shown.offsetWidth;
  if (left < box.scrollLeft) box.scrollLeft = left;
  if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = Math.min(left, right - box.clientWidth);
  markActive(true);
}
