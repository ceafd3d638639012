/**
 * This machine's own values, from /proc and /sys: load, CPU use, memory, disk, network rates, and what
 * temperature sensors there are. Read once a second in the background.
 */
import { PolledSensor, type SensorRuntime } from "./sensor.ts";

/** How often the kernel works out its load. */
const LOAD_MS = 5_000;

/** Options of `linux`, with their defaults. */
export const LINUX_OPTIONS = {
  every_ms: 1_000,
  /** The file system that `disk_used_percent` is about. */
  disk: "/",
};

/** See {@linkcode LINUX_OPTIONS}. */
export type LinuxOptions = typeof LINUX_OPTIONS;

/** Busy and total time of all processors since boot, in ticks, from /proc/stat. */
export function parseCpu(text: string): { busy: number; total: number } {
  const fields = /^cpu +(.+)$/m.exec(text)?.[1]?.trim().split(/ +/).map(Number) ?? [];
  // user nice system idle iowait irq softirq steal; guest time is part of user time.
  const total = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  return { busy: total - (fields[3] ?? 0) - (fields[4] ?? 0), total };
}

/** Used shares of memory and swap in percent, from /proc/meminfo. */
export function parseMemory(text: string): { mem_used_percent: number; swap_used_percent: number } {
  const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)?.[1] ?? 0);
  const total = kib("MemTotal"), swap = kib("SwapTotal");
  return {
    mem_used_percent: total === 0 ? 0 : 100 * (1 - kib("MemAvailable") / total),
    swap_used_percent: swap === 0 ? 0 : 100 * (1 - kib("SwapFree") / swap),
  };
}

/** Bytes received and sent by all interfaces but loopback since boot, from /proc/net/dev. */
export function parseNetwork(text: string): { received: number; sent: number } {
  let received = 0, sent = 0;
  for (const line of text.split("\n")) {
    const match = /^\s*([^:\s]+):\s*(.+)$/.exec(line);
    if (match === null || match[1] === "lo") continue;
    const fields = match[2]!.trim().split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** See the head of the file. */
export class LinuxSensor extends PolledSensor {
  #disk: string;
  #before:
    | { atMs: number; busy: number; total: number; received: number; sent: number }
    | undefined;
  /** Files of the temperature sensors by metric; looked for once. */
  #thermal: Map<string, string> | undefined;

  constructor(options: LinuxOptions, runtime: SensorRuntime) {
    super("linux", runtime, options.every_ms, 1_000);
    this.#disk = options.disk;
  }

  protected override periodMs(metric: string): number {
    return metric === "load1" ? LOAD_MS : 0;
  }

  protected async read(): Promise<Record<string, number>> {
    const { runtime } = this;
    const [load, stat, memory, network, space] = await Promise.all([
      runtime.readText("/proc/loadavg"),
      runtime.readText("/proc/stat"),
      runtime.readText("/proc/meminfo"),
      runtime.readText("/proc/net/dev").catch(() => ""),
      runtime.diskSpace(this.#disk),
    ]);
    const values: Record<string, number> = { load1: Number(load.split(" ")[0]) };
    for (const [name, value] of Object.entries(parseMemory(memory))) values[name] = round(value);
    if (space !== undefined && space.total > 0) {
      values.disk_used_percent = round(100 * (1 - space.free / space.total));
    }
    const now = { atMs: runtime.clock.monotonicMs(), ...parseCpu(stat), ...parseNetwork(network) };
    const before = this.#before;
    if (before !== undefined && now.atMs > before.atMs) {
      const seconds = (now.atMs - before.atMs) / 1_000;
      const ticks = now.total - before.total;
      if (ticks > 0) values.cpu_percent = round((100 * (now.busy - before.busy)) / ticks);
      // Counters start anew when an interface does.
      values.net_rx_bytes_per_s = round(Math.max(0, now.received - before.received) / seconds);
      values.net_tx_bytes_per_s = round(Math.max(0, now.sent - before.sent) / seconds);
    }
    this.#before = now;
    Object.assign(values, await this.#temperatures());
    return values;
  }

  async #temperatures(): Promise<Record<string, number>> {
    this.#thermal ??= await this.#findThermal();
    const values: Record<string, number> = {};
    for (const [name, path] of this.#thermal) {
      // Some zones refuse to be read now and then; the others go on.
      const text = await this.runtime.readText(path).catch(() => "");
      if (text.trim() !== "") values[name] = Number(text) / 1_000;
    }
    return values;
  }

  async #findThermal(): Promise<Map<string, string>> {
    const { runtime } = this;
    const found = new Map<string, string>();
    for (const zone of await runtime.listDirectory("/sys/class/thermal")) {
      const number = /^thermal_zone(\d+)$/.exec(zone)?.[1];
      if (number !== undefined) {
        found.set(`thermal_${number}_c`, `/sys/class/thermal/${zone}/temp`);
      }
    }
    for (const chip of await runtime.listDirectory("/sys/class/hwmon")) {
      const directory = `/sys/class/hwmon/${chip}`;
      const name = (await runtime.readText(`${directory}/name`).catch(() => chip)).trim();
      for (const file of await runtime.listDirectory(directory)) {
        const number = /^temp(\d+)_input$/.exec(file)?.[1];
        if (number === undefined) continue;
        const metric = `${name.replaceAll(/[^A-Za-z0-9]/g, "_")}_${number}_c`;
        found.set(/^[A-Za-z_]/.test(metric) ? metric : `hwmon_${metric}`, `${directory}/${file}`);
      }
    }
    return found;
  }
}
