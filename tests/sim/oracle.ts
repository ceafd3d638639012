/**
 * What must hold, and why. The oracle sees what the nodes appended, what left them, what was struck by which
 * fault, and what the host's store holds; it believes nothing that node or host say of themselves.
 */
import type { GapRow } from "../../lib/store/store.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";
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

/** What happened to a device's disk and power, whatever epoch it is in; the oracle is told by who does it. */
export class Evidence {
  /** Writes or syncs failed at some time: gaps may say so. */
  diskFailed = false;
  diskSlow = false;
  powerCut = false;
  /** Its memory-backed storage went away while no process had it open. */
  memoryLost = false;
  /** It failed at some time. */
  memoryFailed = false;
  /** The configuration could not be saved. */
  configLost = false;
  /** The checkpoint could not be read: so it was not known whether the device had lost power. */
  checkpointLost = false;
}

/**
 * What is known of one epoch of a node from outside of it. What may rightly be lost, or carry a number twice, is
 * a range of seqs: those that were only on a medium when it was damaged, or only in memory when the process
 * ended. All others are held to every promise.
 */
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
  /** Highest seq that was given out. */
  maxAppended = 0;
  /** Highest seq in a segment that the node removed. */
  removedThrough = 0;
  /** Ranges that were skipped at a start. */
  readonly skipped = new RangeSet();
  /** What only a medium held that was damaged then. */
  readonly damaged = new RangeSet();
  /** What was on a medium that was damaged, acked or not: it matters where a host then loses it. */
  readonly touched = new RangeSet();
  /** Nothing on the medium tells how far numbers were given out; until the next start. */
  isReservationLost = false;
  /** What only memory held, while the disk failed, when the process ended. */
  readonly forgotten = new RangeSet();
  /** Acked and let go of when a host lost its store. */
  hostLostThrough = 0;
  /** From this seq on somebody else uses the epoch, too, and where somebody did. */
  clonedFrom = Infinity;
  readonly cloned = new RangeSet();
  /** Those of the above that are stored all the same; known at the end. */
  readonly storedAnyway = new Set<number>();

  constructor(key: string, evidence: Evidence) {
    this.key = key;
    this.evidence = evidence;
  }

  /** Whether `seq` may be lost although it was synced, or be known to the host under another meaning. */
  mayLose(seq: number): boolean {
    return seq >= this.clonedFrom || this.cloned.has(seq) || this.damaged.has(seq) ||
      (seq <= this.hostLostThrough && this.touched.has(seq));
  }
  /** Whether `seq` may name two records, or its record be lost. */
  mayForget(seq: number): boolean {
    return this.mayLose(seq) || this.forgotten.has(seq);
  }
  /** Appended records that are held to every promise, and all. */
  get held(): { records: number; of: number } {
    let records = 0;
    for (const seq of this.appended.keys()) {
      if (!this.mayForget(seq) || this.storedAnyway.has(seq)) records++;
    }
    return { records, of: this.appended.size };
  }

  /** The medium was damaged while the device was off: what the host has not is uncertain. */
  damagedNow(): void {
    this.#mark(this.damaged, this.everAcked + 1);
    this.#mark(this.touched, this.removedThrough + 1);
  }
  /**
   * The checkpoint was damaged while the device was off, and with it what it reserved: of numbers whose records were
   * acked in time nothing else on the medium tells. The host's welcome does.
   */
  reservationLostNow(): void {
    this.isReservationLost = true;
  }
  /** A file that holds these can't be read: what the host has not may be lost. */
  unreadableNow(from: number, to: number): void {
    const first = Math.max(from, this.everAcked + 1);
    if (first <= to) this.damaged.add(first, to);
    if (from <= to) this.touched.add(from, to);
  }
  /** The process ended while its disk failed. */
  forgetsNow(): void {
    this.#mark(this.forgotten, this.synced + 1);
  }
  /** A host came back without what it had acked, or was about to: all that was durable. */
  hostLosesNow(durable: number): void {
    this.hostLostThrough = Math.max(this.hostLostThrough, this.everAcked, durable);
  }
  /** A copy of the medium is in use elsewhere; while the disk refuses, it lacks what was acked from memory. */
  clonedNow(): void {
    this.clonedFrom = Math.min(this.clonedFrom, this.everAcked + 1, this.synced + 1);
  }

  /** The copy is gone for good, and what it sent is known to the node from its last welcome. */
  cloneEndsNow(): void {
    if (this.clonedFrom === Infinity) return;
    // The copy may have reserved numbers under which it recorded nothing.
    const through = Math.max(this.maxAppended, this.synced);
    if (this.clonedFrom <= through) this.cloned.add(this.clonedFrom, through);
    this.clonedFrom = Infinity;
  }
  /** A damaged medium doesn't tell of what was let go of, acked, before a host lost it. */
  get untracedThrough(): number {
    return this.touched.size === 0 ? 0 : Math.min(this.hostLostThrough, this.removedThrough);
  }
  /** Whether two histories of the epoch collided at some time. */
  get isShared(): boolean {
    return this.clonedFrom < Infinity || this.cloned.size > 0;
  }

  #mark(ranges: RangeSet, from: number): void {
    if (from <= this.maxAppended) ranges.add(from, this.maxAppended);
  }
}

const decoder = new TextDecoder();

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

  /** All epochs that are known. */
  get truths(): Iterable<EpochTruth> {
    return this.#truths.values();
  }

  /** A node starts: a number that was synced must not be given again. */
  starts(truth: EpochTruth, firstSeq: number): void {
    const { key, synced, isReservationLost } = truth;
    truth.isReservationLost = false;
    const isExcused = isReservationLost || truth.mayLose(firstSeq) || truth.touched.has(firstSeq);
    if (firstSeq <= synced && !isExcused) {
      this.violate(`${key}: number ${firstSeq} is given again, ${synced} was synced`);
    }
    if (firstSeq > synced + 1) truth.skipped.add(synced + 1, firstSeq - 1);
  }

  appended(truth: EpochTruth, seq: number, payload: Uint8Array): void {
    const known = truth.appended.get(seq);
    truth.maxAppended = Math.max(truth.maxAppended, seq);
    if (known === undefined) truth.appended.set(seq, [payload]);
    else known.push(payload);
  }

  /** A node takes an ack: the host must have had all up to there on disk. */
  acks(truth: EpochTruth, highAcked: number, durable: number): void {
    const isOld = highAcked <= truth.hostLostThrough;
    if (highAcked > durable && !isOld && !truth.isShared) {
      this.violate(`${truth.key}: acked ${highAcked}, durable are ${durable}`);
    }
    truth.everAcked = Math.max(truth.everAcked, highAcked);
  }

  /**
   * A record leaves a node: what its number says must never change. `reserved` is what the disk has reserved for
   * certain, `isReserving` whether nothing else may tell how far numbers were used.
   */
  sends(truth: EpochTruth, line: string, reserved: number, isReserving: boolean): void {
    const seq = Number(/"seq":(\d+)/.exec(line)?.[1]);
    const sample = sampleOf(line);
    const before = truth.sent.get(seq);
    if (before !== undefined && before !== sample && !truth.mayForget(seq)) {
      this.violate(`${truth.key}: seq ${seq} was sent as ${before} and as ${sample}`);
    }
    truth.sent.set(seq, sample);
    const { synced, everAcked } = truth;
    const most = Math.max(reserved, isReserving ? 0 : Math.max(synced, everAcked) + 256);
    if (seq > most && !truth.mayLose(seq)) {
      this.violate(
        `${truth.key}: seq ${seq} was sent, only ${synced} was synced and ${reserved} reserved`,
      );
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
      const wrong = wrongWith(key, epoch, truth.isShared || truth.renumbered);
      if (wrong !== undefined) return this.violate(wrong);
      this.#checkReasons(truth, epoch.gaps);
      this.#checkContents(truth, epoch, everywhere.get(key.split(" ")[0]!)!);
      this.#checkOrder(truth, epoch.samples);
    }
  }

  /** What was appended under a seq of `key`, as JSON. */
  payloadsOf(key: string, seq: number): string[] {
    const payloads = this.#truths.get(key)?.appended.get(seq) ?? [];
    return payloads.map((payload) => decoder.decode(payload));
  }

  /** All that was appended, once each, of each run of a node by boot_id, in the order of time. */
  recordsByRun(): Map<string, RecordContent[]> {
    const runs = new Map<string, Map<number, RecordContent>>();
    for (const { appended } of this.#truths.values()) {
      for (const payloads of appended.values()) {
        for (const payload of payloads) {
          const record = JSON.parse(decoder.decode(payload)) as RecordContent;
          const run = runs.get(record.boot_id) ?? new Map<number, RecordContent>();
          // A copy under another number is the same record.
          runs.set(record.boot_id, run.set(record.ts_mono_ms, record));
        }
      }
    }
    return new Map([...runs].map(([run, records]) => [
      run,
      [...records.values()].sort((a, b) => a.ts_mono_ms - b.ts_mono_ms),
    ]));
  }

  #checkReasons(truth: EpochTruth, gaps: readonly GapRow[]): void {
    const { evidence, key } = truth;
    for (const gap of gaps) {
      const { from_seq, to_seq, reason } = gap;
      if (!this.#hasCause(truth, gap)) {
        this.violate(`${key}: seq ${from_seq} to ${to_seq} is "${reason}" without a cause`);
      }
      if (reason === "evicted" || reason === "unwritten") continue;
      // What was evicted or never written before a power cut has left no trace of why it is missing.
      if (reason === "corrupt" && evidence.diskFailed) continue;
      const least = reason === "compacted" ? truth.hostLostThrough + 1 : truth.untracedThrough + 1;
      for (let seq = Math.max(from_seq, least); seq <= Math.min(to_seq, truth.synced); seq++) {
        if (!truth.skipped.has(seq) && !truth.mayLose(seq)) {
          return this.violate(`${key}: seq ${seq} was synced and is declared lost (${reason})`);
        }
      }
    }
  }

  #hasCause(truth: EpochTruth, { from_seq, to_seq, reason }: GapRow): boolean {
    const { evidence } = truth;
    if (truth.mayLose(from_seq) || truth.mayLose(to_seq)) return true;
    switch (reason) {
      case "evicted":
        return to_seq <= truth.removedThrough;
      case "compacted":
        return to_seq <= truth.hostLostThrough;
      case "unsynced":
        return evidence.powerCut || evidence.memoryLost || truth.renumbered ||
          (evidence.checkpointLost && truth.skipped.covers(from_seq, to_seq));
      case "unwritten":
        // At the limit nothing is evicted while a sync takes its time.
        return evidence.diskFailed || evidence.diskSlow;
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
      if (row !== undefined) truth.storedAnyway.add(seq);
      const texts = payloads.map((payload) => decoder.decode(payload));
      if (row !== undefined && !texts.some((text) => row.endsWith(text.slice(1)))) {
        this.violate(`${truth.key}: seq ${seq} was changed on its way`);
      }
      if (declared.has(seq) || truth.mayForget(seq)) continue;
      const lost = texts.find((text) => !everywhere.has(sampleOf(text)));
      if (lost !== undefined) {
        this.violate(`${truth.key}: ${sampleOf(lost)} of seq ${seq} is lost in silence`);
      }
    }
  }

  /** Within a boot, times ascend with the seqs. */
  #checkOrder(truth: EpochTruth, samples: ReadonlyMap<number, string>): void {
    const last = new Map<string, number>();
    for (const seq of [...samples.keys()].sort((a, b) => a - b)) {
      if (truth.mayForget(seq)) continue;
      const [boot, mono] = samples.get(seq)!.split(" ") as [string, string];
      if (Number(mono) <= (last.get(boot) ?? -1) && !truth.renumbered) {
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
