// The data of the page, and what is right and wrong in it.

const DATA = JSON.parse(document.getElementById("data").textContent);
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

/** Return a price with the digits that matter, which a cheap answer has far behind the point. */
function dollarsText(cost) {
  if (cost == null) return "–";
  return cost.toFixed(cost > 0 ? Math.min(12, Math.max(2, 2 - Math.floor(Math.log10(cost)))) : 2);
}

/** Return a score as the tables have it: see number_text in reporting/numbers.py. */
function scoreText(score, metric) {
  if (score == null || Number.isNaN(score)) return "–";
  const { unit, isFraction } = METRICS[metric];
  if (unit === "US dollars") return score.toFixed(Math.abs(score) < 1 ? 5 : 2);
  if (isFraction && score < 1) score = Math.min(score, 0.999);
  return score.toFixed(unit === "characters" || unit === "tokens" ? 1 : 3);
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
