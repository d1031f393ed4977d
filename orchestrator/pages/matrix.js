// The matrix: only the rows in sight are in the document.

const SPARE_ROWS = 4;

function headRow() {
  const row = make("tr");
  const first = make("th", "", "sample");
  first.scope = "col";
  row.append(first);
  for (const column of shownColumns()) {
    const head = make("th");
    head.scope = "col";
    const button = make("button");
    button.type = "button";
    button.append(make("span", "name", COLUMNS[column].model));
    button.title = `${COLUMNS[column].name}\nsort by this column, the worst first`;
    if (COLUMNS[column].short) button.append(make("small", "", COLUMNS[column].short));
    button.addEventListener("click", () => sortByColumn(state.column === column ? null : column));
    if (state.column === column) head.setAttribute("aria-sort", "descending");
    head.append(button, make("span", "tally", tally(column)));
    row.append(head);
  }
  return row;
}

/** Return how many of the samples shown are wrong in a column; of those without a score only what failed counts. */
function tally(column) {
  if (!METRICS[state.metric].isFraction) return "";
  const asked = state.order.filter((sample) => CELLS[sample][column] !== null && (isFailed(sample, column) || !Number.isNaN(scoreOf(sample, column))));
  if (!asked.length) return "not scored";
  return `✗ ${asked.filter((sample) => isWrong(sample, column)).length} of ${asked.length}`;
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
  room.left = WORK;
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
  $("box").style.minHeight = $("box").style.maxHeight = "";
  renderRows();
  fitBox();
}

/** Make the box no higher than its rows. */
function fitBox() {
  const box = $("box"), height = $("head").offsetHeight + state.order.length * state.height + box.offsetHeight - box.clientHeight;
  if (height >= box.offsetHeight) return;
  box.style.minHeight = "0";
  box.style.maxHeight = `${height}px`;
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
