// Opens a page that `memtrace --html` made in headless Chromium, as a reader would: wide and
// narrow, light and dark. Fails if the page says an error, asks for anything from outside, or does
// not answer to hovering and zooming.
//
//   NODE_PATH=target/consumers/node_modules node scripts/html_test.mjs PAGE.html [FOLDER FOR PICTURES]
//
// `cargo xtask test` runs it, and has installed playwright-core there. CHROMIUM names the browser, /usr/bin/chromium if not set.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page_path, pictures] = process.argv.slice(2);
if (!page_path || !existsSync(page_path)) {
  console.error("usage: node scripts/html_test.mjs PAGE.html [FOLDER FOR PICTURES]");
  process.exit(2);
}
// By `require`, which looks into NODE_PATH; `import` does not.
const { chromium } = createRequire(import.meta.url)("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

let failed = 0;
function expect(is, what) {
  console.log(`${is ? "ok  " : "FAIL"} ${what}`);
  failed += is ? 0 : 1;
}

/** Where the whole chart is in the window, and the times that it shows. */
const chart = (page) => page.$eval("#chart", (node) => {
  const { x, y, width, height } = node.getBoundingClientRect();
  return { x, y, width, height, from: Number(node.dataset.from), to: Number(node.dataset.to) };
});

/** Where the levels are in the window. */
const levels = (page) => page.$eval("#levels", (node) => {
  const { x, y, width, height } = node.getBoundingClientRect();
  return { x, y, width, height };
});

/** The middle of the first band: that of the uppermost row, the leftmost in it. */
async function findBand(page) {
  const box = await page.$eval("#bands", (node) => {
    const { x, y, width, height } = node.getBoundingClientRect();
    return { x, y, width, height };
  });
  for (let y = 9; y < Math.min(box.height, 180); y += 9) {
    for (let x = 70; x < box.width - 12; x += 4) {
      await page.mouse.move(box.x + x, box.y + y);
      if (!await page.isVisible("#marked")) continue;
      const middle = await page.$eval("#marked", (node) => node.getBoundingClientRect().x + node.getBoundingClientRect().width / 2);
      await page.mouse.move(middle, box.y + y);
      return { x: middle, y: box.y + y };
    }
  }
  return null;
}

async function lookAtPhases(page, name) {
  if (!await page.isVisible("#phases-section")) {
    console.log(`left out: ${name}: phases (this run has none)`);
    return;
  }
  const names = await page.$$eval("#phases tbody td:first-child", (all) => all.map((cell) => cell.title));
  expect(names.length > 0, `${name}: a table of ${names.length} phases`);
  await page.$eval("#bands-box", (node) => node.scrollIntoView({ block: "center" }));
  const place = await findBand(page);
  expect(place !== null, `${name}: there are bands of phases`);
  if (!place) return;
  const told = await page.textContent("#tip .name");
  const tip = await page.textContent("#tip");
  expect(names.some((of) => told.startsWith(of)), `${name}: hovering over a band gives its name: ${told}`);
  expect(/growth.*B.*peak.*B.*lasted.*s/.test(tip), `${name}: and its growth, peak and duration: ${tip}`);
  if (pictures) await page.screenshot({ path: join(pictures, `${page.viewportSize().width}-${name.split(" ")[1]}-band.png`) });
  const marked = await page.$eval("#marked", (node) => node.getBoundingClientRect().width);
  const whole = await chart(page);
  const scrolls = await page.$eval("#bands-box", (node) => node.scrollHeight > node.clientHeight);
  // Bands that do not all fit take the wheel for themselves.
  if (scrolls) await page.mouse.move(place.x, (await levels(page)).y + 60);
  await page.mouse.wheel(0, -300);
  await page.waitForTimeout(50);
  const closer = await chart(page);
  expect(closer.to - closer.from < whole.to - whole.from, `${name}: the wheel zooms bands and levels`);
  await page.mouse.move(place.x, place.y + 1);
  const wider = await page.$eval("#marked", (node) => node.getBoundingClientRect().width);
  expect(wider >= marked, `${name}: bands grow with the zoom: ${marked.toFixed(1)} to ${wider.toFixed(1)} pixels`);
  if (pictures) await page.screenshot({ path: join(pictures, `${page.viewportSize().width}-${name.split(" ")[1]}-band-zoom.png`) });
  await page.click("#reset");
  if (await page.isVisible("#phase-choice")) {
    await page.click('#phase-choice button:text("one by one")');
    const entries = await page.$$eval("#phases tbody tr", (all) => all.length);
    expect(entries >= names.length, `${name}: phases one by one: ${entries}`);
  }
  await page.evaluate(() => window.scrollTo(0, 0));
}

async function lookAtJudgement(page, name) {
  if (!await page.isVisible("#judged-section")) {
    console.log(`left out: ${name}: the judgement (this run was not captured)`);
    return;
  }
  const box = () => page.$eval("#judged", (node) => {
    node.scrollIntoView({ block: "center" });
    const { x, y, width, height } = node.getBoundingClientRect();
    return { x, y, width, height };
  });
  const place = await box();
  await page.mouse.move(place.x + place.width * 0.6, place.y + place.height / 2);
  const tip = await page.textContent("#judged-tip");
  expect(/A look every [\d.]+ (ms|s).*more than 5 %.*%/.test(tip), `${name}: hovering tells the chance to miss: ${tip}`);
  if (pictures) await page.screenshot({ path: join(pictures, `${page.viewportSize().width}-${name.split(" ")[1]}-judged.png`) });
  await page.click('#judged-choice button:text("how far off")');
  await box();
  await page.mouse.move(place.x + place.width * 0.6, place.y + place.height / 2);
  const off = await page.textContent("#judged-tip");
  expect(/9 of 10 runs.*%/.test(off), `${name}: and how far off: ${off}`);
  if (pictures) await page.screenshot({ path: join(pictures, `${page.viewportSize().width}-${name.split(" ")[1]}-judged-off.png`) });
  const legend = await page.$$eval("#judged-legend li", (all) => all.map((item) => item.textContent));
  expect(legend.length >= 3, `${name}: the lines are named: ${legend.join(", ")}`);
  await page.evaluate(() => window.scrollTo(0, 0));
}

/** What was counted once, limits and kills: told where the run had such, and nowhere else. */
async function lookAtMemory(page, name) {
  const { counted_once, cgroup, oom, refusals } = JSON.parse(await page.textContent("#figures"));
  const once = await page.isVisible("#counted-once");
  expect(once === (counted_once.bytes !== null), `${name}: memory counted once is ${once ? "" : "not "}told`);
  const section = await page.isVisible("#memory-section");
  expect(section === Boolean(cgroup || refusals || oom.length), `${name}: limits and kills are ${section ? "" : "not "}told`);
  const text = await page.textContent("#memory");
  for (const kill of oom) {
    const words = [kill.comm, kill.limit_cgroup ?? "", kill.group ?? "", kill.log_why ?? ""];
    expect(words.every((word) => text.includes(word)), `${name}: the kill of ${kill.comm} is told with its limit`);
  }
  if (cgroup?.limit_hit_by) expect(text.includes(cgroup.limit_hit_by), `${name}: what the limit was hit by is told`);
  expect(!/null|undefined|NaN/.test(text), `${name}: no empty figure among them`);
}

async function look(width, scheme) {
  const name = `${width} ${scheme}`;
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
  const said = [], asked = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) said.push(message.text()); });
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
  page.on("dialog", (dialog) => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(pathToFileURL(resolve(page_path)).href);
  await page.waitForTimeout(300);
  if (pictures) await page.screenshot({ path: join(pictures, `${width}-${scheme}.png`), fullPage: true });

  const peak = await page.textContent("#peak");
  expect(/^\d[\d.]* [KMGT]?i?B$/.test(peak), `${name}: the peak is told: ${peak}`);
  const drawn = await page.$$eval("canvas", (all) => all.filter((canvas) => canvas.checkVisibility())
    .every((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte !== 0)));
  expect(drawn, `${name}: every canvas has something on it`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(over <= 0, `${name}: nothing is wider than the window`);

  await lookAtMemory(page, name);
  await lookAtPhases(page, name);
  await lookAtJudgement(page, name);
  const whole = await chart(page);
  const plot = await levels(page);
  const middle = { x: whole.x + whole.width / 2, y: plot.y + 120 };
  await page.mouse.move(middle.x, middle.y);
  await page.waitForSelector("#tip:not([hidden])");
  const tip = await page.textContent("#tip");
  expect(/\d [KMG]?i?B/.test(tip), `${name}: hovering gives a value: ${tip}`);
  if (pictures) await page.screenshot({ path: join(pictures, `${width}-${scheme}-hover.png`) });

  await page.mouse.wheel(0, -300);
  await page.waitForTimeout(50);
  const closer = await chart(page);
  expect(closer.to - closer.from < whole.to - whole.from, `${name}: the wheel zooms in`);
  expect(closer.from > whole.from && closer.to < whole.to, `${name}: around the pointer`);
  await page.dblclick("#levels", { position: { x: whole.width / 2, y: 120 } });
  const again = await chart(page);
  expect(again.from === whole.from && again.to === whole.to, `${name}: a double click shows all again`);

  await page.mouse.move(whole.x + whole.width * 0.4, middle.y);
  await page.mouse.down();
  await page.mouse.move(whole.x + whole.width * 0.6, middle.y, { steps: 4 });
  await page.mouse.up();
  const dragged = await chart(page);
  const part = (dragged.to - dragged.from) / (whole.to - whole.from);
  expect(part > 0.1 && part < 0.35, `${name}: dragging zooms to what was marked (${part.toFixed(2)} of all)`);
  if (pictures) await page.screenshot({ path: join(pictures, `${width}-${scheme}-zoom.png`) });
  await page.click("#reset");
  expect((await chart(page)).to === whole.to, `${name}: the button shows all again`);

  for (const by of ["command", "process", "class"]) {
    await page.click(`#stack button:text("by ${by}")`);
    const names = await page.$$eval("#legend li", (all) => all.map((item) => item.textContent));
    expect(names.length > 0, `${name}: stacked by ${by}: ${names.join(", ").slice(0, 100)}`);
    if (pictures && by !== "class") await page.screenshot({ path: join(pictures, `${width}-${scheme}-${by}.png`) });
  }
  expect(said.length === 0, `${name}: no error on the console ${said.join(" | ")}`);
  const outside = asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:"));
  expect(outside.length === 0, `${name}: nothing asked from outside ${outside.join(" ")}`);
  await page.close();
}

for (const width of [1280, 420]) for (const scheme of ["light", "dark"]) await look(width, scheme);
await browser.close();
console.log(failed ? `${failed} failed` : "all well");
process.exit(failed ? 1 : 0);
