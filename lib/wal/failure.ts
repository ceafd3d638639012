/** That the disk takes no records at present, why, and when to try again. */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import type { Clock } from "../platform/platform.ts";

/** Time between two attempts to write again; doubles up to the longest. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
const log = getLogger(["holdfast", "wal"]);

/** See the head of the file. */
export class Failure {
  #clock: Clock;
  #text: string | undefined;
  #retryAtMs = Infinity;
  #retryMs = RETRY_MS;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isPresent(): boolean {
    return this.#text !== undefined;
  }
  /** What failed and why, in one line. */
  get text(): string | undefined {
    return this.#text;
  }
  /** When writing is to be tried again; `Infinity` while it works. */
  get retryAtMs(): number {
    return this.isPresent ? this.#retryAtMs : Infinity;
  }
  get isRetryDue(): boolean {
    return this.#clock.monotonicMs() >= this.retryAtMs;
  }

  /** Something failed; logged once until it works again. */
  note(what: string, error: unknown): void {
    const reason = oneLine(error);
    if (!this.isPresent) log.error("{what}, going on in memory: {reason}", { what, reason });
    this.#text = `${what}: ${reason}`;
    this.#retryAtMs = this.#clock.monotonicMs() + this.#retryMs;
  }

  /** Writing is tried again now: the next try comes later. */
  retrying(): void {
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }

  /** Writing works. */
  clear(): void {
    this.#text = undefined;
  }

  /** It works for certain: the next failure is a first one. */
  forget(): void {
    this.#retryMs = RETRY_MS;
  }
}
