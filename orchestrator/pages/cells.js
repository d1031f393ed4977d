// The cells of the matrix: a sample, and an answer with its scores and what differs.

const SMALL_DIFF = 150000; // pairs of letters: what takes some milliseconds
const WORK = 300000; // pairs of letters that a look at the matrix may take before it is shown
const DIFFS_MAX = 5000;
const diffs = new Map(); // by answer, the nearest difference, since rows come and go
const waiting = [];
const room = { left: 0 };
const whenIdle = window.requestIdleCallback?.bind(window) ?? ((work) => setTimeout(work, 20, { timeRemaining: () => 0 }));

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
  const shown = image(SAMPLES[sample].pictures[place], SAMPLES[sample].names[place]);
  const frame = make("span", shown.tagName === "IMG" ? "page" : "page is-gone");
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

/** Return an answer with what differs; where that takes long, as plain text until the browser has nothing else to do. */
function shortAnswer(sample, answer) {
  const place = make("div", "answer text"), work = diffs.has(answer) ? 0 : diffWork(sample, answer);
  if (!TEXTS[answer.t]) place.append(make("span", "empty", "an empty answer"));
  else if (work <= room.left) {
    room.left -= work;
    putAnswer(place, sample, answer);
  } else {
    putText(place, TEXTS[answer.t].slice(0, 400));
    later(place, sample, answer);
  }
  return place;
}

function putAnswer(place, sample, answer) {
  const found = keptDiff(sample, answer);
  if (found) putDiff(place, found[1], isAlike(found[1]) ? "both" : "answer", 60);
  else putText(place, TEXTS[answer.t].slice(0, 400));
}

/** Return how many pairs of letters the difference of an answer takes, at most. */
function diffWork(sample, answer) {
  const sizes = SAMPLES[sample].references.map((number) => TEXTS[number].length * TEXTS[answer.t].length);
  return sizes.reduce((sum, size) => sum + Math.min(size, SMALL_DIFF), 0);
}

function keptDiff(sample, answer) {
  if (!diffs.has(answer)) {
    if (diffs.size >= DIFFS_MAX) diffs.delete(diffs.keys().next().value);
    diffs.set(answer, nearestDiff(sample, answer, SMALL_DIFF));
  }
  return diffs.get(answer);
}

function later(place, sample, answer) {
  waiting.push([place, sample, answer]);
  if (waiting.length === 1) whenIdle(showWaiting);
}

/** Put the differences that wait into answers that are still there, the last rows first, while there is time. */
function showWaiting(deadline) {
  do {
    const next = waiting.pop();
    if (next?.[0].isConnected) {
      next[0].replaceChildren();
      putAnswer(...next);
    }
  } while (waiting.length && deadline.timeRemaining() > 2);
  if (waiting.length) whenIdle(showWaiting);
}

