/**
 * Keeps what the detectors have learned over a restart: one file of bounded size, written now and then and at the
 * end. What happens to events is written at once, to a small file beside it. Whatever state they are in, the node
 * starts; a file that is damaged, old or of other samples costs no more than learning anew.
 *
 * A line is the CRC-32 of its JSON in eight hexadecimal digits, a space, and the JSON. The first says what
 * the file is and which events are open; each of the others has what is known of one metric. The small file has
 * two such first lines, see `line_slots.ts`; the one of the latest turn in either file counts.
 */
import { getLogger } from "@logtape/logtape";
import { crc32 } from "node:zlib";
import { isSamePace, type MetricBank, type SavedMetric } from "../anomaly/bank.ts";
import { oneLine } from "../errors.ts";
import type { Instant, SavedEvent } from "../anomaly/events.ts";
import { type Clock, type Disk, DiskError } from "../platform/platform.ts";
import { Wakeup } from "../platform/wakeup.ts";
import { LineSlots, SLOT_BYTES } from "./line_slots.ts";

/** Name of the file. */
export const BASELINE_NAME = "baselines";
const TEMPORARY_NAME = "baselines.new";
/** Name of the small file. */
export const EVENTS_NAME = "baselines.events";
const VERSION = 1;
/** Longest file; metrics that no longer fit are learned anew after a restart. */
const FILE_BYTES_MAX = 2 * 1024 * 1024;
const SAVE_MS = 900_000;
/** What happened to an event is kept that soon; between two such writes there is a pause. */
const SOON_MS = 1_000;
const PAUSE_MS = 5_000;
/** Flash wears out: a file so large that this is exceeded at {@linkcode SAVE_MS} is written less often. */
const BYTES_PER_DAY_MAX = 50_000_000;
const DAY_MS = 86_400_000;
const EVENTS_MAX = 16;

const log = getLogger(["holdfast", "baselines"]);
const encoder = new TextEncoder();

interface Header {
  readonly holdfast_baselines: number;
  readonly saved_wall_ms: number;
  readonly sample_hz: number;
  readonly turn: number;
  readonly events: readonly SavedEvent[];
}

/** What the files held that can be used. */
export interface LoadedBaselines {
  readonly metrics: SavedMetric[];
  readonly events: readonly SavedEvent[];
  /** Time since the latest was written, by the wall clock; the longest that is allowed where it can't be told. */
  readonly ageMs: number;
  /** Of what was written last. */
  readonly turn: number;
}

/** The first line of a file, with its newline. */
function baselineHead(
  events: readonly SavedEvent[],
  sampleHz: number,
  now: Instant,
  turn: number,
): string {
  return lineOf(
    {
      holdfast_baselines: VERSION,
      saved_wall_ms: now.wallMs,
      sample_hz: sampleHz,
      turn,
      events,
    } satisfies Header,
  );
}

/** The lines of a file, each with its newline. */
export function* baselineLines(
  bank: Pick<MetricBank, "saved" | "savedEvents">,
  sampleHz: number,
  now: Instant,
  turn: number,
): Generator<string> {
  yield baselineHead(bank.savedEvents(now), sampleHz, now, turn);
  for (const metric of bank.saved()) yield lineOf(metric);
}

/**
 * Reads a file's text, and `later` first lines that may be newer than its own. Damaged lines are left out. Throws an
 * `Error` of one line where nothing can be used: no valid head, another version, another rate of samples, or older
 * than a day. One from the future tells that the clock was set back, as on a machine that starts at 1970: it counts
 * as a day old.
 */
export function parseBaselines(
  text: string,
  sampleHz: number,
  wallMs: number,
  later: readonly string[] = [],
): LoadedBaselines {
  const [first = "", ...rest] = text.split("\n");
  const head = parseHead(first, sampleHz, wallMs);
  const metrics = rest.map(contentOf).filter(isSavedMetric);
  let newest = head;
  for (const line of later) {
    try {
      const other = parseHead(line, sampleHz, wallMs);
      if (other.turn > newest.turn) newest = other;
    } catch {
      // It is one of three: what the others say stands.
    }
  }
  return { metrics, ...newest };
}

function parseHead(
  line: string,
  sampleHz: number,
  wallMs: number,
): Omit<LoadedBaselines, "metrics"> {
  const header = contentOf(line) as Partial<Header> | undefined;
  if (typeof header !== "object" || header === null) throw new Error("its head is damaged");
  const { holdfast_baselines, saved_wall_ms, sample_hz, turn, events } = header;
  if (holdfast_baselines !== VERSION) throw new Error("it is of another version");
  if (typeof sample_hz !== "number" || !isSamePace(sample_hz, sampleHz)) {
    throw new Error(`it is of samples at ${sample_hz} Hz`);
  }
  const agoMs = wallMs - Number(saved_wall_ms);
  if (!(agoMs <= DAY_MS)) throw new Error("it is older than a day");
  return {
    ageMs: agoMs < 0 ? DAY_MS : agoMs,
    turn: Number.isSafeInteger(turn) ? turn! : 0,
    events: Array.isArray(events) ? events.filter(isSavedEvent).slice(0, EVENTS_MAX) : [],
  };
}

/** See the head of the file. */
export class BaselineFile {
  #disk: Disk;
  #clock: Clock;
  #bank: MetricBank;
  #sampleHz: () => number;
  #slots: LineSlots;
  #bytes = 0;
  #turn = 0;
  #working: Promise<void> = Promise.resolve();
  #wakeup = new Wakeup();

  constructor(
    options: { disk: Disk; clock: Clock; bank: MetricBank; sampleHz: () => number },
  ) {
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#bank = options.bank;
    this.#sampleHz = options.sampleHz;
    this.#slots = new LineSlots(options.disk, EVENTS_NAME);
  }

  /** Hands what was saved to the bank. Never rejects. */
  async load(): Promise<void> {
    try {
      const text = await this.#read();
      this.#bytes = text.length;
      const later = await this.#slots.read();
      const now = this.#now();
      const loaded = parseBaselines(text, this.#sampleHz(), now.wallMs, later);
      const { metrics, events, ageMs, turn } = loaded;
      this.#turn = turn;
      this.#bank.restore(metrics, events, ageMs, now);
      log.info("what is normal is known of {count} metrics", { count: metrics.length });
    } catch (error) {
      if (error instanceof DiskError && error.kind === "gone") return;
      log.warn("{name} can't be used, learning anew: {reason}", {
        name: BASELINE_NAME,
        reason: oneLine(error),
      });
    }
  }

  /** Something changed that must not be lost: saves soon, as after a power cut nobody would close an event. */
  soon(): void {
    this.#wakeup.wake();
  }

  /** Saves now and then until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#wakeup.wake();
    signal.addEventListener("abort", stop);
    let savedMs = this.#clock.monotonicMs(), toldMs = -Infinity;
    while (!signal.aborted) {
      const dueMs = savedMs + Math.max(SAVE_MS, (this.#bytes / BYTES_PER_DAY_MAX) * DAY_MS);
      await this.#wakeup.wait(this.#clock, dueMs);
      const woken = this.#clock.monotonicMs();
      if (woken < dueMs) {
        await this.#clock.sleepUntil(Math.max(woken + SOON_MS, toldMs + PAUSE_MS), signal);
      }
      if (signal.aborted) break;
      if (woken < dueMs) {
        await this.saveEvents();
        toldMs = this.#clock.monotonicMs();
      } else {
        await this.save();
        savedMs = this.#clock.monotonicMs();
      }
    }
    signal.removeEventListener("abort", stop);
  }

  /**
   * Writes which events are open, beside what is learned; of very many those that fit their place. Never rejects.
   */
  saveEvents(): Promise<void> {
    return this.#working = this.#working.then(async () => {
      // Without the large file the small one is not looked at.
      if (this.#bytes === 0) return await this.#save();
      const now = this.#now(), turn = ++this.#turn;
      const events = this.#bank.savedEvents(now);
      let line: string;
      do line = baselineHead(events, this.#sampleHz(), now, turn); while (
        encoder.encode(line).length > SLOT_BYTES && events.pop() !== undefined
      );
      await this.#slots.write(turn, line).catch(warn);
    });
  }

  /**
   * Writes the file: it is the old one or the new one, whatever happens. Sampling has its turn between two
   * metrics. Calls take effect one after the other. Never rejects: a disk that fails costs the restart only.
   */
  save(): Promise<void> {
    return this.#working = this.#working.then(() => this.#save());
  }

  async #save(): Promise<void> {
    try {
      await this.#disk.remove(TEMPORARY_NAME);
      const file = this.#disk.create(TEMPORARY_NAME);
      let bytes = 0;
      try {
        const hz = this.#sampleHz();
        for (const line of baselineLines(this.#bank, hz, this.#now(), ++this.#turn)) {
          const encoded = encoder.encode(line);
          if (bytes + encoded.length > FILE_BYTES_MAX) continue;
          bytes += encoded.length;
          if (file.append(encoded) < encoded.length) {
            throw new DiskError("full", "not all could be written");
          }
          await this.#clock.sleepUntil(this.#clock.monotonicMs());
        }
        await file.sync();
      } finally {
        file.close();
      }
      await this.#disk.rename(TEMPORARY_NAME, BASELINE_NAME);
      await this.#disk.syncDir();
      this.#bytes = bytes;
    } catch (error) {
      warn(error);
    }
  }

  #now(): Instant {
    return { monoMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() };
  }

  async #read(): Promise<string> {
    const file = await this.#disk.open(BASELINE_NAME, false);
    try {
      const bytes = new Uint8Array(Math.min(file.size, FILE_BYTES_MAX));
      let length = 0;
      while (length < bytes.length) {
        const count = await file.readAt(length, bytes.subarray(length));
        if (count === 0) break;
        length += count;
      }
      return new TextDecoder().decode(bytes.subarray(0, length));
    } finally {
      file.close();
    }
  }
}

function warn(error: unknown): void {
  log.warn("what is normal can't be saved: {reason}", { reason: oneLine(error) });
}

function lineOf(content: unknown): string {
  const json = JSON.stringify(content);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

/** The content of a line; `undefined` where it is damaged. */
function contentOf(line: string): unknown {
  const json = line.slice(9);
  if (line.slice(0, 9) !== `${crc32(json).toString(16).padStart(8, "0")} `) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isSavedMetric(value: unknown): value is SavedMetric {
  if (typeof value !== "object" || value === null) return false;
  const { metric, spec, budget } = value as Partial<SavedMetric>;
  return typeof metric === "string" && typeof spec === "string" && Array.isArray(budget);
}

function isSavedEvent(value: unknown): value is SavedEvent {
  if (typeof value !== "object" || value === null) return false;
  const { id, since_wall_ms, metrics, joined_ms, peak, strength } = value as Partial<SavedEvent>;
  return typeof id === "string" && id.length <= 64 && Number.isFinite(since_wall_ms) &&
    Array.isArray(metrics) && metrics.length > 0 &&
    metrics.every((name) => typeof name === "string") &&
    Array.isArray(joined_ms) && joined_ms.every((ms) => Number.isFinite(ms)) &&
    typeof peak?.metric === "string" && Number.isFinite(peak.value) &&
    Number.isFinite(peak.score) && Number.isFinite(strength);
}
