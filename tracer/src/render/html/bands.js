// Phases over the timeline: bands on the tracks that they belong to, inner ones below outer ones.
// Knows canvases and numbers, nothing of the page around them.

const BAND = 18;
const TRACK_GAP = 3;
/** Pixels. Neighbours that are narrower are drawn as one. */
const NARROW = 3;

/** Tracks with their bands laid in rows: each band lies in the first row that is free. */
function phaseTracks(phases, pageBytes) {
  // What makes a track worth a look: its greatest growth, and how long it had a phase.
  const tracks = phases.tracks.map((track) => ({ ...track, rows: [], peak: 0, held: 0 }));
  const bytes = (pages) => (pages === null ? null : pages * pageBytes);
  for (const [name, number, start, lasted, peak, growth, target, nth, depth, ended, exact] of phases.entries) {
    const track = tracks[number];
    const band = {
      of: phases.names[name], colour: `--c${name % 9}`, track, start, end: start + lasted, lasted, nth, depth, ended, exact,
      peak: bytes(peak), growth: bytes(growth), target: bytes(target),
    };
    let row = track.rows.find((row) => row.at(-1).end <= start);
    if (!row) track.rows.push(row = []);
    row.push(band);
    track.peak = Math.max(track.peak, band.growth ?? 0);
    if (row === track.rows[0]) track.held += lasted;
  }
  return tracks;
}

/** Index of the first band of a row that ends at t or later. */
function firstBand(row, t) {
  let low = 0, high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].end < t) low = middle + 1; else high = middle;
  }
  return low;
}

function hasBand(track, from, to) {
  return track.rows.some((row) => row[firstBand(row, from)]?.start <= to);
}

/** What is drawn of a row: bands, and runs of neighbours too narrow to be told apart. */
function shapesOf(row, { from, to, x0, x1 }) {
  const x = (t) => x0 + ((t - from) / (to - from)) * (x1 - x0);
  const shapes = [];
  for (let i = firstBand(row, from); i < row.length && row[i].start <= to; i++) {
    const [a, b] = [Math.max(x(row[i].start), x0), Math.min(x(row[i].end), x1)];
    const last = shapes.at(-1);
    const narrow = b - a < NARROW;
    const right = Math.max(b, a + 1.5);
    if (narrow && last?.narrow && a - last.b < 1) {
      last.bands.push(row[i]);
      last.b = right;
    } else {
      shapes.push({ a, b: right, bands: [row[i]], narrow });
    }
  }
  return shapes;
}

/** One block of rows for each track; gives what it drew, and where. */
function drawBands(canvas, what) {
  const { x0, x1, tracks } = what;
  const high = tracks.reduce((sum, track) => sum + track.rows.length * BAND + TRACK_GAP, 0);
  const { g } = sharpen(canvas, high);
  const drawn = [];
  let y = 0;
  for (const track of tracks) {
    g.fillStyle = colour("--faint");
    g.textAlign = "right";
    g.fillText(trackLabel(track), x0 - 8, y + BAND / 2, x0 - 10);
    track.rows.forEach((row, i) => {
      for (const shape of shapesOf(row, what)) {
        drawn.push({ ...shape, y, row: i });
        drawBand(g, shape, y);
      }
      y += BAND;
    });
    y += TRACK_GAP;
  }
  return drawn;
}

/** The names of some bands with how many there are of each, the most frequent first. */
function namesOf(bands) {
  const times = new Map();
  for (const { of } of bands) times.set(of.name, (times.get(of.name) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1]);
}

function drawBand(g, { a, b, bands }, y) {
  const names = bands.length === 1 ? [[bands[0].of.name, 1]] : namesOf(bands);
  g.fillStyle = colour(bands.find((band) => band.of.name === names[0][0]).colour);
  const wide = b - a > 4 ? b - a - 1 : b - a;
  g.globalAlpha = 0.34;
  g.beginPath(); g.roundRect(a, y, wide, BAND - 2, 2); g.fill();
  g.globalAlpha = 1;
  g.fillRect(a, y, Math.min(2, wide), BAND - 2);
  const name = bands.length === 1 ? names[0][0] : names.map(([name, times]) => `${name} × ${count(times)}`).join(", ");
  const room = b - a - 10;
  if (room < 24) return;
  g.fillStyle = colour("--ink");
  g.textAlign = "left";
  const grown = bands.length === 1 && bands[0].growth > 0 ? `  +${bytesText(bands[0].growth)}` : "";
  const text = g.measureText(name + grown).width <= room ? name + grown : shortened(g, name, room);
  g.fillText(text, a + 6, y + BAND / 2 - 1);
}

/** As much of a name as there is room for. */
function shortened(g, name, room) {
  if (g.measureText(name).width <= room) return name;
  let letters = [...name];
  while (letters.length > 1 && g.measureText(`${letters.join("")}…`).width > room) letters.pop();
  return `${letters.join("")}…`;
}

/** What fits beside a track. */
function trackLabel({ pid, scope, number }) {
  switch (scope) {
    case "target": return "target";
    case "track": return "track";
    case "function": return "functions";
    case "program": return "programs";
    default: return number === String(pid) ? number : `+ ${number}`;
  }
}

/** Which track it is, in words. */
function trackText({ pid, scope, number }, name) {
  if (scope === "target") return "the whole target";
  const process = `PID ${pid ?? "?"}${name ? ` ${name}` : ""}`;
  if (scope === "track") return `${process}, track ${number}`;
  return scope === "program" || number === String(pid) ? process : `${process}, thread ${number}`;
}
