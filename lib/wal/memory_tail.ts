/**
 * The tail in memory-backed storage: a copy of each record that is neither acked nor synced yet, which a killed
 * process leaves whole and a power cut takes. It is written at every tick and read at a start only; what the host
 * doesn't ack in time goes to the disk from the ring. Segments of the log's format, and a checkpoint that says
 * whose they are.
 *
 * ```
 *  idle ── clear ──▶ prepared ── the disk's checkpoint names it ──▶ on ── fails ──▶ idle, and again after a while
 * ```
 * Appends go here only while it is on: else a start wouldn't look for them.
 */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { type Clock, type Disk, DiskError, type Random } from "../platform/platform.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import {
  type Checkpoint,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  segmentName,
  shortBootId,
} from "./format.ts";
import { roomFor, SegmentReader, SegmentWriter, type StoredRecord } from "./segment.ts";

/** Most bytes of a tail, and of one of its segments. */
const BYTES_MAX = 4 * 1024 * 1024;
const SEGMENT_BYTES_MAX = 256 * 1024;
const SEGMENTS = 4;
/** A place that failed is tried again after that. */
const RETRY_MS = 30_000;
const log = getLogger(["holdfast", "wal"]);

interface TailSegment {
  readonly name: string;
  /** Last seq that it holds. */
  end: number;
}

/** What a killed process left. */
export interface FoundTail {
  readonly checkpoint: Checkpoint;
  readonly segments: readonly TailSegment[];
  readonly lastTurn: number;
  readonly bytes: number;
  /** Records above what was asked for, ascending. */
  readonly records: readonly StoredRecord[];
  /** Last seq that it knows to be given out. */
  readonly lastSeq: number;
}

/**
 * The tail that goes with a log whose checkpoint on disk is given, with its records above `above`; `undefined`
 * where it is of another log, of another run of the operating system, of somebody else's time in the same place,
 * or can't be read. Never rejects for what is there.
 */
export async function findTail(
  disk: Disk,
  { epoch, checkpoint, osBootId, above }: {
    readonly epoch: string;
    readonly checkpoint: Checkpoint | undefined;
    readonly osBootId: string;
    /** Of what lies at or below it the disk has all that is not acked. */
    readonly above: number;
  },
): Promise<FoundTail | undefined> {
  try {
    const names = (await disk.list()).map((name) => ({ name, ...parseSegmentName(name) }))
      .filter(({ turn }) => turn !== undefined).sort((a, b) => a.turn! - b.turn!);
    const own = await readCheckpoint(disk);
    if (own?.epoch !== epoch || own.osBootId !== shortBootId(osBootId)) return undefined;
    // Without a checkpoint on disk its epoch and its boot must do.
    const isOther = checkpoint !== undefined && checkpoint.tail !== own.tail;
    if (isOther || checkpoint?.clean === true) return undefined;
    const records: StoredRecord[] = [], segments: TailSegment[] = [];
    let bytes = 0, lastSeq = own.highAcked;
    const from = Math.max(above, own.highAcked);
    for (const { name, base } of names) {
      const file = await disk.open(name, false);
      try {
        const reader = new SegmentReader(file, base!, { tolerant: true });
        let end = base! - 1;
        for (let record = await reader.next(); record; record = await reader.next()) {
          end = record.seq;
          if (end > from) records.push(record);
        }
        bytes += file.size;
        lastSeq = Math.max(lastSeq, end);
        segments.push({ name, end });
      } finally {
        file.close();
      }
    }
    const lastTurn = names.at(-1)?.turn ?? 0;
    return { checkpoint: own, segments, lastTurn, bytes, records, lastSeq };
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (checkpoint !== undefined && checkpoint.tail !== 0) {
      log.error("the tail in memory can't be read: {reason}", { reason: oneLine(error) });
    }
    return undefined;
  }
}

/** What {@linkcode MemoryTail} works with. */
export interface MemoryTailParts {
  /** The directory, this log's alone; without one the tail is never on. */
  readonly disk: Disk | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** The most that it may be by the log's limit. */
  readonly bytesMax: () => number;
  /** What the log's limit leaves at present. */
  readonly roomBytes: () => number;
  /** It failed: what it held must go to the disk now. */
  readonly onFailed: () => void;
}

/** See the head of the file. Its failures are its own: no method throws or rejects for them. */
export class MemoryTail {
  #parts: MemoryTailParts;
  #epoch: string;
  #state: "idle" | "prepared" | "on" = "idle";
  #id = 0;
  #segments: TailSegment[] = [];
  #writer: SegmentWriter | undefined;
  #turn = 0;
  #noteTurn = 0;
  #keptBytes = 0;
  #error: string | undefined;
  #retryAtMs = -Infinity;

  /** Goes on with what was found, where something was. */
  constructor(parts: MemoryTailParts, epoch: string, found: FoundTail | undefined) {
    this.#parts = parts;
    this.#epoch = epoch;
    if (found === undefined || parts.disk === undefined) return;
    this.#state = "on";
    this.#id = found.checkpoint.tail;
    this.#segments = found.segments.map((segment) => ({ ...segment }));
    this.#turn = found.lastTurn;
    this.#noteTurn = found.checkpoint.turn;
    this.#keptBytes = found.bytes;
  }

  /** Whether records go there. */
  get isOn(): boolean {
    return this.#state === "on";
  }
  /** What the disk's checkpoint is to name; 0 for none. */
  get id(): number {
    return this.#state === "idle" ? 0 : this.#id;
  }
  /** Bytes of its segments. */
  get bytes(): number {
    return this.#keptBytes + (this.#writer?.bytes ?? 0);
  }
  /** The most that those may be; 0 where there is no place for a tail. */
  get bytesMax(): number {
    return this.#parts.disk === undefined ? 0 : Math.min(BYTES_MAX, this.#parts.bytesMax());
  }
  /** Why it is not on although there is a place. */
  get lastError(): string | undefined {
    return this.#error;
  }
  /** When a place that failed is tried again; `Infinity` where there is nothing to try. */
  get retryAtMs(): number {
    const isIdle = this.#state === "idle" && this.#parts.disk !== undefined;
    return isIdle ? this.#retryAtMs : Infinity;
  }

  /** Makes the place empty and ready; a checkpoint must name it next. */
  async prepare(): Promise<void> {
    const { disk, random } = this.#parts;
    if (disk === undefined || this.#state !== "idle") return;
    try {
      for (const name of await disk.list()) await disk.remove(name);
      const [a, b, c, d] = random.bytes(4) as unknown as [number, number, number, number];
      this.#id = ((a << 24 | b << 16 | c << 8 | d) >>> 0) || 1;
      this.#state = "prepared";
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The disk's checkpoint that names `id` is durable. */
  confirm(id: number): void {
    if (this.#state !== "prepared" || id !== this.#id) return;
    this.#state = "on";
    if (this.#error !== undefined) log.info("memory takes the log's tail again");
    this.#error = undefined;
  }

  /** Writes in the tail what the disk's checkpoint is about to say. */
  async note(checkpoint: Checkpoint): Promise<void> {
    const { disk } = this.#parts;
    if (disk === undefined || this.#state === "idle") return;
    try {
      await writeCheckpoint(disk, { ...checkpoint, tail: this.#id, turn: ++this.#noteTurn });
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Takes a copy of a record; returns its bytes, or 0 where the record must go to the disk at once: while the
   * tail is off, or as full as it may be.
   */
  append(seq: number, payload: Uint8Array): number {
    const { disk, roomBytes } = this.#parts;
    if (disk === undefined || this.#state !== "on") return 0;
    const segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.floor(this.bytesMax / SEGMENTS));
    const most = SEGMENT_HEADER_BYTES + (this.#writer?.room(payload) ?? 3 * roomFor(payload));
    if (most > Math.min(this.bytesMax - this.bytes, roomBytes())) return 0;
    try {
      if (this.#writer === undefined || this.#writer.bytes >= segmentBytes) {
        this.#seal();
        const name = segmentName(seq, ++this.#turn);
        const reason = "none" as const;
        const header = { epoch: this.#epoch, base: seq, prev: seq - 1, reason, most: 0 };
        const file = disk.create(name);
        this.#segments.push({ name, end: seq - 1 });
        this.#writer = new SegmentWriter(file, segmentBytes / 8);
        this.#writer.start(header);
      }
      const bytes = this.#writer.append(seq, payload);
      this.#segments.at(-1)!.end = seq;
      return bytes;
    } catch (error) {
      this.#fail(error);
      return 0;
    }
  }

  /** Whether a segment holds nothing any more that isn't `settled`. */
  isRemovalDue(settled: number): boolean {
    const [oldest] = this.#segments;
    if (oldest === undefined || this.#state !== "on") return false;
    return oldest.end <= settled && (this.#segments.length > 1 || this.#writer === undefined);
  }

  /** Looks whether the file that is written to is still there: one that was removed takes records all the same. */
  async check(): Promise<void> {
    const { disk } = this.#parts;
    const newest = this.#segments.at(-1);
    if (disk === undefined || newest === undefined || this.#writer === undefined) return;
    try {
      await disk.sizeOf(newest.name);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Removes such segments; what is acked must have been noted. */
  async removeThrough(settled: number): Promise<void> {
    const { disk } = this.#parts;
    while (this.isRemovalDue(settled)) {
      const { name } = this.#segments[0]!;
      try {
        const bytes = await disk!.sizeOf(name);
        await disk!.remove(name);
        this.#keptBytes -= bytes;
        this.#segments.shift();
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  /** All of it is settled, and the log on disk says so: nothing stays behind. */
  async clear(): Promise<void> {
    const { disk } = this.#parts;
    if (disk === undefined || this.#state === "idle") return;
    this.#close();
    this.#state = "idle";
    try {
      for (const name of await disk.list()) await disk.remove(name);
    } catch (error) {
      log.warn("the tail in memory can't be removed: {reason}", { reason: oneLine(error) });
    }
  }

  /** Lets go of the file; what it holds stays. */
  abandon(): void {
    this.#writer?.file.close();
    this.#writer = undefined;
  }

  #fail(error: unknown): void {
    const { clock, onFailed } = this.#parts;
    const reason = oneLine(error);
    if (this.#error === undefined) {
      log.warn("memory doesn't take the log's tail, records go to the disk: {reason}", { reason });
    }
    this.#error = reason;
    this.#retryAtMs = clock.monotonicMs() + RETRY_MS;
    const wasInUse = this.#state !== "idle";
    this.#state = "idle";
    this.#close();
    if (wasInUse) onFailed();
  }

  #seal(): void {
    this.#keptBytes += this.#writer?.bytes ?? 0;
    this.abandon();
  }

  #close(): void {
    this.abandon();
    this.#segments = [];
    this.#keptBytes = 0;
  }
}
