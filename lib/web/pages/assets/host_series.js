/**
 * One metric over one window: the columns that the host sent, and what came live since. Never more columns
 * than were asked for, and as many again. Pure. Times by the device's clock.
 */

/** A line is broken where nothing came for that many usual distances. */
const BREAK_FACTOR = 4;
const SAMPLED_DISTANCES = 64;

/** See the head of the file. */
export class Series {
  fromMs = 0;
  stepMs = 1;
  #t = [];
  #min = [];
  #mean = [];
  #max = [];
  #n = [];
  #flagged = [];
  #points = 0;

  /** Takes the host's answer, and forgets what was before. */
  load(answer, points) {
    this.fromMs = answer.from_ms;
    this.stepMs = Math.max(answer.step_ms, 1);
    this.#t = answer.t;
    this.#min = answer.min;
    this.#mean = answer.mean;
    this.#max = answer.max;
    this.#n = answer.n;
    this.#flagged = answer.anomalies ?? answer.t.map(() => 0);
    this.#points = points;
  }

  get length() {
    return this.#t.length;
  }

  /**
   * Adds a value that came live. What is older than the newest column is left out: it is in the host's next
   * answer.
   * @param {{t: number, value: number, low: number, high: number, n: number, isFlagged: boolean}} sample
   */
  add({ t, value, low, high, n, isFlagged }) {
    const start = this.fromMs + Math.floor((t - this.fromMs) / this.stepMs) * this.stepMs;
    const at = this.#t.length - 1;
    if (at >= 0 && start < this.#t[at]) return;
    if (at >= 0 && start === this.#t[at]) {
      const sum = this.#n[at] + n;
      this.#mean[at] += (value - this.#mean[at]) * (n / sum);
      this.#min[at] = Math.min(this.#min[at], low);
      this.#max[at] = Math.max(this.#max[at], high);
      this.#n[at] = sum;
      this.#flagged[at] += isFlagged ? 1 : 0;
      return;
    }
    this.#t.push(start);
    this.#min.push(low);
    this.#mean.push(value);
    this.#max.push(high);
    this.#n.push(n);
    this.#flagged.push(isFlagged ? 1 : 0);
  }

  /** Forgets columns before `fromMs`, now and then. */
  trim(fromMs) {
    if (this.#t.length < 1.25 * this.#points) return;
    let drop = 0;
    while (drop < this.#t.length && this.#t[drop] < fromMs) drop++;
    drop = Math.max(drop, this.#t.length - 2 * this.#points);
    for (const list of this.#lists()) list.splice(0, drop);
  }

  #lists() {
    return [this.#t, this.#min, this.#mean, this.#max, this.#n, this.#flagged];
  }

  /** For the chart: times, highest, lowest, mean, each with a `null` where the line is broken. */
  columns() {
    const t = [], high = [], low = [], mean = [], flagged = [], source = [];
    const breakMs = this.#breakMs();
    for (let i = 0; i < this.#t.length; i++) {
      if (i > 0 && this.#t[i] - this.#t[i - 1] > breakMs) {
        t.push(this.#t[i - 1] + this.stepMs);
        high.push(null);
        low.push(null);
        mean.push(null);
        flagged.push(0);
        source.push(-1);
      }
      t.push(this.#t[i]);
      high.push(this.#max[i]);
      low.push(this.#min[i]);
      mean.push(this.#mean[i]);
      flagged.push(this.#flagged[i]);
      source.push(this.#n[i]);
    }
    return { data: [t, high, low, mean], flagged, n: source };
  }

  /** Distance that breaks the line: several times the usual one, so that a slow sampler's line is whole. */
  #breakMs() {
    const count = this.#t.length - 1;
    if (count < 2) return Infinity;
    const stride = Math.max(1, Math.floor(count / SAMPLED_DISTANCES));
    const distances = [];
    for (let i = 1; i <= count; i += stride) distances.push(this.#t[i] - this.#t[i - 1]);
    distances.sort((a, b) => a - b);
    const usual = distances[Math.floor(distances.length / 2)];
    return Math.max(BREAK_FACTOR * usual, 1.5 * this.stepMs);
  }
}
