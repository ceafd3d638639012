/**
 * `deno task bench:pages [--nodes N]`: the host's page in Chromium with N nodes that are connected to a real host
 * and send a record a second each: how long it takes to load, and whether it scrolls.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { closeBrowser } from "../tests/browser/browser.ts";
import { Fleet } from "../tests/browser/fleet.ts";
import { Site } from "../tests/browser/site.ts";

const values = {
  nodes: "1000",
  ...demandFlags(Deno.args, { text: ["nodes"] }).values,
} as { nodes: string };
const count = Number(values.nodes);
/** Scrolls through the whole list and gives the milliseconds of each frame. */
const SCROLL = `new Promise((resolve) => {
  const times = [], step = Math.max(40, document.documentElement.scrollHeight / 240);
  let last = performance.now();
  requestAnimationFrame(function frame(now) {
    times.push(now - last);
    last = now;
    scrollBy(0, step);
    if (times.length < 240) requestAnimationFrame(frame);
    else resolve(times);
  });
})`;

await using site = new Site();
await site.host();
const fleet = await Fleet.connect(site.port, count);
const loads: number[] = [];
for (let i = 0; i < 7; i++) {
  const start = performance.now();
  const view = await site.hostPage();
  await view.shows(new RegExp(`${count.toLocaleString("en")} nodes.*connected`));
  await view.page.getByRole("row").nth(5).waitFor();
  loads.push(performance.now() - start);
  if (i === 6) {
    const frames = (await view.page.evaluate(SCROLL) as number[]).sort((a, b) => a - b);
    const at = (part: number) => frames[Math.floor(part * (frames.length - 1))]!.toFixed(1);
    console.log(`scrolling, ms a frame: median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(1)}`);
  }
  await view.close();
}
console.log(
  `${count} nodes, from the address to drawn rows, ms, browser's start in the first: ` +
    loads.map((ms) => ms.toFixed(0)).join(", "),
);
await fleet.close();
await closeBrowser();
