/**
 * Numbers in advance: while records that are acked in time never reach the disk, what stands there doesn't tell
 * how far numbers were given out. So a checkpoint reserves a stride of them before they are used, and says how
 * many records a power cut can take at most; both follow the rate at which records come.
 */
import { RESERVE_RECORDS } from "../limits.ts";
import type { Clock } from "../platform/platform.ts";
import { STRIDE_RECORDS, STRIDES_MAX } from "./format.ts";
import type { Positions } from "./positions.ts";

/** How long a stride lasts at the rate of late; the next one is reserved when half of it is left. */
const STRIDE_MS = 300_000;
const STRIDE_RECORDS_MIN = 4_096;
const UNSYNCED_MIN = 16;

/** What a checkpoint says of numbers beyond what is on record. */
export interface Plan {
  /** See `Checkpoint.strides`. */
  readonly strides: number;
  /** See `Checkpoint.unsyncedMax`. */
  readonly unsyncedMax: number;
  /** Numbers above the last that was given out. */
  readonly size: number;
  /** Where the rate is measured from. */
  readonly last: Moment;
}

interface Moment {
  readonly next: number;
  readonly atMs: number;
}

/** See the head of the file. */
export class Reservation {
  #clock: Clock;
  #positions: Positions;
  #intervalMs: number;
  #last: Moment;
  #size = STRIDE_RECORDS_MIN;
  #unsyncedMax = RESERVE_RECORDS;

  /** `intervalMs` is the longest time for which a record is neither acked nor synced. */
  constructor(clock: Clock, positions: Positions, intervalMs: number) {
    this.#clock = clock;
    this.#positions = positions;
    this.#intervalMs = intervalMs;
    this.#last = { next: positions.next, atMs: clock.monotonicMs() };
  }

  /** Whether half of what is reserved is used up. */
  get isDue(): boolean {
    const { next, reserved } = this.#positions;
    return reserved !== undefined && next > reserved - this.#size / 2;
  }
  /** Whether so many records are neither acked nor synced that all of them should be: at half of the promise. */
  get isUnsyncedFull(): boolean {
    const { next, unsyncedFrom } = this.#positions;
    return next - unsyncedFrom >= this.#unsyncedMax / 2;
  }

  /** What the next checkpoint is to say, whose `lastSeq` is given; it counts once that is durable. */
  plan(lastSeq: number): Plan {
    const { next, settled } = this.#positions;
    const nowMs = this.#clock.monotonicMs();
    const spanMs = nowMs - this.#last.atMs;
    let size = this.#size, unsyncedMax = this.#unsyncedMax, last = this.#last;
    // A moment says nothing of the rate.
    if (spanMs >= 10 * this.#intervalMs) {
      const perMs = (next - this.#last.next) / spanMs;
      size = Math.max(STRIDE_RECORDS_MIN, Math.ceil(perMs * STRIDE_MS));
      const atRate = Math.ceil(2.5 * perMs * this.#intervalMs);
      unsyncedMax = Math.max(UNSYNCED_MIN, atRate, 2 * (next - 1 - settled));
      last = { next, atMs: nowMs };
    }
    const strides = Math.min(Math.ceil((next - 1 + size - lastSeq) / STRIDE_RECORDS), STRIDES_MAX);
    return { strides, unsyncedMax, size, last };
  }

  /** The checkpoint of that plan is durable. */
  confirm({ size, unsyncedMax, last }: Plan): void {
    this.#size = size;
    this.#unsyncedMax = unsyncedMax;
    this.#last = last;
  }
}
