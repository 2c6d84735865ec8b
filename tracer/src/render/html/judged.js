// How wrong a tool is that looks now and then, by how often it looks: the judgement of this run.

const MISSES = [["1", "--c0"], ["5", "--c1"], ["10", "--c2"], ["25", "--c3"]];
const QUANTILES = [["p50", "half of all runs", "--c0"], ["p90", "9 of 10 runs", "--c1"], ["max", "all runs", "--c3"]];
const KINDS = {
  none: "right", missed_spike: "missed spike", missed_process: "missed process",
  double_counted_sharing: "double-counted sharing", kernel_inexactness: "kernel inexactness",
  slow_look: "slow look", cache_counted: "cache counted", kernel_memory: "kernel memory counted", other_processes: "others' memory counted",
  charged_elsewhere: "charged elsewhere", inherited: "inherited", heap_not_resident: "heap, not resident",
  unexplained: "unexplained",
};
let judgedBy = "miss";
let judgedFrame = null;

const shareText = (share) => share === 0 || share === 100 ? `${share} %` : share < 0.1 ? "<0.1 %" : share > 99.9 ? ">99.9 %" : `${share.toFixed(share < 10 ? 1 : 0)} %`;
const percentText = (pct) => `${pct > 0 ? "+" : pct < 0 ? "−" : ""}${Math.abs(pct).toFixed(Math.abs(pct) < 1 ? 2 : 1)} %`;
const everyText = (ms) => ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;

/** Lines over the intervals, in percent. */
function judgedLines() {
  if (judgedBy === "miss") return MISSES.map(([error, fill]) => ({ name: `more than ${error} %`, fill, of: (told) => told.p_miss[error] * 100 }));
  return QUANTILES.map(([key, name, fill]) => ({ name, fill, of: (told) => told.error_pct[key] }));
}

/** Tools that say how often they looked, and were too low. */
const judgedTools = () => judgedBy === "miss" ? [] : judged.tools.filter((tool) => tool.interval_ms !== null && tool.error_pct <= 0);

function drawJudged() {
  if (!judged) return;
  const { g, width, height } = sharpen($("judged"));
  const [x0, x1, y0, y1] = [52, width - 14, height - 26, 12];
  const all = judged.intervals;
  const [least, most] = [Math.log(all[0].ms), Math.log(all.at(-1).ms)];
  const x = (ms) => x0 + ((Math.log(ms) - least) / (most - least)) * (x1 - x0);
  const y = (pct) => y0 - (Math.min(pct, 100) / 100) * (y0 - y1);
  judgedFrame = { x, y };
  g.lineWidth = 1;
  g.strokeStyle = colour("--grid");
  g.fillStyle = colour("--faint");
  g.textAlign = "right";
  for (const tick of [0, 25, 50, 75, 100]) {
    const at = Math.round(y(tick)) + 0.5;
    g.beginPath(); g.moveTo(x0, at); g.lineTo(x1, at); g.stroke();
    g.fillText(`${tick} %`, x0 - 8, at);
  }
  g.textAlign = "center";
  let taken = -Infinity;
  for (const { ms } of all) {
    const text = everyText(ms), half = g.measureText(text).width / 2;
    const at = Math.min(Math.max(x(ms), half), width - half);
    if (at - half < taken + 12) continue;
    taken = at + half;
    g.fillText(text, at, y0 + 15);
  }
  for (const line of judgedLines()) {
    g.strokeStyle = g.fillStyle = colour(line.fill);
    g.lineWidth = 2;
    g.lineJoin = "round";
    g.beginPath();
    for (const told of all) g.lineTo(x(told.ms), y(line.of(told)));
    g.stroke();
    for (const told of all) { g.beginPath(); g.arc(x(told.ms), y(line.of(told)), 2.5, 0, 7); g.fill(); }
  }
  for (const tool of judgedTools()) {
    const [at, high] = [Math.min(Math.max(x(tool.interval_ms), x0), x1), y(-tool.error_pct)];
    g.fillStyle = colour("--card");
    g.beginPath(); g.arc(at, high, 6.5, 0, 7); g.fill();
    g.fillStyle = colour("--accent");
    g.beginPath(); g.arc(at, high, 4.5, 0, 7); g.fill();
  }
}

function hoverJudged(event) {
  const box = $("judged").getBoundingClientRect();
  const at = { x: event.clientX - box.x, y: event.clientY - box.y };
  const { x, y } = judgedFrame;
  const near = (of) => (a, b) => of(a) - of(b);
  const told = judged.intervals.slice().sort(near((of) => Math.abs(x(of.ms) - at.x)))[0];
  const tool = judgedTools().find((of) => Math.hypot(x(of.interval_ms) - at.x, y(-of.error_pct) - at.y) < 12);
  const tip = $("judged-tip");
  tip.replaceChildren();
  const row = (fill, name, value) => {
    const line = add(tip, "div", undefined, "row");
    const label = add(line, "span");
    add(label, "span", undefined, "dot").style.background = colour(fill);
    label.append(name);
    add(line, "b", value);
  };
  if (tool) {
    add(tip, "div", tool.name, "name");
    row("--accent", KINDS[tool.kind] ?? tool.kind, percentText(tool.error_pct));
  } else {
    add(tip, "div", `A look every ${everyText(told.ms)}`, "name");
    add(tip, "div", judgedBy === "miss" ? "misses, in so many of its runs," : "is off by at most, in", "when");
    for (const line of judgedLines()) row(line.fill, line.name, shareText(line.of(told)));
  }
  tip.hidden = false;
  const beside = at.x + 16 + tip.offsetWidth < box.width ? at.x + 16 : at.x - 16 - tip.offsetWidth;
  tip.style.left = `${Math.max(0, beside)}px`;
  tip.style.top = `${Math.max(0, Math.min(at.y, box.height - tip.offsetHeight))}px`;
}

function fillTools() {
  if (judged.tools.length === 0) return;
  const body = heads($("tools"), [["tool"], ["error"], ["says", "n"], ["off by", "n"], ["", "n"], ["why"]]);
  for (const tool of judged.tools) {
    const line = add(body, "tr");
    add(line, "td", tool.name);
    add(line, "td", KINDS[tool.kind] ?? tool.kind, `verdict ${tool.kind === "none" ? "equal" : "off"}`);
    add(line, "td", bytesText(tool.bytes), "n");
    add(line, "td", signedText(tool.error_bytes), "n");
    add(line, "td", percentText(tool.error_pct), "n");
    add(line, "td", tool.why, "why");
  }
}

function showJudged() {
  if (!judged) return;
  $("judged-section").hidden = false;
  const tell = () => {
    const legend = $("judged-legend");
    legend.replaceChildren();
    const item = (fill, name) => {
      const line = add(legend, "li");
      add(line, "span", undefined, "dot").style.background = `var(${fill})`;
      add(line, "span", name);
    };
    for (const line of judgedLines()) item(line.fill, line.name);
    if (judgedTools().length > 0) item("--accent", "what tools were off by in this run");
    drawJudged();
  };
  const what = [["chance to miss the peak", "miss"], ["how far off", "error"]];
  choose($("judged-choice"), what, judgedBy, (by) => { judgedBy = by; tell(); });
  const need = judged.needs["5"];
  $("judged-note").textContent = (need.ms === null
    ? `No interval of ${everyText(need.too_long_ms)} or more stays within 5 % in 95 % of runs.`
    : `To stay within 5 % of the peak in 95 % of runs, look every ${everyText(need.ms)} or more often.`)
    + " Computed from this run over all times at which a poller can begin."
    + (judged.bound_bytes === null ? " The history has gaps: it may be off." : "");
  $("judged").addEventListener("pointermove", hoverJudged);
  $("judged").addEventListener("pointerleave", () => { $("judged-tip").hidden = true; });
  fillTools();
  tell();
}
