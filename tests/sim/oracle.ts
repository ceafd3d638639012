/**
 * What must hold, and why. The oracle sees what the nodes appended, what left them, what was struck by which
 * fault, and what the host's store holds; it believes nothing that node or host say of themselves.
 */
import type { GapRow } from "../../lib/store/store.ts";
import { RangeSet } from "../../lib/protocol/ranges.ts";

/** What the store holds of one epoch of a node. */
export interface StoredEpoch {
  readonly highAcked: number;
  /** Which sample each seq holds: its boot_id and monotonic time. */
  readonly samples: ReadonlyMap<number, string>;
  readonly gaps: readonly GapRow[];
}

/**
 * The first thing that is wrong with what is stored of one epoch; holds for files of real runs, too. With
 * `shared` two histories of the epoch collided, as after a cloned card or a disk that lost what was synced:
 * then a sample whose ack was lost may be stored under two numbers.
 */
export function wrongWith(key: string, stored: StoredEpoch, shared = false): string | undefined {
  const { samples, highAcked, gaps } = stored;
  const declared = new RangeSet();
  for (const { from_seq, to_seq, reason } of gaps) {
    if (declared.missing(from_seq, to_seq).length !== 1 || declared.has(from_seq)) {
      return `${key}: seq ${from_seq} to ${to_seq} is declared twice`;
    }
    declared.add(from_seq, to_seq);
    for (let seq = from_seq; seq <= to_seq; seq++) {
      if (samples.has(seq)) return `${key}: seq ${seq} is stored and declared lost (${reason})`;
    }
  }
  for (let seq = 1; seq <= highAcked; seq++) {
    if (!samples.has(seq) && !declared.has(seq)) {
      return `${key}: seq ${seq} of ${highAcked} is lost in silence`;
    }
  }
  if (shared) return undefined;
  const seqs = new Map<string, number>();
  for (const [seq, sample] of samples) {
    const other = seqs.get(sample);
    if (other !== undefined) return `${key}: ${sample} is seq ${other} and ${seq}`;
    seqs.set(sample, seq);
  }
  return undefined;
}

/** What happened to a device that may excuse a loss; the oracle is told by who does it. */
export class Evidence {
  /** Contents of the medium were destroyed. */
  damaged = false;
  /** Writes or syncs failed: what was in memory only is lost when the process ends, and its numbers are free. */
  diskFailed = false;
  diskSlow = false;
  powerCut = false;
  /** Somebody else may use the same epoch. */
  cloned = false;
  /** The host lost something that it had acked. */
  hostLost = false;
  /** The configuration could not be saved. */
  configLost = false;

  /** Whether something that was synced may be gone, or known to the host under another meaning. */
  get mayLose(): boolean {
    return this.damaged || this.cloned || this.hostLost;
  }
  /** Whether a number that was never synced may name two records, or a record be lost with the memory. */
  get mayForget(): boolean {
    return this.mayLose || this.diskFailed;
  }
}

/** What is known of one epoch of a node from outside of it. */
export class EpochTruth {
  readonly key: string;
  readonly evidence: Evidence;
  /** What was appended under each seq. */
  readonly appended = new Map<number, Uint8Array[]>();
  /** Which sample left the node under each seq. */
  readonly sent = new Map<number, string>();
  synced = 0;
  /** Records got new numbers, as the host held others under theirs. */
  renumbered = false;
  everAcked = 0;
  /** Highest seq in a segment that the node removed. */
  removedThrough = 0;
  /** Ranges that were skipped at a start. */
  readonly skipped = new RangeSet();

  constructor(key: string, evidence: Evidence) {
    this.key = key;
    this.evidence = evidence;
  }
}

const decoder = new TextDecoder();
/** Parts of a record's text; to parse it whole would take longer than to check it. */
const MOMENT = /"ts_mono_ms":([^,]+),"boot_id":"([^"]+)"/;
const THINNED = /"agg":\{"n":(\d+)/;

/** See the head of the file. */
export class Oracle {
  readonly #truths = new Map<string, EpochTruth>();
  /** What was found wrong, first things first. */
  readonly violations: string[] = [];

  violate(what: string): void {
    this.violations.push(what);
  }

  /** What is known of `key`, a node_id and an epoch. */
  truth(key: string, evidence: Evidence): EpochTruth {
    let truth = this.#truths.get(key);
    if (truth === undefined) this.#truths.set(key, truth = new EpochTruth(key, evidence));
    return truth;
  }

  /** A node starts: a number that was synced must not be given again. */
  starts(truth: EpochTruth, firstSeq: number): void {
    const { key, synced, evidence } = truth;
    if (firstSeq <= synced && !evidence.mayLose) {
      this.violate(`${key}: number ${firstSeq} is given again, ${synced} was synced`);
    }
    if (firstSeq > synced + 1) truth.skipped.add(synced + 1, firstSeq - 1);
  }

  appended(truth: EpochTruth, seq: number, payload: Uint8Array): void {
    const known = truth.appended.get(seq);
    if (known === undefined) truth.appended.set(seq, [payload]);
    else known.push(payload);
  }

  /** A node takes an ack: the host must have had all up to there on disk. */
  acks(truth: EpochTruth, highAcked: number, durable: number): void {
    if (highAcked > durable && !truth.evidence.hostLost) {
      this.violate(`${truth.key}: acked ${highAcked}, durable are ${durable}`);
    }
    truth.everAcked = Math.max(truth.everAcked, highAcked);
  }

  /** A record leaves a node: what its number says must never change. */
  sends(truth: EpochTruth, line: string): void {
    const seq = Number(/"seq":(\d+)/.exec(line)?.[1]);
    const sample = sampleOf(line);
    const before = truth.sent.get(seq);
    if (before !== undefined && before !== sample && !truth.evidence.mayForget) {
      this.violate(`${truth.key}: seq ${seq} was sent as ${before} and as ${sample}`);
    }
    truth.sent.set(seq, sample);
    const { synced, everAcked } = truth;
    if (seq > Math.max(synced, everAcked) + 256 && !truth.evidence.mayLose) {
      this.violate(`${truth.key}: seq ${seq} was sent, only ${synced} was synced`);
    }
  }

  /** At the end: everything that was appended is stored as it was, or declared with a true reason. */
  checkStore(
    stored: ReadonlyMap<string, StoredEpoch & { payloads: ReadonlyMap<number, string> }>,
  ): void {
    const everywhere = new Map<string, Set<string>>();
    for (const [key, { samples }] of stored) {
      const nodeId = key.split(" ")[0]!;
      const known = everywhere.get(nodeId) ?? new Set();
      for (const sample of samples.values()) known.add(sample);
      everywhere.set(nodeId, known);
    }
    for (const [key, epoch] of stored) {
      const truth = this.#truths.get(key);
      if (truth === undefined) return this.violate(`${key}: no such epoch was ever made`);
      const wrong = wrongWith(key, epoch, truth.evidence.cloned || truth.renumbered);
      if (wrong !== undefined) return this.violate(wrong);
      this.#checkReasons(truth, epoch.gaps);
      this.#checkContents(truth, epoch, everywhere.get(key.split(" ")[0]!)!);
      this.#checkOrder(truth, epoch.samples);
    }
  }

  /** How many samples the appended records of each run stand for, by boot_id. */
  samplesByRun(): Map<string, number> {
    const runs = new Map<string, Map<string, number>>();
    for (const { appended } of this.#truths.values()) {
      for (const payloads of appended.values()) {
        for (const payload of payloads) {
          const text = decoder.decode(payload);
          const [, monoMs, bootId] = MOMENT.exec(text)!;
          const run = runs.get(bootId!) ?? new Map<string, number>();
          run.set(monoMs!, Number(THINNED.exec(text)?.[1] ?? 1));
          runs.set(bootId!, run);
        }
      }
    }
    return new Map([...runs].map(([run, counts]) => [run, sum(counts.values())]));
  }

  #checkReasons(truth: EpochTruth, gaps: readonly GapRow[]): void {
    const { evidence, key } = truth;
    for (const gap of gaps) {
      const { from_seq, to_seq, reason } = gap;
      const isTrue = evidence.damaged || evidence.cloned || this.#hasCause(truth, gap);
      if (!isTrue) {
        this.violate(`${key}: seq ${from_seq} to ${to_seq} is "${reason}" without a cause`);
      }
      if (evidence.mayLose || reason === "evicted" || reason === "unwritten") continue;
      // What was evicted or never written before a power cut has left no trace of why it is missing.
      if (reason === "corrupt" && evidence.diskFailed) continue;
      for (let seq = from_seq; seq <= Math.min(to_seq, truth.synced); seq++) {
        if (!truth.skipped.has(seq)) {
          return this.violate(`${key}: seq ${seq} was synced and is declared lost (${reason})`);
        }
      }
    }
  }

  #hasCause(truth: EpochTruth, { from_seq, to_seq, reason }: GapRow): boolean {
    const { evidence } = truth;
    switch (reason) {
      case "evicted":
        return to_seq <= truth.removedThrough;
      case "compacted":
        return evidence.hostLost && to_seq <= truth.everAcked;
      case "unsynced":
        return evidence.powerCut || evidence.hostLost;
      case "unwritten":
        return evidence.diskFailed;
      default:
        // A power cut may leave a hole of old sectors between new ones.
        return evidence.diskFailed && evidence.powerCut || truth.skipped.covers(from_seq, to_seq);
    }
  }

  /** What is stored is what was appended, byte for byte; what was appended is somewhere. */
  #checkContents(
    truth: EpochTruth,
    stored: StoredEpoch & { payloads: ReadonlyMap<number, string> },
    everywhere: ReadonlySet<string>,
  ): void {
    const declared = new RangeSet(stored.gaps.map(({ from_seq, to_seq }) => [from_seq, to_seq]));
    for (const [seq, payloads] of truth.appended) {
      if (seq > stored.highAcked) continue;
      const row = stored.payloads.get(seq);
      const texts = payloads.map((payload) => decoder.decode(payload));
      if (row !== undefined && !texts.some((text) => row.endsWith(text.slice(1)))) {
        if (!truth.evidence.mayLose) {
          this.violate(`${truth.key}: seq ${seq} was changed on its way`);
        }
      }
      if (declared.has(seq) || truth.evidence.mayForget) continue;
      const lost = texts.find((text) => !everywhere.has(sampleOf(text)));
      if (lost !== undefined) {
        this.violate(`${truth.key}: ${sampleOf(lost)} of seq ${seq} is lost in silence`);
      }
    }
  }

  /** Within a boot, times ascend with the seqs. */
  #checkOrder(truth: EpochTruth, samples: ReadonlyMap<number, string>): void {
    if (truth.evidence.mayForget) return;
    const last = new Map<string, number>();
    for (const seq of [...samples.keys()].sort((a, b) => a - b)) {
      const [boot, mono] = samples.get(seq)!.split(" ") as [string, string];
      if (Number(mono) <= (last.get(boot) ?? -1)) {
        return this.violate(`${truth.key}: seq ${seq} is older than the one before it`);
      }
      last.set(boot, Number(mono));
    }
  }
}

/** Identity of the sample in a record's JSON. */
export function sampleOf(json: string): string {
  const boot = /"boot_id":"([^"]*)"/.exec(json)?.[1];
  return `${boot} ${/"ts_mono_ms":([\d.]+)/.exec(json)?.[1]}`;
}

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
