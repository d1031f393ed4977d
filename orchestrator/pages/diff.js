// What differs between a reference and an answer, code point by code point, made for reading.

const EDIT = 100;
const GAP = 50; // a run of letters is easier to read than the same letters strewn about
const CELLS_MAX = 16e6;
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]/u;

/** Return [kind, reference, answer] triples, kinds "same", "changed", "gone" and "extra"; null where both are too long. */
function findDiff(reference, answer, most = CELLS_MAX) {
  const within = findWithin(reference, answer);
  if (within) return within;
  const a = Array.from(reference), b = Array.from(answer);
  let start = 0, endA = a.length, endB = b.length;
  while (start < endA && start < endB && a[start] === b[start]) start++;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
  if ((endA - start) * (endB - start) > most) return null;
  const steps = align(a.slice(start, endA), b.slice(start, endB));
  const whole = [...a.slice(0, start).map((c) => ["same", c, c]), ...steps, ...a.slice(endA).map((c) => ["same", c, c])];
  return joinSteps(whole);
}

/** Return the steps where one text is a part of the other: the commonest case, and found at once. */
function findWithin(reference, answer) {
  const [long, short, kind] = answer.length >= reference.length ? [answer, reference, "extra"] : [reference, answer, "gone"];
  const start = short ? long.indexOf(short) : -1;
  if (start < 0 || /[\udc00-\udfff]/.test(long[start + short.length] ?? "") || /[\udc00-\udfff]/.test(short[0])) return null;
  const side = (text) => (kind === "extra" ? [kind, "", text] : [kind, text, ""]);
  const steps = [side(long.slice(0, start)), ["same", short, short], side(long.slice(start + short.length))];
  return steps.filter(([, a, b]) => a || b);
}

/** Align two lists by Gotoh's algorithm (1982): edits cost EDIT, each run of insertions or deletions GAP more. */
function align(a, b) {
  const n = a.length, m = b.length, width = m + 1, far = 1e9;
  const from = new Uint8Array((n + 1) * width); // two bits each: where the best match, deletion, insertion came from
  let match = new Int32Array(width).fill(far), gone = new Int32Array(width).fill(far), extra = new Int32Array(width).fill(far);
  match[0] = 0;
  for (let j = 1; j <= m; j++) { extra[j] = GAP + j * EDIT; from[j] = (j === 1 ? 0 : 2) << 4; }
  for (let i = 1; i <= n; i++) {
    const up = [match, gone, extra];
    match = new Int32Array(width); gone = new Int32Array(width); extra = new Int32Array(width);
    match[0] = extra[0] = far;
    gone[0] = GAP + i * EDIT;
    from[i * width] = (i === 1 ? 0 : 1) << 2;
    for (let j = 1; j <= m; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : EDIT;
      const d0 = up[0][j - 1], d1 = up[1][j - 1], d2 = up[2][j - 1];
      const fromD = d0 <= d1 && d0 <= d2 ? 0 : d1 <= d2 ? 1 : 2;
      match[j] = cost + (fromD === 0 ? d0 : fromD === 1 ? d1 : d2);
      const g0 = up[0][j] + GAP, g1 = up[1][j], g2 = up[2][j] + GAP;
      const fromG = g1 <= g0 && g1 <= g2 ? 1 : g0 <= g2 ? 0 : 2;
      gone[j] = EDIT + (fromG === 0 ? g0 : fromG === 1 ? g1 : g2);
      const e0 = match[j - 1] + GAP, e1 = gone[j - 1] + GAP, e2 = extra[j - 1];
      const fromE = e2 <= e0 && e2 <= e1 ? 2 : e0 <= e1 ? 0 : 1;
      extra[j] = EDIT + (fromE === 0 ? e0 : fromE === 1 ? e1 : e2);
      from[i * width + j] = fromD | (fromG << 2) | (fromE << 4);
    }
  }
  return trace(a, b, from, width, [match[m], gone[m], extra[m]]);
}

function trace(a, b, from, width, ends) {
  const steps = [];
  let i = a.length, j = b.length, state = ends.indexOf(Math.min(...ends));
  while (i > 0 || j > 0) {
    const packed = from[i * width + j];
    if (state === 0) { i--; j--; steps.push([a[i] === b[j] ? "same" : "changed", a[i], b[j]]); state = packed & 3; }
    else if (state === 1) { i--; steps.push(["gone", a[i], ""]); state = (packed >> 2) & 3; }
    else { j--; steps.push(["extra", "", b[j]]); state = (packed >> 4) & 3; }
  }
  return steps.reverse();
}

function joinSteps(steps) {
  const joined = [];
  for (const [kind, a, b] of steps) {
    const last = joined[joined.length - 1];
    if (last && last[0] === kind) { last[1].push(a); last[2].push(b); } else joined.push([kind, [a], [b]]);
  }
  return joined.map(([kind, a, b]) => [kind, a.join(""), b.join("")]);
}

/** Return how many code points of `steps` are not the same on both sides. */
function countEdits(steps) {
  const length = (text) => Array.from(text).length;
  return steps.reduce((sum, [kind, a, b]) => sum + (kind === "same" ? 0 : Math.max(length(a), length(b))), 0);
}

/** Append `text` to `place` with what nobody sees named; where it is `marked`, so are spaces that stand alone. */
function putText(place, text, marked = false) {
  if (marked && !/\S/u.test(text)) text = text.replace(/ /g, "␣").replace(/\n/g, "⏎\n").replace(/\t/g, "⇥");
  let plain = "";
  for (const letter of text) {
    if (!INVISIBLE.test(letter) && !(letter >= "\ud800" && letter <= "\udfff")) { plain += letter; continue; }
    place.append(plain, make("span", "code", `⟨U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`));
    plain = "";
  }
  place.append(plain);
}

/** Tell whether more of the shorter text is in the other than is not: else what is missing is noise. */
function isAlike(steps) {
  const sums = steps.reduce(([same, a, b], [kind, left, right]) => [same + (kind === "same" ? left.length : 0), a + left.length, b + right.length], [0, 0, 0]);
  return sums[0] * 2 > Math.min(sums[1], sums[2]);
}

/**
 * Append the `side` of a diff to `place`: "reference", "answer", or "both", which is the answer with what is missing in
 * it. Runs longer than `longest` are cut in their middle.
 */
function putDiff(place, steps, side, longest = Infinity) {
  for (const [kind, a, b] of steps) {
    const isReference = side === "reference" || (side === "both" && kind === "gone"), text = isReference ? a : b;
    if (!text) continue;
    const target = kind === "same" ? place : place.appendChild(document.createElement(isReference ? "del" : "ins"));
    const letters = text.length > longest ? Array.from(text) : [];
    if (letters.length <= longest) { putText(target, text, kind !== "same"); continue; }
    const half = Math.floor(longest / 2);
    putText(target, letters.slice(0, half).join("").trimEnd().replace(/\s+/g, " "));
    target.append(make("span", "skip", ` … ${letters.length - 2 * half} more … `));
    putText(target, letters.slice(-half).join("").trimStart().replace(/\s+/g, " "));
  }
}

/** Return a new element with a class and, where given, text. */
function make(name, className = "", text = null) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== null) element.textContent = text;
  return element;
}
