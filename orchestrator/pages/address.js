// The address: `#sample/column?view`, where a view is what is filtered, sorted and hidden. A link shows the same again.

const plainly = { to: (value) => value, from: (text) => text };
const classwise = { to: (value) => value.slice(1), from: (text) => `=${text}` };
/** Selects that are in the address, with how their values are written there and read. */
const FIELDS = {
  show: plainly,
  metric: { to: (value) => METRICS[value].name, from: (text) => String(METRICS.findIndex((metric) => metric.name === text)) },
  doc_class: classwise,
  question_type: classwise,
  sort: plainly,
};
const usual = {}; // what selects say at the start, and no address has to

/** Return the view as text, "" where nothing was chosen. */
function viewText() {
  const view = new URLSearchParams(), wanted = $("search").value.trim();
  if (wanted) view.set("search", wanted);
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = name === "sort" ? state.sort : $(name).value;
    if (value !== usual[name]) view.set(name, field.to(value));
  }
  if (state.column !== null) view.set("worst", COLUMNS[state.column].key);
  for (const column of [...state.hidden].sort((a, b) => a - b)) view.append("hide", COLUMNS[column].key);
  return view.toString();
}

/** Set filters, order and columns as `text` says; return what of it this page does not have. */
function setView(text) {
  const view = new URLSearchParams(text), unknown = [];
  const find = (name, key) => { const column = COLUMNS.findIndex((each) => each.key === key); if (column < 0) unknown.push(`${name} ${key}`); return column; };
  $("search").value = view.get("search") ?? "";
  for (const [name, field] of Object.entries(FIELDS)) {
    const said = view.get(name), value = said === null ? usual[name] : field.from(said);
    const isThere = [...$(name).options].some((each) => each.value === value && !each.disabled);
    $(name).value = isThere ? value : usual[name];
    if (!isThere) unknown.push(`${name} ${said}`);
  }
  state.hidden = new Set(view.getAll("hide").map((key) => find("hide", key)).filter((column) => column >= 0));
  const worst = view.get("worst"), column = worst === null ? -1 : find("worst", worst);
  state.column = column < 0 || state.hidden.has(column) ? null : column;
  for (const check of $("columns").querySelectorAll("input")) check.checked = !state.hidden.has(Number(check.dataset.column));
  return unknown;
}

/** Return the link to a cell, in the view of now; a column is model~params~prompt. */
function cellAddress(sample, column) {
  const view = viewText();
  return `#${encodeURIComponent(SAMPLES[sample].id)}/${encodeURIComponent(COLUMNS[column].key)}${view ? `?${view}` : ""}`;
}

/** Write what is shown into the address, in the place of what is there. */
function writeAddress() {
  const view = viewText();
  const place = opened.sample === null ? (view ? `#?${view}` : location.pathname + location.search) : cellAddress(opened.sample, opened.column);
  history.replaceState(null, "", place);
}

/** Show what the address names: a view, a cell, or both; say so where the page does not have it. */
function openAddress() {
  const [place, ...rest] = location.hash.slice(1).split("?"), parts = place.split("/");
  if (!rest.length && parts.length !== 2) return;
  if (rest.length) {
    const unknown = setView(rest.join("?"));
    refresh(false);
    $("closer").scrollIntoView();
    if (unknown.length) $("count").textContent += `; the address names what this page does not have: ${unknown.join(", ")}`;
  }
  if (parts.length === 2) openNamed(parts);
}

function openNamed(parts) {
  let names;
  try { names = parts.map(decodeURIComponent); } catch { return; }
  const sample = SAMPLES.findIndex((each) => each.id === names[0]);
  const column = COLUMNS.findIndex((each) => each.key === names[1]);
  if (sample < 0 || column < 0) {
    $("count").textContent = sample < 0 ? "The sample in the address is not among those on this page." : "There is no such column as in the address.";
    return;
  }
  const place = state.order.indexOf(sample);
  if (place >= 0) { $("closer").scrollIntoView(); goTo(place, Math.max(0, shownColumns().indexOf(column))); }
  openCell(sample, column);
}
