/** A real node drives a folder that looks like /sys/class/leds/ACT. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { realTest } from "../real.ts";

const OLD_TRIGGER = "none [mmc0] timer\n";
/** In two seconds; `docs/led.md` has the patterns. */
const FLASHES = { failure: 16, anomaly: 4, disconnected: 2, healthy: 1 };
const OLD_BRIGHTNESS = "37\n";

/** An LED of plain files, and a node beside it. */
class Bench {
  readonly directory = Deno.makeTempDirSync({ prefix: "holdfast-led-" });
  readonly address = `127.0.0.1:${freePort()}`;

  constructor() {
    Deno.mkdirSync(`${this.directory}/leds/ACT`, { recursive: true });
    this.write("trigger", OLD_TRIGGER);
    this.write("brightness", OLD_BRIGHTNESS);
    this.write("max_brightness", "255\n");
  }
  write(file: string, text: string): void {
    Deno.writeTextFileSync(`${this.directory}/leds/ACT/${file}`, text);
  }
  read(file: string): string {
    return Deno.readTextFileSync(`${this.directory}/leds/ACT/${file}`).trim();
  }
  node(...args: string[]): Promise<Process> {
    return new Process("node", [
      ...["--id", "pump-7", "--host", this.address, "--data", `${this.directory}/node`],
      ...["--reconnect-ms-max", "300", "--stop-grace-ms", "0", "--sample-hz", "20"],
      ...["--led", "ACT", "--led-path", `${this.directory}/leds`, ...args],
    ]).ready();
  }
  host(): Promise<Process> {
    return new Process("host", ["--listen", this.address, "--data", `${this.directory}/host`])
      .ready();
  }
  remove(): void {
    Deno.removeSync(this.directory, { recursive: true });
  }

  /** Flashes in one round of two seconds, looked at from the end of a pause on. */
  async flashes(): Promise<number> {
    let last = "0", count = 0;
    const deadline = performance.now() + 2_000;
    while (performance.now() < deadline) {
      // The file is empty for a moment at each write.
      const now = this.read("brightness") || last;
      if (now !== last && now !== "0") count++;
      if (now !== "0") assertEquals(now, "255");
      last = now;
      await wait(10);
    }
    return count;
  }
  /** Waits for a pattern that pauses. */
  async shows(name: keyof typeof FLASHES): Promise<void> {
    const wanted = FLASHES[name];
    let seen = 0;
    for (let attempt = 0; attempt < 8; attempt++) {
      await this.#pause();
      seen = await this.flashes();
      if (seen === wanted) return;
    }
    assertEquals(seen, wanted, name);
  }
  /** Waits for a pattern that never pauses; a busy machine may swallow a few flashes of it. */
  async blinks(name: keyof typeof FLASHES): Promise<void> {
    const wanted = FLASHES[name];
    let seen = 0;
    for (let attempt = 0; attempt < 8; attempt++) {
      seen = await this.flashes();
      if (seen > 0.75 * wanted && seen <= wanted + 1) return;
    }
    assertEquals(seen, wanted, name);
  }
  /** Waits for a long pause, so that a round is seen whole. */
  async #pause(): Promise<void> {
    const deadline = performance.now() + 3_000;
    for (let darkMs = 0; darkMs < 500 && performance.now() < deadline; await wait(10)) {
      darkMs = this.read("brightness") === "0" ? darkMs + 10 : 0;
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

realTest(
  "a node's LED shows disconnected, then healthy, and SIGTERM gives trigger and brightness back",
  async () => {
    const bench = new Bench();
    const node = await bench.node();
    assertEquals(bench.read("trigger"), "none");
    await bench.shows("disconnected");
    const host = await bench.host();
    await bench.shows("healthy");
    assertEquals(await node.stop(), 0);
    assertEquals(bench.read("trigger"), "mmc0");
    assertEquals(bench.read("brightness"), "37");
    await host.stop();
    bench.remove();
  },
);

realTest("a second signal, which ends a node at once, gives the LED back as well", async () => {
  const bench = new Bench();
  const host = await bench.host();
  const node = await bench.node("--stop-grace-ms", "60000");
  await host.kill();
  node.signal("SIGINT");
  await wait(300);
  node.signal("SIGINT");
  assertEquals((await node.ended).code, 130);
  assertEquals([bench.read("trigger"), bench.read("brightness")], ["mmc0", "37"]);
  bench.remove();
});

realTest(
  "an anomaly makes the LED blink, a log that can't be written makes it flicker",
  async () => {
    const bench = new Bench();
    const value = `${bench.directory}/value`;
    Deno.writeTextFileSync(value, "1.0\n");
    const sensor = `file:name=flow,path=${value},unit=l`;
    const host = await bench.host();
    const node = await bench.node("--sensor", sensor, "--detectors", "flow=limits:low=0,high=2");
    await bench.shows("healthy");
    Deno.writeTextFileSync(value, "9.0\n");
    await bench.blinks("anomaly");
    await node.stop();
    Deno.removeSync(`${bench.directory}/node`, { recursive: true });
    Deno.writeTextFileSync(`${bench.directory}/node`, "a file where the log should be\n");
    // The kernel would put the brackets back by itself.
    bench.write("trigger", OLD_TRIGGER);
    const failing = await bench.node();
    await bench.blinks("failure");
    assertEquals(await failing.stop(), 0);
    assertEquals([bench.read("trigger"), bench.read("brightness")], ["mmc0", "37"]);
    await host.stop();
    bench.remove();
  },
);

realTest(
  "an LED that isn't there costs one line that names what is, and one that fails later one more",
  async () => {
    const bench = new Bench();
    const without = await bench.node("--led", "led9");
    await wait(200);
    assertMatch(
      without.log,
      /LED \S+\/leds\/led9 can't be used: not found; set led to one of: ACT/,
    );
    assertEquals(await without.stop(), 0);
    const node = await bench.node();
    Deno.removeSync(`${bench.directory}/leds/ACT/brightness`);
    await wait(1_000);
    const { samples } = await node.status();
    await wait(2_500);
    assert((await node.status()).samples - samples > 30);
    assertEquals(await node.stop(), 0);
    assertEquals(node.log.match(/ LED /g)?.length, 1, node.log);
    bench.remove();
  },
);
