// Drawing: series as steps, stacked levels, lanes of processes, the histogram. Knows canvases and
// numbers, nothing of the page around them.

const US = 1000;

/** Points that were written as differences: arrays of times (ns) and of each column (bytes). */
function series(flat, columns, pageBytes) {
  const count = Math.floor(flat.length / (columns + 1));
  const out = { at: new Float64Array(count), of: [] };
  for (let c = 0; c < columns; c++) out.of.push(new Float64Array(count));
  const before = new Array(columns + 1).fill(0);
  for (let i = 0, k = 0; i < count; i++) {
    for (let c = 0; c <= columns; c++) {
      before[c] += flat[k++];
      if (c === 0) out.at[i] = before[0] * US;
      else out.of[c - 1][i] = before[c] * pageBytes;
    }
  }
  return out;
}

/** Index of the last time that is not after t; -1 before the first. */
function indexAt(at, t) {
  let low = 0, high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= t) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function levelAt(s, column, t) {
  const i = indexAt(s.at, t);
  return i < 0 ? 0 : s.of[column][i];
}

/** The greatest level in [from, to) and when; a level lasts until the next point. */
function greatestIn(s, column, from, to) {
  let i = indexAt(s.at, from);
  let best = { at: from, bytes: i < 0 ? 0 : s.of[column][i] };
  for (i = Math.max(i + 1, 0); i < s.at.length && s.at[i] < to; i++) {
    if (s.of[column][i] > best.bytes) best = { at: s.at[i], bytes: s.of[column][i] };
  }
  return best;
}

/** How much for how long: the area under the steps. */
function heldIn(s) {
  let sum = 0;
  for (let i = 1; i < s.at.length; i++) sum += s.of[0][i - 1] * (s.at[i] - s.at[i - 1]);
  return sum;
}

/** Round steps for an axis of bytes, in powers of two. */
function byteTicks(most, count) {
  let step = 4096;
  while (most / step > count) step *= 2;
  const ticks = [];
  for (let v = 0; v <= most; v += step) ticks.push(v);
  return ticks;
}

function timeTicks(from, to, count) {
  const raw = (to - from) / Math.max(count, 1);
  const seconds = [1e9, 2e9, 5e9, 1e10, 1.5e10, 3e10, 6e10, 1.2e11, 3e11, 6e11, 9e11, 1.8e12, 3.6e12];
  let step = seconds.find((s) => s >= raw);
  if (raw < 1e9) {
    const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
    step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  } else if (!step) {
    step = Math.ceil(raw / 3.6e12) * 3.6e12;
  }
  const ticks = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) ticks.push(t);
  return { ticks, step };
}

/** A canvas made sharp for the screen: its context and its size in CSS pixels. */
function sharpen(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  if (height !== undefined) canvas.style.height = `${height}px`;
  const box = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, box.width, box.height);
  g.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
  g.textBaseline = "middle";
  return { g, width: box.width, height: box.height };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const FRAME = { left: 68, right: 12, top: 30, bottom: 26 };

/**
 * The stacked levels. Each column of pixels shows the instant at which the target was greatest
 * within it, so that no spike is too short to be seen. Cuts are the times at which phases meet.
 */
function drawLevels(canvas, what) {
  const { g, width, height } = sharpen(canvas);
  const { from, to, total, layers, peak, cuts } = what;
  const [x0, x1] = [FRAME.left, width - FRAME.right];
  const [y0, y1] = [height - FRAME.bottom, FRAME.top];
  const columns = Math.max(1, Math.floor(x1 - x0));
  const span = (to - from) / columns;
  const moments = [];
  let most = 1;
  for (let c = 0; c < columns; c++) {
    const best = greatestIn(total, 0, from + c * span, from + (c + 1) * span);
    moments.push(best);
    most = Math.max(most, best.bytes);
  }
  const top = most * 1.06;
  const x = (t) => x0 + ((t - from) / (to - from)) * (x1 - x0);
  const y = (bytes) => y0 - (bytes / top) * (y0 - y1);

  g.lineWidth = 1;
  g.strokeStyle = colour("--grid");
  g.fillStyle = colour("--faint");
  g.textAlign = "right";
  for (const tick of byteTicks(top, Math.max(3, Math.floor((y0 - y1) / 52)))) {
    const at = Math.round(y(tick)) + 0.5;
    g.beginPath(); g.moveTo(x0, at); g.lineTo(x1, at); g.stroke();
    g.fillText(bytesText(tick), x0 - 8, at);
  }
  g.textAlign = "center";
  const { ticks, step } = timeTicks(from, to, Math.floor((x1 - x0) / 110));
  for (const tick of ticks) {
    const text = timeText(tick, step);
    const half = g.measureText(text).width / 2;
    if (x(tick) - half > x0 - 30 && x(tick) + half < width) g.fillText(text, x(tick), y0 + 15);
  }

  const base = new Float64Array(columns);
  // What the outlines of the parts do not tell of a moment is drawn as nobody's, not left open.
  const untold = { colour: colour("--rest"), at: (t, c) => moments[c].bytes - base[c] };
  for (const layer of [...layers, untold]) {
    const under = base.slice();
    for (let c = 0; c < columns; c++) base[c] += Math.max(0, layer.at(moments[c].at, c));
    g.beginPath();
    g.moveTo(x0, y(under[0]));
    for (let c = 0; c < columns; c++) { g.lineTo(x0 + c, y(base[c])); g.lineTo(x0 + c + 1, y(base[c])); }
    for (let c = columns - 1; c >= 0; c--) { g.lineTo(x0 + c + 1, y(under[c])); g.lineTo(x0 + c, y(under[c])); }
    g.closePath();
    g.fillStyle = layer.colour;
    g.globalAlpha = 0.82;
    g.fill();
    g.globalAlpha = 1;
  }
  g.strokeStyle = colour("--soft");
  g.globalAlpha = 0.55;
  g.setLineDash([1, 3]);
  for (const cut of cuts) {
    const at = Math.round(x(cut)) + 0.5;
    g.beginPath(); g.moveTo(at, 0); g.lineTo(at, y0); g.stroke();
  }
  g.setLineDash([]);
  g.globalAlpha = 1;
  g.strokeStyle = colour("--ink");
  g.lineWidth = 1.25;
  g.lineJoin = "round";
  g.beginPath();
  moments.forEach((m, c) => { g.lineTo(x0 + c, y(m.bytes)); g.lineTo(x0 + c + 1, y(m.bytes)); });
  g.stroke();
  if (peak && peak.at >= from && peak.at <= to) drawPeak(g, x(peak.at), y(peak.bytes), y0, x0, x1, peak.text);
  return { x0, x1 };
}

function drawPeak(g, x, y, bottom, left, right, text) {
  g.strokeStyle = colour("--accent");
  g.lineWidth = 1;
  g.setLineDash([3, 3]);
  g.beginPath(); g.moveTo(Math.round(x) + 0.5, y); g.lineTo(Math.round(x) + 0.5, bottom); g.stroke();
  g.setLineDash([]);
  g.fillStyle = colour("--card");
  g.beginPath(); g.arc(x, y, 6, 0, 7); g.fill();
  g.fillStyle = colour("--accent");
  g.beginPath(); g.arc(x, y, 4, 0, 7); g.fill();
  g.save();
  g.font = `600 ${g.font}`;
  const half = g.measureText(text).width / 2;
  g.textAlign = "center";
  g.fillText(text, Math.min(Math.max(x, left + half), right - half), y - 16);
  g.restore();
}

const LANE = 20;

/** One lane for each process: its programs as bars, its level in them. */
function drawLanes(canvas, what) {
  const { from, to, lanes, most, peakAt } = what;
  const { g, width, height } = sharpen(canvas, lanes.length * LANE + 4);
  const [x0, x1] = [FRAME.left, width - FRAME.right];
  const x = (t) => x0 + ((t - from) / (to - from)) * (x1 - x0);
  lanes.forEach((lane, i) => {
    const y = i * LANE + 2;
    g.fillStyle = colour("--faint");
    g.textAlign = "right";
    g.fillText(lane.pid === null ? "?" : String(lane.pid), x0 - 8, y + LANE / 2 - 1);
    const inView = lane.rows.filter((row) => row.end >= from && row.start <= to);
    if (inView.length === 0) return;
    const bars = inView.map((row) => drawBar(g, row, lane.colour, y, { x, x0, x1, from, to, most }));
    laneLabel(g, lane.name, Math.min(...bars.map((bar) => bar[0])), Math.max(...bars.map((bar) => bar[1])), x0, x1, y + LANE / 2 - 1);
  });
  if (peakAt === null || peakAt < from || peakAt > to) return;
  g.strokeStyle = colour("--accent");
  g.globalAlpha = 0.5;
  g.setLineDash([3, 3]);
  g.beginPath(); g.moveTo(Math.round(x(peakAt)) + 0.5, 0); g.lineTo(Math.round(x(peakAt)) + 0.5, height); g.stroke();
}

/** A program's part of its process's life; gives where it begins and ends. */
function drawBar(g, row, fill, y, { x, x0, x1, from, to, most }) {
  const a = Math.min(Math.max(x(row.start), x0), x1 - 1.5);
  const b = Math.min(Math.max(x(row.end), a + 1.5), x1);
  g.fillStyle = fill;
  g.globalAlpha = 0.22;
  g.beginPath(); g.roundRect(a, y, b - a, LANE - 4, 2); g.fill();
  g.globalAlpha = 0.9;
  const time = (at) => from + ((at - x0) / (x1 - x0)) * (to - from);
  for (let at = a; at < b; at++) {
    const { bytes } = greatestIn(row.level, 0, time(at), Math.min(time(at + 1), row.end));
    const high = Math.min(1, Math.max(0, bytes) / most) * (LANE - 4);
    g.fillRect(at, y + LANE - 4 - high, Math.min(1, b - at), high);
  }
  g.globalAlpha = 1;
  return [a, b];
}

/** The name in its bar, or beside it where there is more room. */
function laneLabel(g, name, a, b, x0, x1, y) {
  const wide = g.measureText(name).width;
  g.fillStyle = colour("--ink");
  g.textAlign = "left";
  if (wide + 10 < b - a || x1 - b < wide + 10 && a - x0 < wide + 10) g.fillText(name, a + 5, y, Math.max(20, x1 - a - 8));
  else if (x1 - b >= wide + 10) g.fillText(name, b + 5, y);
  else { g.textAlign = "right"; g.fillText(name, a - 5, y); }
}

/** How long the target was at each level, with its quantiles marked. */
function drawHistogram(canvas, held) {
  const { g, width, height } = sharpen(canvas);
  const [x0, x1, y0, y1] = [10, width - 10, height - 24, 34];
  const bins = new Array(Math.max(12, Math.min(48, Math.floor((x1 - x0) / 11)))).fill(0);
  const top = held.max * 1.0001;
  let below = 0;
  for (const [upper, weight] of held.buckets) {
    // A bucket may be wider than a bar: its time is spread over what it covers.
    const from = Math.max(below, upper - upper / 128);
    const a = Math.min(bins.length - 1, Math.floor((from / top) * bins.length));
    const b = Math.min(bins.length - 1, Math.floor((upper / top) * bins.length));
    for (let i = a; i <= b; i++) bins[i] += weight / (b - a + 1);
    below = upper;
  }
  const most = Math.max(...bins);
  const wide = (x1 - x0) / bins.length;
  g.fillStyle = colour("--c0");
  bins.forEach((weight, i) => {
    if (weight <= 0) return;
    const high = Math.max(1.5, (weight / most) * (y0 - y1));
    g.beginPath(); g.roundRect(x0 + i * wide + 1, y0 - high, wide - 2, high, [2, 2, 0, 0]); g.fill();
  });
  g.strokeStyle = colour("--line");
  g.beginPath(); g.moveTo(x0, y0 + 0.5); g.lineTo(x1, y0 + 0.5); g.stroke();
  g.fillStyle = colour("--faint");
  g.textAlign = "left"; g.fillText("0", x0, y0 + 14);
  g.textAlign = "right"; g.fillText(bytesText(held.max), x1, y0 + 14);
  let taken = -Infinity, line = 0;
  for (const [name, bytes] of [["50 %", held.p50], ["90 %", held.p90], ["99 %", held.p99]]) {
    const x = x0 + (bytes / top) * (x1 - x0);
    const half = g.measureText(name).width / 2;
    const at = Math.min(Math.max(x, x0 + half), x1 - half);
    line = at - half < taken + 6 ? line + 1 : 0;
    taken = at + half;
    g.strokeStyle = colour("--soft");
    g.setLineDash([2, 3]);
    g.beginPath(); g.moveTo(x, 8 + line * 13 + 6); g.lineTo(x, y0); g.stroke();
    g.setLineDash([]);
    g.fillStyle = colour("--soft");
    g.textAlign = "center";
    g.fillText(name, at, 7 + line * 12);
  }
  return bins.length;
}
