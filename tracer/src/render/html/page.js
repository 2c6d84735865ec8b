// The page: puts the figures in their places, lets the reader zoom and look. All words of the
// target (names, arguments) go in as text.

const figures = JSON.parse(document.getElementById("figures").textContent);
const judged = figures.judged;
const $ = (id) => document.getElementById(id);

function add(parent, tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  parent.append(node);
  return node;
}

function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let n = Math.abs(bytes), unit = 0;
  while (n >= 1023.995 && unit < units.length - 1) { n /= 1024; unit++; }
  const text = n.toFixed(n >= 99.995 ? 1 : 2).replace(/\.?0+$/, "");
  return `${bytes < 0 ? "−" : ""}${text} ${units[unit]}`;
}

function signedText(bytes) {
  return bytes === null ? "–" : `${bytes > 0 ? "+" : ""}${bytesText(bytes)}`;
}

/** A time; with a step, so many digits that neighbours on an axis differ. */
function timeText(ns, step) {
  const steps = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]];
  if (ns >= 6e10) {
    const seconds = ns / 1e9;
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const rest = String(step && step < 1e9 ? s.toFixed(2) : Math.floor(s)).padStart(2, "0");
    return h ? `${h} h ${String(m).padStart(2, "0")} min` : `${m} min ${rest} s`;
  }
  const [unit, size] = steps.findLast(([, size]) => ns >= size) ?? steps[0];
  const digits = step ? Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9)) : ns / size >= 100 ? 0 : 2;
  return ns === 0 ? "0" : `${(ns / size).toFixed(Math.min(digits, 6))} ${unit}`;
}

const count = (n) => n.toLocaleString("en-US");
const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;

const end = Math.max(figures.duration_ns, 1);
const total = series(figures.total, 1, figures.page_bytes);
const classes = series(figures.classes, 3, figures.page_bytes);
const rows = figures.rows.map((row) => ({
  ...row,
  name: row.comm || "?",
  start: row.start_ns ?? 0,
  end: row.end_ns ?? end,
  level: series(row.level, 1, figures.page_bytes),
}));

/** Rows of one process: from its start through all its execs. */
const lanes = [];
const laneOf = new Map();
for (const row of rows.slice().sort((a, b) => a.start - b.start || a.image - b.image)) {
  let lane = row.pid === null || row.image === 0 ? undefined : laneOf.get(row.pid);
  if (!lane) {
    lane = { pid: row.pid, rows: [], peak: -1, name: row.name };
    lanes.push(lane);
    laneOf.set(row.pid, lane);
  }
  lane.rows.push(row);
  if ((row.peak_bytes ?? 0) > lane.peak) Object.assign(lane, { peak: row.peak_bytes ?? 0, name: row.name });
}
for (const lane of lanes) {
  lane.held = lane.rows.reduce((sum, row) => sum + heldIn(row.level), 0);
}
const tracks = phaseTracks(figures.phases, figures.page_bytes);
const highestPeak = Math.max(1, ...lanes.map((lane) => lane.peak));

// ---- head

const peak = figures.peak;
const exact = figures.certainty.peak_error_bound_bytes === 0;
const { argv, pids, path, container_name, pod_name } = figures.target;
$("command").textContent = argv ? argv.join(" ") : pids ? `PID ${pids.join(", ")}` : container_name ? `container ${container_name}` : pod_name ? `pod ${pod_name}` : `cgroup ${path}`;
const told = figures.certainty.stream.max_rss_bytes;
$("peak").textContent = peak ? bytesText(peak.rss_bytes) : told === null ? "not known" : `at least ${bytesText(told)}`;
$("worth").textContent = exact ? "exact" : figures.certainty.peak_error_bound_bytes === null ? "not certain" : `at most ${bytesText(figures.certainty.peak_error_bound_bytes)} off`;
$("worth").classList.toggle("good", exact);
if (peak) {
  const alive = peak.processes === null ? "" : `, with ${many(peak.processes, "process", "processes")} alive`;
  $("moment").textContent = `${peak.at_ns === null ? "at a time not known, within" : `after ${timeText(peak.at_ns)} of`} ${timeText(figures.duration_ns)}${alive}`;
  if (peak.anon_bytes !== null) $("made-of").textContent = `anonymous ${bytesText(peak.anon_bytes)} · files ${bytesText(peak.file_bytes)} · shared ${bytesText(peak.shmem_bytes)}`;
}
const once = figures.counted_once;
if (once.bytes !== null) {
  $("counted-once").hidden = false;
  $("counted-once").textContent = `counted once where shared ${bytesText(once.bytes)}, when the sum was ${bytesText(once.reading.rss_bytes)}${once.reading.below_peak_bytes > once.reading.rss_bytes / 100 ? `, ${bytesText(once.reading.below_peak_bytes)} below its peak` : ""}`;
  $("counted-once").title = once.why;
}
const held = figures.histograms.rss_time_at_level;
const faults = figures.histograms.fault_ns;
const exit = figures.exit;
const { budget } = figures;
const ofBudget = { within: "kept", over: "exceeded", open: "perhaps exceeded" };
for (const [name, value] of [
  ["budget", budget && `${bytesText(budget.bytes)}, ${ofBudget[budget.verdict]}`],
  ["half of the time up to", held && bytesText(held.p50)],
  ["99 % of the time up to", held && bytesText(held.p99)],
  ["half of the page faults took up to", faults && timeText(faults.p50)],
  ["99 % of the page faults", faults && timeText(faults.p99)],
  ["processes", count(figures.target.processes_seen)],
  [exit && exit.signal !== null ? "signal" : "exit code", exit && String(exit.signal ?? exit.code)],
]) {
  if (!value) continue;
  const box = add($("facts"), "div");
  add(box, "dt", name);
  add(box, "dd", value);
}

// ---- layers

const palette = Array.from({ length: 9 }, (_, i) => `--c${i}`);
const views = ["class", "command", "process"];
const FEW_LANES = 12;
const FEW_TRACKS = 8;
/** A canvas cannot be of any height. */
const MOST_TRACK_ROWS = 300;
/** With more lines than this across the levels these could not be read. */
const MOST_CUTS = 24;
let view = { from: 0, to: end, by: "class", all: false, allTracks: false };
let layers = [];
let shownLanes = [];
let shownBands = [];

const commands = figures.commands.map(({ comm, level }) => ({ name: comm || "?", level: series(level, 1, figures.page_bytes) }));
const colours = new Map();
commands.forEach((command, i) => colours.set(command.name, palette[i]));
const topProcesses = interesting(lanes, palette.length);
topProcesses.forEach((lane, i) => colours.set(lane, palette[i]));

/** Lanes or tracks worth a look: by turns that with the highest peak and that which held most for longest. */
function interesting(among, most) {
  const byPeak = among.slice().sort((a, b) => b.peak - a.peak);
  const byHeld = among.slice().sort((a, b) => b.held - a.held);
  const chosen = new Set();
  for (let i = 0; i < among.length && chosen.size < most; i++) {
    chosen.add(byPeak[i]);
    if (chosen.size < most) chosen.add(byHeld[i]);
  }
  return [...chosen];
}

function colourOf(lane) {
  if (view.by === "class") return colour("--c4");
  return colour(colours.get(view.by === "process" ? lane : lane.name) ?? "--rest");
}

function stacked() {
  if (view.by === "class") {
    return ["anonymous", "files", "shared"].map((name, i) => ({ name, colour: colour(palette[[0, 1, 2][i]]), at: (t) => levelAt(classes, i, t) }))
      .filter((_, i) => i < 2 || classes.of[2].some((bytes) => bytes > 0));
  }
  const named = view.by === "command"
    ? commands.map(({ name, level }) => ({ name, colour: colour(colours.get(name)), at: (t) => levelAt(level, 0, t) }))
    : topProcesses.map((lane) => ({ name: `${lane.pid ?? "?"} ${lane.name}`, colour: colour(colours.get(lane)), at: (t) => laneLevel(lane, t) }));
  const others = view.by === "command" ? figures.commands_left_out : lanes.length - named.length + figures.rows_left_out;
  if (others === 0) return named;
  const rest = (t) => levelAt(total, 0, t) - named.reduce((bytes, layer) => bytes + layer.at(t), 0);
  return [...named, { name: "all others", colour: colour("--rest"), at: rest }];
}

function laneLevel(lane, t) {
  return lane.rows.reduce((bytes, row) => bytes + (t >= row.start && t <= row.end ? levelAt(row.level, 0, t) : 0), 0);
}

let frame = { x0: 0, x1: 1 };

/** The bands in view; gives the times at which the outermost begin and end, if they are few. */
function drawPhases() {
  if (tracks.length === 0) return [];
  $("bands-box").hidden = $("phase-line").hidden = false;
  const there = tracks.filter((track) => hasBand(track, view.from, view.to));
  const chosen = new Set();
  let room = MOST_TRACK_ROWS;
  for (const track of interesting(there, view.allTracks ? there.length : FEW_TRACKS)) {
    room -= track.rows.length;
    if (room >= 0 || chosen.size === 0) chosen.add(track);
  }
  const [x0, x1] = [FRAME.left, $("levels").clientWidth - FRAME.right];
  const box = $("bands-box");
  const isWhole = view.from === 0 && view.to === end;
  if (isWhole) box.style.height = "";
  shownBands = drawBands($("bands"), { ...view, x0, x1, tracks: tracks.filter((track) => chosen.has(track)) });
  // With fewer tracks in a part of the run, the levels below stay where they are.
  if (isWhole) box.style.height = `${box.offsetHeight}px`;
  $("all-tracks").hidden = there.length <= FEW_TRACKS;
  $("all-tracks").textContent = view.allTracks ? "only the main tracks of phases" : `all ${count(there.length)} tracks of phases`;
  const together = shownBands.filter(({ bands }) => bands.length > 1).reduce((sum, { bands }) => sum + bands.length, 0);
  const notes = [];
  if (together) notes.push(`${count(together)} phases are too narrow to be told apart and drawn together: zoom in to part them.`);
  if (chosen.size < there.length) notes.push(`Shown are ${count(chosen.size)} of ${count(there.length)} tracks.`);
  if (box.scrollHeight > box.clientHeight) notes.push("Scroll the bands to see those below.");
  if (figures.phases.entries_left_out) notes.push(`The ${many(figures.phases.entries_left_out, "shortest phase is", "shortest phases are")} in the sums by name only.`);
  $("phase-note").textContent = notes.join(" ");
  const outermost = shownBands.filter(({ row, narrow }) => row === 0 && !narrow).map(({ bands: [band] }) => band);
  const cuts = [...new Set(outermost.flatMap((band) => [band.start, band.end]))].filter((t) => t > view.from && t < view.to);
  return cuts.length <= MOST_CUTS ? cuts : [];
}

function draw() {
  const cuts = drawPhases();
  layers = stacked();
  frame = drawLevels($("levels"), {
    ...view, total, layers, cuts,
    peak: peak && peak.at_ns !== null ? { at: peak.at_ns, bytes: peak.rss_bytes, text: `peak ${bytesText(peak.rss_bytes)}` } : null,
  });
  for (const lane of lanes) lane.colour = colourOf(lane);
  const inView = (lane) => lane.rows.some((row) => row.end >= view.from && row.start <= view.to);
  const there = lanes.filter(inView);
  const chosen = new Set(view.all ? there : interesting(there, FEW_LANES));
  shownLanes = lanes.filter((lane) => chosen.has(lane));
  drawLanes($("lanes"), { ...view, lanes: shownLanes, most: highestPeak, peakAt: peak?.at_ns ?? null });
  $("all-lanes").hidden = there.length <= FEW_LANES;
  $("all-lanes").textContent = view.all ? "only the main ones" : `all ${count(there.length)} processes`;
  $("legend").replaceChildren();
  for (const layer of layers) {
    const item = add($("legend"), "li");
    add(item, "span", "", "dot").style.background = layer.colour;
    add(item, "span", layer.name);
  }
  $("reset").hidden = view.from === 0 && view.to === end;
  Object.assign($("chart").dataset, { from: view.from, to: view.to });
  if (held) drawHistogram($("histogram"), held);
  drawJudged();
}

// ---- zoom and hover

function zoom(from, to) {
  const least = Math.min(end, 2000);
  if (to - from < least) { const middle = (from + to) / 2; from = middle - least / 2; to = middle + least / 2; }
  const span = Math.min(to - from, end);
  view.from = Math.min(Math.max(0, from), end - span);
  view.to = view.from + span;
  draw();
}

const chart = $("chart");
const timeAt = (x) => view.from + ((x - frame.x0) / (frame.x1 - frame.x0)) * (view.to - view.from);
const inside = (x) => Math.min(Math.max(x, frame.x0), frame.x1);
const place = (event) => event.clientX - chart.getBoundingClientRect().left;
let dragFrom = null;

/** What the tip says of the process under the pointer. */
function tellLane(tip, event, t) {
  const lane = shownLanes[Math.floor((event.clientY - $("lanes").getBoundingClientRect().top - 2) / LANE)];
  if (!lane) return false;
  const row = lane.rows.findLast((row) => row.start <= t && t <= row.end);
  add(tip, "div", `${timeText(t, (view.to - view.from) / (frame.x1 - frame.x0))} · PID ${lane.pid ?? "?"}`, "when");
  add(tip, "div", row ? row.command || row.name : lane.name, "mono");
  for (const [name, bytes] of [["then", row && levelAt(row.level, 0, t)], ["its peak", lane.peak]]) {
    const line = add(tip, "div", undefined, "row");
    add(line, "span", name);
    add(line, "b", bytesText(bytes));
  }
  for (const [name, calls, bytes] of row?.calls ?? []) {
    const line = add(tip, "div", undefined, "row when");
    add(line, "span", `${name}, ${many(calls, "call", "calls")}`);
    add(line, "span", bytesText(bytes));
  }
  return true;
}

/** What the tip says of the phase under the pointer, or of several in one place; gives them. */
function tellBand(tip, event) {
  const box = $("bands").getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const shape = shownBands.find((shape) => shape.a - 1 <= x && x <= shape.b && shape.y <= y && y < shape.y + BAND);
  if (!shape) return null;
  const { bands } = shape;
  const [first] = bands;
  const most = (key) => bands.reduce((most, band) => (band[key] === null ? most : Math.max(most ?? band[key], band[key])), null);
  const names = bands.length === 1 ? [first.of.name] : namesOf(bands).map(([name, times]) => `${name} × ${count(times)}`);
  const name = rows.find((row) => row.pid === first.track.pid && row.start <= first.start && first.start <= row.end)?.name;
  add(tip, "div", names.length > 3 ? `${names.slice(0, 3).join(", ")} …` : names.join(", "), "mono name");
  add(tip, "div", trackText(first.track, name), "when");
  const least = bands.every((band) => band.exact) ? "" : "at least ";
  const [grown, highest] = bands.length === 1 ? ["growth", "peak"] : ["growth, most", "peak, highest"];
  const lines = [[grown, least + signedText(most("growth"))], [highest, least + bytesText(most("peak"))]];
  if (first.track.scope !== "target") lines.push(["the target's peak then", least + bytesText(most("target"))]);
  lines.push(["lasted", timeText(bands.reduce((sum, band) => sum + band.lasted, 0))]);
  if (bands.length > 1) Object.assign(lines.at(-1), ["lasted, together"]);
  else if (first.of.count > 1) lines.push(["entry", `${count(first.nth)} of ${count(first.of.count)}`]);
  for (const [what, text] of lines) {
    const line = add(tip, "div", undefined, "row");
    add(line, "span", what);
    add(line, "b", text);
  }
  if (bands.length === 1 && first.ended) add(tip, "div", ENDS[first.ended], "when");
  return shape;
}

function tellLayers(tip, best, span) {
  add(tip, "div", timeText(best.at, span), "when");
  const row = add(tip, "div", undefined, "row");
  add(row, "span", "all together");
  add(row, "b", bytesText(best.bytes));
  const parts = layers.map((layer) => [layer, layer.at(best.at)]).filter(([, bytes]) => bytes > 0);
  for (const [layer, bytes] of parts.reverse()) {
    const line = add(tip, "div", undefined, "row");
    const name = add(line, "span");
    add(name, "span", "", "dot").style.background = layer.colour;
    name.append(layer.name);
    add(line, "span", bytesText(bytes));
  }
}

function hover(event) {
  const x = inside(place(event));
  const span = (view.to - view.from) / (frame.x1 - frame.x0);
  const best = greatestIn(total, 0, timeAt(x), timeAt(x) + span);
  const tip = $("tip");
  tip.replaceChildren();
  const band = event.target === $("bands") ? tellBand(tip, event) : null;
  const isLane = event.target === $("lanes") && tellLane(tip, event, timeAt(x));
  if (!isLane && !band) tellLayers(tip, best, span);
  $("marked").hidden = !band;
  if (band) Object.assign($("marked").style, { left: `${band.a}px`, width: `${band.b - band.a}px`, height: `${$("levels").offsetTop + $("levels").offsetHeight - FRAME.bottom}px` });
  tip.hidden = $("cursor").hidden = false;
  $("cursor").style.left = `${x}px`;
  const beside = x + 16 + tip.offsetWidth < chart.clientWidth ? x + 16 : x - 16 - tip.offsetWidth;
  tip.style.left = `${Math.max(0, beside)}px`;
  // Below the bands, so that none is hidden; beside the pointer over the lanes.
  const below = $("levels").offsetTop + (band ? 8 : 36);
  const box = chart.getBoundingClientRect();
  tip.style.top = `${isLane ? Math.min(event.clientY - box.top + 14, box.height - tip.offsetHeight) : below}px`;
}

chart.addEventListener("pointermove", (event) => {
  hover(event);
  if (dragFrom === null) return;
  const [a, b] = [dragFrom, inside(place(event))].sort((p, q) => p - q);
  $("selection").hidden = b - a < 4;
  Object.assign($("selection").style, { left: `${a}px`, width: `${b - a}px` });
});
chart.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  dragFrom = inside(place(event));
  chart.setPointerCapture(event.pointerId);
});
chart.addEventListener("pointerup", (event) => {
  if (dragFrom === null) return;
  const [a, b] = [dragFrom, inside(place(event))].sort((p, q) => p - q);
  dragFrom = null;
  $("selection").hidden = true;
  if (b - a >= 4) zoom(timeAt(a), timeAt(b));
});
chart.addEventListener("pointercancel", () => { dragFrom = null; $("selection").hidden = true; });
chart.addEventListener("pointerleave", () => { $("tip").hidden = $("cursor").hidden = $("marked").hidden = true; });
chart.addEventListener("wheel", (event) => {
  const out = event.deltaY > 0;
  const whole = view.from === 0 && view.to === end;
  const bandsBox = $("bands-box");
  const scrolls = bandsBox.contains(event.target) && bandsBox.scrollHeight > bandsBox.clientHeight;
  // Over the lanes the wheel scrolls them, and over bands if they do not all fit; with the whole
  // run in view it scrolls the page.
  if ((out && whole) || scrolls || $("lanes-box").contains(event.target)) return;
  event.preventDefault();
  const at = timeAt(inside(place(event)));
  const factor = Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120) / 400);
  zoom(at - (at - view.from) * factor, at + (view.to - at) * factor);
}, { passive: false });
chart.addEventListener("dblclick", () => zoom(0, end));
chart.addEventListener("keydown", (event) => {
  const span = view.to - view.from;
  const moves = { ArrowLeft: [-0.2, -0.2], ArrowRight: [0.2, 0.2], "+": [0.2, -0.2], "=": [0.2, -0.2], "-": [-0.3, 0.3] };
  if (event.key === "0" || event.key === "Escape") zoom(0, end);
  else if (moves[event.key]) zoom(view.from + moves[event.key][0] * span, view.to + moves[event.key][1] * span);
  else return;
  event.preventDefault();
});
$("reset").addEventListener("click", () => zoom(0, end));
$("all-tracks").addEventListener("click", () => { view.allTracks = !view.allTracks; draw(); });
$("all-lanes").addEventListener("click", () => { view.all = !view.all; draw(); });

/** Buttons of which one is pressed. */
function choose(box, choices, chosen, take) {
  for (const [name, what] of choices) {
    const button = add(box, "button", name);
    button.type = "button";
    button.setAttribute("aria-pressed", String(what === chosen));
    button.addEventListener("click", () => {
      for (const other of box.children) other.setAttribute("aria-pressed", String(other === button));
      take(what);
    });
  }
}

choose($("stack"), views.map((by) => [`by ${by}`, by]), view.by, (by) => { view.by = by; draw(); });
new ResizeObserver(() => draw()).observe(document.querySelector("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
fillTables();
showJudged();
draw();
