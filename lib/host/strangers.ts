/** Who wasn't let in lately, in one line: a device whose certificate ended looks like somebody who tries to get in. Pure. */

/** How long it is told of. */
const LATELY_MS = 600_000;
/** Refusals that are remembered, the newest. */
const REMEMBERED_MAX = 1_000;

interface Refusal {
  readonly atMs: number;
  readonly peer: string;
  readonly reason: string;
}

/** See the head of the file. Times are those of one clock. */
export class Strangers {
  #refusals: Refusal[] = [];

  /** `peer` was refused for that reason. */
  refused(peer: string, reason: string, nowMs: number): void {
    this.#refusals.push({ atMs: nowMs, peer, reason });
    if (this.#refusals.length > REMEMBERED_MAX) this.#refusals.shift();
  }

  /** What to say of the last ten minutes; `undefined` where nobody was refused. */
  lately(nowMs: number): string | undefined {
    while (this.#refusals[0] !== undefined && nowMs - this.#refusals[0].atMs > LATELY_MS) {
      this.#refusals.shift();
    }
    const last = this.#refusals.at(-1);
    if (last === undefined) return undefined;
    const { length } = this.#refusals;
    const many = length === REMEMBERED_MAX ? `${length} or more` : String(length);
    const connections = length === 1 ? "1 connection was" : `${many} connections were`;
    return `${connections} refused in the last 10 min, the last from ${last.peer}: ${last.reason}`;
  }
}
