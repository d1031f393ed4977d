// One cell opened: the images, both sides of the difference, every score of every repeat.

const opened = { sample: null, column: null };

function openCell(sample, column) {
  opened.sample = sample;
  opened.column = column;
  const dialog = $("detail");
  dialog.replaceChildren(bar(sample, column), sides(sample, column), siblings(sample, column));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  writeAddress();
}

function closeCell() {
  opened.sample = opened.column = null;
  writeAddress();
}

/** Open the neighbour: `down` rows and `right` columns away, among those shown. */
function step(down, right) {
  const columns = shownColumns();
  const place = state.order.indexOf(opened.sample) + down, number = columns.indexOf(opened.column) + right;
  if (place < 0 || place >= state.order.length || number < 0 || number >= columns.length) return;
  state.row = place;
  state.cell = number;
  openCell(state.order[place], columns[number]);
}

function button(text, title, action) {
  const made = make("button", "", text);
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", action);
  return made;
}

function bar(sample, column) {
  const place = make("div", "bar"), title = make("h2");
  title.id = "detail-title";
  title.tabIndex = -1;
  title.autofocus = true;
  const link = make("a", "", "link");
  link.href = cellAddress(sample, column);
  title.append(make("bdi", "", SAMPLES[sample].id), " · ", make("bdi", "", COLUMNS[column].name));
  const moves = make("div", "moves"), close = button("✕", "close (Esc)", () => $("detail").close());
  moves.append(link, button("↑", "previous sample (k)", () => step(-1, 0)), button("↓", "next sample (j)", () => step(1, 0)),
    button("←", "previous column", () => step(0, -1)), button("→", "next column", () => step(0, 1)));
  close.classList.add("close");
  place.append(title, moves, close);
  return place;
}

function sides(sample, column) {
  const place = make("div", "sides"), left = make("div", "left"), right = make("div", "right"), info = SAMPLES[sample];
  if (info.crop !== undefined) {
    const crop = image(info.crop, "the answer's box");
    crop.classList.add("crop");
    left.append(crop);
  }
  (info.pictures ?? []).forEach((_, n) => left.append(page(sample, n), make("div", "id text", info.names[n])));
  if (!info.pictures) info.names.forEach((name) => left.append(make("div", "id text", name)));
  left.append(tagList(info));
  const question = make("div", "question text");
  question.style.webkitLineClamp = "unset";
  putText(question, TEXTS[info.question]);
  putMore(question, info.question);
  right.append(question);
  const answers = CELLS[sample][column];
  if (answers === null) right.append(make("p", "empty", "not asked"));
  (answers ?? []).forEach((answer, n) => right.append(...answerParts(sample, answer, answers.length > 1 ? n + 1 : null)));
  if (answers?.length) {
    const scroll = make("div", "scroll");
    scroll.append(scoreTable(answers));
    right.append(scroll);
  }
  place.append(left, right);
  return place;
}

function tagList(info) {
  const list = make("dl");
  for (const name of ["doc_class", "question_type", "document"]) {
    if (info[name]) list.append(make("dt", "", name), make("dd", "text", info[name]));
  }
  return list;
}

function putMore(place, number) {
  if (DATA.more[number]) place.append(make("span", "skip", ` … and ${DATA.more[number]} characters more, not on this page; bakeoff export has all`));
}

function answerParts(sample, answer, repeat) {
  const parts = [], found = nearestDiff(sample, answer), references = SAMPLES[sample].references;
  const which = references.length > 1 && found ? ` (nearest of ${references.length})` : "";
  const reference = make("div", "side text"), shown = make("div", "side text");
  const number = found ? found[0] : references[0];
  if (number === undefined) reference.append(make("span", "empty", "no reference"));
  else if (!TEXTS[number]) reference.append(make("span", "empty", "empty: nothing is right"));
  else if (found) putDiff(reference, found[1], "reference");
  else putText(reference, TEXTS[number]);
  if (number !== undefined) putMore(reference, number);
  if (answer.s || answer.e !== undefined) {
    const told = make("p", "status text");
    putText(told, [answer.s, answer.k, answer.e === undefined ? "" : TEXTS[answer.e]].filter(Boolean).join(": "));
    parts.push(told);
  }
  if (answer.t !== undefined) {
    if (!TEXTS[answer.t]) shown.append(make("span", "empty", "an empty answer"));
    else if (found) putDiff(shown, found[1], "answer");
    else putText(shown, TEXTS[answer.t]);
    putMore(shown, answer.t);
    if (!found && references.length) shown.append(make("span", "skip", " (too long to be compared letter by letter)"));
  } else shown.append(make("span", "empty", "no answer"));
  return [make("h3", "", `Reference${which}`), reference, ...parts, make("h3", "", repeat ? `Answer ${repeat}` : "Answer"), shown];
}

function scoreTable(answers) {
  const table = make("table", "values"), head = make("tr"), rows = METRICS.map((metric, n) => [`${metric.name}${metric.isFraction ? (metric.direction === "lower" ? " ↓" : " ↑") : ""}`, (answer) => scoreText(answer.m?.[n], n)]);
  const more = [["latency_s", "l"], ["input_tokens", "i"], ["output_tokens", "o"], ["cost ($)", "c"], ["stop_reason", "r"]];
  for (const [name, key] of more) if (answers.some((answer) => answer[key] != null)) rows.push([name, (answer) => key === "c" ? dollarsText(answer.c) : String(answer[key] ?? "–")]);
  const corner = make("th", "", "score");
  corner.scope = "col";
  head.append(corner, ...answers.map((_, n) => { const th = make("th", "", answers.length > 1 ? `answer ${n + 1}` : "value"); th.scope = "col"; return th; }));
  table.append(make("thead"), make("tbody"));
  table.firstChild.append(head);
  for (const [name, text] of rows) {
    const row = make("tr"), label = make("th", "", name);
    label.scope = "row";
    row.append(label, ...answers.map((answer) => make("td", "", text(answer))));
    table.lastChild.append(row);
  }
  return table;
}

/** Return what all columns answered to this sample, each a button that opens it. */
function siblings(sample, current) {
  const place = make("section", "siblings"), table = make("table"), body = make("tbody"), columns = shownColumns();
  if (columns.length < 2) return place;
  table.append(body);
  room.left = WORK;
  for (const column of columns) {
    const row = make("tr", column === current ? "current" : ""), name = make("th"), score = make("td", "n"), shown = make("td");
    name.scope = "row";
    const open = button("", `open ${COLUMNS[column].name}`, () => { state.cell = columns.indexOf(column); openCell(sample, column); });
    open.append(make("bdi", "", COLUMNS[column].brief));
    name.append(open);
    const answers = CELLS[sample][column];
    if (answers === null) shown.append(make("span", "empty", "not asked"));
    else {
      score.append(verdictMark(sample, column), ` ${scoreText(scoreOf(sample, column), state.metric)}`);
      shown.append(...failureLine(answers), ...firstAnswer(sample, answers));
    }
    row.append(name, score, shown);
    body.append(row);
  }
  place.append(make("h3", "", `All columns on this sample, ${METRICS[state.metric].name}`), table);
  return place;
}
