/**
 * An LED of the Linux kernel, a directory such as /sys/class/leds/ACT. While it is ours its trigger is `none`
 * and its brightness follows `set`; whatever ends the process, short of SIGKILL, gives both back.
 */
import { oneLine } from "../errors.ts";

/** Longest wait at the end for a write that hangs. */
const CLOSE_MS = 1_000;
const NAMES_MAX = 12;

/** See `Light` in `lib/node/led.ts`, which this satisfies. */
export class DenoLed {
  readonly path: string;
  /** Called at the first write that fails, with one line; later ones are only counted. */
  onError: ((reason: string) => void) | undefined;
  #trigger: string;
  #brightness: string;
  #max: string;
  #wanted = false;
  #shown = false;
  #writing: Promise<void> | undefined;
  #errors = 0;
  #isGivenBack = false;
  #giveBack = () => this.#restore();

  private constructor(path: string, trigger: string, brightness: string, max: string) {
    this.path = path;
    this.#trigger = trigger;
    this.#brightness = brightness;
    this.#max = max;
    for (const event of ENDS) globalThis.addEventListener(event, this.#giveBack);
  }

  /** Takes over the LED `name` of `directory`. Rejects with one line that says what to do; it is then as before. */
  static async open(directory: string, name: string): Promise<DenoLed> {
    const path = `${directory}/${name}`;
    let led: DenoLed | undefined;
    try {
      const [trigger, brightness, max] = await Promise.all(
        ["trigger", "brightness", "max_brightness"].map((file) =>
          Deno.readTextFile(`${path}/${file}`)
        ),
      );
      const active = /\[([^\]]+)\]/.exec(trigger!)?.[1] ?? "none";
      const most = Number(max) >= 1 ? max!.trim() : "1";
      led = new DenoLed(path, active, brightness!.trim(), most);
      await write(`${path}/trigger`, "none");
      await write(`${path}/brightness`, "0");
      return led;
    } catch (error) {
      if (led !== undefined) led.#restore();
      throw new Error(`LED ${path} can't be used: ${await advice(directory, error)}`);
    }
  }

  /** Writes that failed since the start. */
  get errors(): number {
    return this.#errors;
  }

  /** Returns at once; where writes are slow, the light skips what it can't follow. */
  set(on: boolean): void {
    this.#wanted = on;
    if (this.#writing !== undefined || on === this.#shown || this.#isGivenBack) return;
    this.#writing = this.#follow();
  }

  /** Gives trigger and brightness back. Never rejects. */
  async close(): Promise<void> {
    this.#wanted = this.#shown;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_MS));
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
    this.#restore();
  }

  async #follow(): Promise<void> {
    while (this.#wanted !== this.#shown && !this.#isGivenBack) {
      const on = this.#wanted;
      // After a failure the next change is the next attempt.
      this.#shown = on;
      try {
        await write(`${this.path}/brightness`, on ? this.#max : "0");
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#writing = undefined;
  }

  /** Synchronous, as nothing else runs while a process exits. */
  #restore(): void {
    if (this.#isGivenBack) return;
    this.#isGivenBack = true;
    for (const event of ENDS) globalThis.removeEventListener(event, this.#giveBack);
    try {
      // In this order: to the kernel, brightness 0 ends a trigger, and trigger none ends a brightness.
      if (this.#trigger === "none") Deno.writeTextFileSync(`${this.path}/trigger`, "none\n", KEEP);
      Deno.writeTextFileSync(`${this.path}/brightness`, `${this.#brightness}\n`, KEEP);
      if (this.#trigger !== "none") {
        Deno.writeTextFileSync(`${this.path}/trigger`, `${this.#trigger}\n`, KEEP);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.#errors++ === 0) this.onError?.(oneLine(error));
  }
}

/** Every way in which the process can end by itself. */
const ENDS = ["unload", "error", "unhandledrejection"] as const;
/** A file that is gone is not to be made anew. */
const KEEP = { create: false };

function write(path: string, text: string): Promise<void> {
  return Deno.writeTextFile(path, `${text}\n`, KEEP);
}

/** What went wrong and what to do about it. */
async function advice(directory: string, error: unknown): Promise<string> {
  if (error instanceof Deno.errors.NotFound) {
    const names: string[] = [];
    try {
      for await (const { name } of Deno.readDir(directory)) names.push(name);
    } catch {
      return `there is no ${directory}; set led_path, or led = "" for none`;
    }
    const known = names.sort().slice(0, NAMES_MAX).join(", ");
    return `not found; set led to one of: ${known || "none are here"}`;
  }
  if (/Read-only/i.test(oneLine(error))) {
    return "it is read-only here; ProtectKernelTunables of the unit must be off (docs/led.md)";
  }
  const isDenied = error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotCapable;
  return isDenied
    ? "permission denied; let the node's group write trigger and brightness (udev rule in docs/led.md)"
    : oneLine(error);
}
