// The tables and lists under the charts.

const VERDICTS = {
  equal: "equal", kernel_low: "too low", kernel_high: "too high", inherited: "inherited",
  covers_more: "covers more", covers_less: "covers less", before_attach: "from before",
  unavailable: "not known",
};

/** How a phase ended, if not by its own marker. */
const ENDS = {
  thread_end: "to its thread's end", exit: "to the exit", exec: "to the exec", jump: "left by a jump",
  trace_end: "still open",
};
/** Entries that are listed one by one. */
const FEW_ENTRIES = 50;
const FEW_ROWS = 15;

function heads(table, names) {
  const line = add(add(table, "thead"), "tr");
  for (const [name, className] of names) add(line, "th", name, className);
  return add(table, "tbody");
}

function fillProcesses(most) {
  const table = $("processes");
  table.replaceChildren();
  const body = heads(table, [["command"], ["pid", "n"], ["peak", "n"], ["at", "n"], ["anonymous", "n"], ["files", "n"], ["half the time", "n"], ["lived", "n"]]);
  const sorted = rows.slice().sort((a, b) => (b.peak_bytes ?? -1) - (a.peak_bytes ?? -1));
  for (const row of sorted.slice(0, most)) {
    const line = add(body, "tr");
    const what = add(line, "td", row.command || row.name, "what mono");
    what.title = row.command || row.name;
    for (const text of [
      `${row.pid ?? "?"}${row.pid_inside ? ` (inside ${row.pid_inside})` : ""}`, bytesText(row.peak_bytes), row.peak_at_ns === null ? "–" : timeText(row.peak_at_ns),
      bytesText(row.anon_bytes), bytesText(row.file_bytes), bytesText(row.p50_bytes), timeText(row.end - row.start),
    ]) add(line, "td", String(text), "n");
  }
  showMore($("more"), sorted.length - most);
}

function showMore(button, hidden) {
  button.hidden = hidden <= 0;
  button.textContent = `show ${count(hidden)} more`;
}

/** A phase's name, below that of the one around it. */
function phaseName(line, { name }, depth, note) {
  const cell = add(line, "td", name, "what mono");
  cell.title = name;
  cell.style.paddingLeft = `${Math.min(depth, 6) * 16}px`;
  if (note) add(cell, "span", ` ${note}`, "ended");
}

function fillPhaseEntries(most) {
  const body = heads($("phases"), [["phase"], ["growth", "n"], ["peak", "n"], ["whole target", "n"], ["lasted", "n"], ["began", "n"], ["of"]]);
  const entries = tracks.flatMap((track) => track.rows.flat()).sort((a, b) => a.start - b.start || a.depth - b.depth);
  for (const band of entries.slice(0, most)) {
    const line = add(body, "tr");
    phaseName(line, band.of, band.depth, band.exact ? ENDS[band.ended] : "at least");
    for (const text of [signedText(band.growth), bytesText(band.peak), bytesText(band.target), timeText(band.lasted), timeText(band.start)]) add(line, "td", text, "n");
    add(line, "td", trackText(band.track), "of");
  }
  return entries.length - most;
}

function fillPhaseNames(most) {
  const { names, names_left_out } = figures.phases;
  const body = heads($("phases"), [["phase"], ["entries", "n"], ["growth, most", "n"], ["peak, highest", "n"], ["whole target", "n"], ["lasted, together", "n"]]);
  for (const of of names.slice(0, most)) {
    const line = add(body, "tr");
    phaseName(line, of, of.depth);
    for (const text of [count(of.count), signedText(of.growth_bytes), bytesText(of.peak_bytes), bytesText(of.target_bytes), timeText(of.duration_ns)]) add(line, "td", text, "n");
  }
  if (most >= names.length && names_left_out) add(add(body, "tr"), "td", `${many(names_left_out, "name", "names")} with lower peaks`, "why").colSpan = 6;
  return names.length - most;
}

/** By name; one by one too while they are few, and only so if no name comes twice. */
function fillPhases() {
  const { names, entries, entries_left_out } = figures.phases;
  if (names.length === 0) return;
  $("phases-section").hidden = false;
  const isFew = entries_left_out === 0 && entries.length <= FEW_ENTRIES;
  let fill = isFew && entries.length === names.length ? fillPhaseEntries : fillPhaseNames;
  const show = (most) => {
    $("phases").replaceChildren();
    showMore($("more-phases"), fill(most));
  };
  $("more-phases").addEventListener("click", () => show(Infinity));
  if (isFew && entries.length > names.length) {
    choose($("phase-choice"), [["by name", fillPhaseNames], ["one by one", fillPhaseEntries]], fill, (chosen) => {
      fill = chosen;
      show(FEW_ROWS);
    });
    $("phase-choice").hidden = false;
  }
  show(FEW_ROWS);
}

function fillChecks() {
  const body = heads($("checks"), [["tool"], ["verdict"], ["difference", "n"], ["says", "n"], ["of"], ["why"]]);
  const line = (against, of, says, diff, verdict, why) => {
    const tr = add(body, "tr");
    const tone = verdict === "equal" ? "equal" : verdict.startsWith("kernel") ? "off" : "";
    add(tr, "td", against);
    add(tr, "td", VERDICTS[verdict] ?? verdict, `verdict ${tone}`);
    add(tr, "td", diff, "n");
    add(tr, "td", says, "n");
    add(tr, "td", of, "of");
    add(tr, "td", why, "why");
  };
  for (const check of figures.checks) line(check.against, "all together", bytesText(check.bytes), signedText(check.diff_bytes), check.verdict, check.why);
  for (const check of figures.count_checks) line(check.against, "all together", count(check.count), check.diff === null ? "–" : count(check.diff), check.verdict, check.why);
  for (const judged of figures.row_checks) line(judged.against, many(judged.rows, "program", "programs"), "", judged.diff_bytes ? `up to ${signedText(judged.diff_bytes)}` : "", judged.verdict, "");
}

function fillCertainty() {
  const { certainty } = figures;
  const box = $("certainty");
  add(box, "p", certainty.exact ? "Every peak is exact." : exact ? "The peak is exact; not that of each process." : "The peak is not exact.", `sum ${certainty.exact || exact ? "good" : "bad"}`);
  const list = add(box, "ul");
  for (const doubt of certainty.doubts) {
    const item = add(list, "li");
    add(item, "span", doubt.id, "id");
    item.append(` ${doubt.text}`);
    if (doubt.remedy) add(item, "span", doubt.remedy, "remedy");
  }
  const lost = certainty.events_lost === 0 ? "none lost" : `${count(certainty.events_lost)} lost`;
  if (!certainty.sampled) add(list, "li", `${many(certainty.events, "record", "records")} of the history, ${lost}. It tells movements from ${bytesText(certainty.stream.allowed_bytes)} on; peaks do not depend on it.`);
  if (certainty.stream.agrees !== null) add(list, "li", certainty.stream.agrees ? "The history's highest level agrees with the peak." : "The history's highest level does not agree with the peak.");
  add(list, "li", `Seen through ${certainty.hooks.map((hook) => hook.via).filter((via, i, all) => all.indexOf(via) === i).join(", ")}.`);
  if (figures.overhead.tracer_peak_rss_bytes !== null) add(list, "li", `memtrace itself took ${bytesText(figures.overhead.tracer_peak_rss_bytes)} and ${timeText(figures.overhead.tracer_cpu_ns)} of CPU; that is in no figure here.`);
}

/** Whom the kernel killed for want of memory, and what the cgroup's files say. */
function fillMemory() {
  const list = $("memory");
  const { cgroup, oom, refusals } = figures;
  $("memory-section").hidden = !cgroup && !refusals && oom.length === 0;
  for (const kill of oom) {
    const who = `${kill.comm} (PID ${kill.pid ?? "?"})`;
    const held = kill.rss_bytes === null ? "" : ` It held ${bytesText(kill.rss_bytes)}, ${bytesText(kill.anon_bytes)} of it anonymous.`;
    const place = kill.constraint === "CONSTRAINT_MEMCG" ? ` The limit of ${bytesText(kill.limit_bytes)} of the cgroup ${kill.limit_cgroup} was reached.` : kill.constraint === "CONSTRAINT_NONE" ? " The whole machine had no memory left." : kill.constraint ? ` Its part of the machine was full (${kill.constraint}).` : ` ${kill.log_why ?? ""}`;
    const group = kill.group === null ? "" : ` memory.oom.group of ${kill.group} had all its processes killed.`;
    const killed = kill.of_target && kill.killed === false ? "chose" : "killed";
    const whose = !kill.of_target ? ", which is not of the target" : kill.killed === false ? ", which was ending anyway" : "";
    const phase = kill.phase === null ? "" : ` The phase ${kill.phase} was open.`;
    add(list, "li", `After ${timeText(kill.at_ns)} the kernel ${killed} ${who}${whose}.${place}${group}${held} The whole target held ${bytesText(kill.target_rss_bytes)}; the page was asked for by ${kill.asked_by} (PID ${kill.asked_by_pid ?? "?"}).${phase}`);
    const grown = kill.processes.slice(0, 5).map((process) => `${process.comm} (PID ${process.pid ?? "?"}) ${bytesText(process.rss_bytes)}${process.grown_bytes === null ? "" : `, ${signedText(process.grown_bytes)} in ten seconds`}`);
    if (grown.length > 0) add(list, "li", `The largest then: ${grown.join("; ")}.`);
  }
  if (refusals) add(list, "li", `${many(refusals.count, "call", "calls")} for memory refused (ENOMEM), the largest: ${refusals.call} of ${bytesText(refusals.bytes)} by ${refusals.comm} (PID ${refusals.pid ?? "?"}). ${refusals.why}`);
  if (!cgroup) return;
  const limit = cgroup.limit_bytes === null ? "no limit" : `a limit of ${bytesText(cgroup.limit_bytes)}`;
  const anon = cgroup.anon_peak_bytes === null ? "" : ` Anonymous memory alone reached ${bytesText(cgroup.anon_peak_bytes)}.`;
  add(list, "li", `The cgroup has ${limit}.${anon} ${cgroup.limit_hit_by ?? ""}`);
  const classes = [["anonymous", "anon_bytes"], ["of it in huge pages", "thp_bytes"], ["page cache", "cache_bytes"], ["of it shared", "shmem_bytes"], ["kernel", "kernel_bytes"], ["hugetlb", "hugetlb_bytes"], ["in swap", "swap_bytes"]];
  const told = classes.filter(([, key]) => cgroup[key]).map(([name, key]) => `${name} ${bytesText(cgroup[key])}`);
  if (told.length > 0) add(list, "li", `At the fullest that was seen: ${told.join(", ")}.`);
  const { pressure } = cgroup;
  if (pressure && pressure.some_ns > 0) add(list, "li", `Tasks${pressure.of_machine ? " of the machine" : ""} waited for memory: any of them ${timeText(pressure.some_ns)}, all of them ${timeText(pressure.full_ns)}.`);
}

function fillTables() {
  fillMemory();
  fillPhases();
  fillProcesses(FEW_ROWS);
  $("more").addEventListener("click", () => fillProcesses(Infinity));
  fillChecks();
  fillCertainty();
  const left = figures.rows_left_out ? ` The ${many(figures.rows_left_out, "row", "rows")} of less weight are not drawn one by one.` : "";
  $("note").textContent = `Drag or turn the wheel to zoom, double-click for the whole run. Parts move in steps of ${bytesText(figures.certainty.stream.allowed_bytes)} at most, so that they may add up to a little more or less than the whole; in a long run they are outlines, and grey is what they do not tell apart.${left}`;
  if (held) $("held-note").textContent = `${timeText(held.count)} with memory in use; levels to ${bytesText(held.bound_bytes)} and 1/128.`;
  else $("histogram").hidden = true;
  $("footer").textContent = `memtrace ${figures.tool.version} · Linux ${figures.host.kernel} ${figures.host.arch} · ${many(figures.host.cpus, "CPU", "CPUs")} · ${figures.started_at}`;
}
