/**
 * Where the host makes records durable. A contract only: `sqlite/` holds the kind that there is, and
 * `tests/store/conformance.ts` what each must do.
 */
import type { EnrolmentRow } from "../identity/enrolment_token.ts";
import type { TokenRow } from "../identity/token.ts";
import { valueAt } from "../codec/column.ts";
import { textsOf } from "../codec/lines.ts";
import type { RecordColumns } from "../protocol/record_columns.ts";

/** What is known of one epoch of a node: all up to `high_acked` and in `ranges` is durable or a gap. */
export interface EpochState {
  readonly node_id: string;
  readonly epoch: string;
  readonly high_acked: number;
  /** Inclusive, ascending, disjoint, all above `high_acked + 1`. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Highest seq that was ever accounted for. */
  readonly max_seq: number;
}

/** The right of one host to add to an epoch, until another one claims it; see {@linkcode Store.claim}. */
export interface Claim {
  /** `undefined` where nothing is known of the epoch. */
  readonly state: EpochState | undefined;
  /** 1 or more, and higher than that of each earlier claim of the epoch that can still be committed with. */
  readonly fence: number;
}

/** A record to store. */
export interface RecordRow {
  readonly seq: number;
  readonly ts_wall_ms: number;
  readonly ts_mono_ms: number;
  readonly is_anomaly: boolean;
  readonly score: number;
  /** The record's JSON as it was received. */
  readonly payload: string;
  /** Where its numbers stand, if it came so; who uses them needs no JSON. */
  readonly source?: { readonly columns: RecordColumns; readonly row: number };
}

/** A record by its numbers; its JSON is made when it is asked for. */
export class ColumnRow implements RecordRow {
  readonly columns: RecordColumns;
  readonly row: number;

  constructor(columns: RecordColumns, row: number) {
    this.columns = columns;
    this.row = row;
  }

  get seq(): number {
    return valueAt(this.columns.seq, this.row);
  }
  get ts_wall_ms(): number {
    return valueAt(this.columns.wall, this.row);
  }
  get ts_mono_ms(): number {
    return valueAt(this.columns.mono, this.row);
  }
  get is_anomaly(): boolean {
    return this.columns.isAnomaly;
  }
  get score(): number {
    return valueAt(this.columns.score, this.row);
  }
  get payload(): string {
    const { shape, columns } = this.columns;
    const group = { shape, columns, count: columns[0]!.numbers.length };
    return textsOf({ group, from: this.row, to: this.row + 1 })[0]!;
  }
  get source(): ColumnRow {
    return this;
  }
}

/** A lost range to store. */
export interface GapRow {
  readonly from_seq: number;
  readonly to_seq: number;
  readonly reason: string;
}

/** What one commit adds to one epoch, and the epoch's state after it. */
export interface EpochBatch {
  readonly state: EpochState;
  /** False where `state.ranges` are those of the last batch: they need not be written again. */
  readonly rangesChanged: boolean;
  readonly records: readonly RecordRow[];
  readonly gaps: readonly GapRow[];
}

/** A batch of who has claimed its epoch. */
export interface ClaimedBatch extends EpochBatch {
  /** That of the claim whose state it builds on. */
  readonly fence: number;
}

/** Something that happened to a node. */
export interface EventRow {
  readonly at_wall_ms: number;
  readonly node_id: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A stored event. */
export interface StoredEvent extends EventRow {
  readonly id: number;
}

/** What somebody changed at the host. */
export interface AuditRow {
  readonly at_wall_ms: number;
  /** Name and role of who did it, and where from. */
  readonly who: string;
  readonly role: string;
  readonly address: string;
  /** What was done, and to what; `before` and `after` are JSON, where it has them. */
  readonly action: string;
  readonly target: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** A stored entry of the audit trail. */
export interface StoredAudit extends AuditRow {
  readonly id: number;
}

/** A certificate that was signed, or is revoked. */
export interface CertificateRow {
  /** Hexadecimal, lower case. */
  readonly serial: string;
  readonly node_id: string;
  readonly issued_wall_ms: number;
  readonly not_after_ms: number;
  /** `null`: it counts. */
  readonly revoked_wall_ms: number | null;
}

/** The certificate that is renewed. */
export interface RenewedFrom {
  readonly serial: string;
  /** Since when it counts. */
  readonly fromMs: number;
  /** One that isn't known here is not renewed. */
  readonly isKnown?: boolean;
}

/** A configuration that the host wants `target` (a node_id, or `*` for all) to have. */
export interface ConfigRow {
  readonly target: string;
  readonly cfg_version: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly at_wall_ms: number;
}

/** What the host needs to go on after a restart; states of epochs are asked for one by one. */
export interface StoreState {
  readonly host_id: string;
  /** By node_id: what the registry wanted to be remembered. May be anything: it comes from a disk. */
  readonly nodes: ReadonlyMap<string, unknown>;
  readonly configs: readonly ConfigRow[];
}

/** Nodes by name, the last word on each; without those that were forgotten. */
export function knownNodes(
  entries: Iterable<readonly [nodeId: string, known: unknown]>,
): Map<string, unknown> {
  const nodes = new Map(entries);
  for (const [nodeId, known] of nodes) if (known === null) nodes.delete(nodeId);
  return nodes;
}

/** A record as it is given back. */
export interface StoredRow extends RecordRow {
  readonly node_id: string;
  readonly epoch: string;
  readonly received_wall_ms: number;
}

/** A lost range as it is given back. */
export interface StoredGap extends GapRow {
  /** Order of declaration; for paging. */
  readonly id: number;
  readonly node_id: string;
  readonly epoch: string;
  readonly declared_wall_ms: number;
  /** By the device's clock: of the last record before it and the first after it, where they are stored. */
  readonly from_wall_ms: number | undefined;
  readonly to_wall_ms: number | undefined;
}

/** A place between records in the order of time. */
export interface RecordCursor {
  readonly span_wall_ms: number;
  readonly epoch: string;
  readonly seq: number;
}

/**
 * Which records to give back: by number, the records of one epoch in the order of their seq; or by time, where
 * one of `from_wall_ms`, `to_wall_ms` or `cursor` is given, over all epochs, in the order of the device's clock
 * to 10 s, then of epoch and seq.
 */
export interface RecordQuery {
  readonly node_id: string;
  /** By number: the newest epoch of the node unless given. By time: all unless given. */
  readonly epoch?: string;
  /** Only seqs above it, by number. */
  readonly after_seq?: number;
  /** Only seqs below it, by number. */
  readonly before_seq?: number;
  /** Only at or after it, by the device's clock. */
  readonly from_wall_ms?: number;
  /** Only before it, by the device's clock. */
  readonly to_wall_ms?: number;
  /** By time: only what comes behind it. */
  readonly cursor?: RecordCursor;
  readonly anomalies_only?: boolean;
  /** From the newest backwards, instead of ascending. */
  readonly newest_first?: boolean;
  readonly limit: number;
}

/** Whether a query is one by time; see {@linkcode RecordQuery}. */
export function isByTime(query: RecordQuery): boolean {
  return query.from_wall_ms !== undefined || query.to_wall_ms !== undefined ||
    query.cursor !== undefined;
}

/** Which gaps or events to give back, the newest first. Times by the host's clock. */
export interface HistoryQuery {
  /** All nodes unless given. */
  readonly node_id?: string;
  /** Only of that kind, or of kinds that start with it and an underscore; events only. */
  readonly kind?: string;
  readonly from_wall_ms?: number;
  readonly to_wall_ms?: number;
  readonly after_id?: number;
  readonly before_id?: number;
  readonly limit: number;
}

/** A metric of a node that is stored; times by the device's clock, to 10 s. */
export interface StoredMetric {
  readonly name: string;
  readonly first_ms: number;
  readonly last_ms: number;
}

/** Which values of a metric to sum up, by the device's clock. */
export interface SeriesQuery {
  readonly node_id: string;
  readonly metric: string;
  readonly from_wall_ms: number;
  readonly to_wall_ms: number;
  /** Most columns of the answer. */
  readonly points: number;
}

/** Values in columns of `step_ms`; those without a value are left out. All arrays have the same length. */
export interface SeriesColumns {
  /** Start of the first possible column; all columns start at it plus a multiple of `step_ms`. */
  readonly from_ms: number;
  readonly to_ms: number;
  readonly step_ms: number;
  /** Start of each column. */
  readonly t: number[];
  readonly min: number[];
  readonly mean: number[];
  readonly max: number[];
  /** Samples in each column; a downsampled record counts for all that it stands for. */
  readonly n: number[];
  /** Records in which this metric was flagged. */
  readonly anomalies: number[];
  /** Whether all that is stored was looked at; after a large replay summing up takes a while. */
  readonly complete: boolean;
}

/** Size of the store, for status and metrics. */
export interface StoreSize {
  /** Bytes that it takes on the disk. */
  readonly bytes: number;
  readonly records: number;
  /** Records deleted by {@linkcode Store.keepWithin}, since the store was opened. */
  readonly retained_away_records: number;
  /** Records that could not be summed up for charts, since the store was opened. */
  readonly unsummed_records: number;
}

/** What the store may keep; an absent limit is none. */
export interface RetentionLimits {
  /** Records received longer ago than that go, at the latest when an eighth of it or an hour has passed besides. */
  readonly ageMs?: number;
  /** While the store is larger, the oldest records go. */
  readonly bytesMax?: number;
}

/** A query took longer than the store allows. */
export class QueryTooLong extends Error {
  override readonly name = "QueryTooLong";
}

/** A commit was refused, all of it: others have claimed epochs of it since. */
export class Fenced extends Error {
  override readonly name = "Fenced";
  /** Those of the commit's batches whose claim is not the latest. The others may be committed again. */
  readonly overtaken: readonly ClaimedBatch[];
  constructor(overtaken: readonly ClaimedBatch[]) {
    super("another host has claimed this epoch since");
    this.overtaken = overtaken;
  }
}

/** See the head of the file. Calls may overlap; writing ones take effect in the order made. */
export interface Store {
  /** What was durable when the store was opened. */
  readonly state: StoreState;
  /** Resolves with one line if the store can do nothing any more: the host must end then. */
  readonly failed: Promise<string>;
  /**
   * Claims an epoch for who asks: what every commit before made of it, and a fence. From now on no commit that
   * carries an earlier fence of this epoch can succeed, whoever made that claim: so what is built on `state`
   * stays true, although several hosts may share a store. A claim ends with the process that made it at the latest,
   * and a store may end it earlier; neither makes an epoch known that wasn't.
   */
  claim(nodeId: string, epoch: string): Promise<Claim>;
  /** How many epochs of a node are known. */
  epochCount(nodeId: string): Promise<number>;
  /** Forgets those epochs of a node of which no record is left, but for the newest; how many are known then. */
  forgetEmptyEpochs(nodeId: string): Promise<number>;
  /**
   * Stores everything or nothing; durable when it resolves. A record or gap that is there already stays as
   * it is. Rejects with {@linkcode Fenced} where a batch's fence is not that of the latest claim of its epoch, and
   * otherwise when the disk fails; the caller may then try the same again.
   */
  commit(batches: readonly ClaimedBatch[], atWallMs: number): Promise<void>;
  /** Remembers what the registry knows of nodes; durable soon. */
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void>;
  /**
   * Forgets what the registry wanted to be remembered of a node, and with `records` also its epochs, records,
   * gaps and events. Must not overlap a commit of that node.
   */
  forgetNode(nodeId: string, records: boolean): Promise<void>;
  /** Stores a configuration; durable when it resolves. */
  putConfig(config: ConfigRow): Promise<void>;
  /**
   * Stores events; durable soon. The oldest beyond 100,000 are dropped. One that can't be stored is left out
   * and counted in the result; rejects where the disk fails.
   */
  addEvents(events: readonly EventRow[]): Promise<number>;
  /**
   * Tokens, the oldest first; other processes may add and revoke some. One that is revoked has an empty hash: once there
   * was a token, nobody is let in without one.
   */
  tokens(): Promise<TokenRow[]>;
  /** Keeps a token; durable when it resolves. */
  putToken(row: TokenRow): Promise<void>;
  /** Revokes a token, durable when it resolves; whether it was one that counted. */
  revokeToken(id: string): Promise<boolean>;
  /** Keeps a one-time token; durable when it resolves. */
  putEnrolment(row: EnrolmentRow): Promise<void>;
  /** Takes a one-time token: nobody else gets it. Durable when it resolves. */
  takeEnrolment(hash: string): Promise<EnrolmentRow | undefined>;
  /** Keeps a certificate; one that is revoked stays so. Durable when it resolves. */
  putCertificate(row: CertificateRow): Promise<void>;
  /**
   * Keeps the certificate that takes the place of another one of the same node; nothing, and false, where that is revoked
   * or another node's. One that the store doesn't know, as after a restore of an older one, counts unless something of
   * its node was revoked since it was given. What is revoked meanwhile is so before or after, never in between. Durable
   * when it resolves.
   */
  renewCertificate(row: CertificateRow, from: RenewedFrom): Promise<boolean>;
  /** Certificates, the oldest first; other processes may revoke some. */
  certificates(): Promise<CertificateRow[]>;
  /** Serials of those that are revoked. */
  revokedSerials(): Promise<string[]>;
  /** Adds to the audit trail; durable when it resolves. The oldest entries beyond 100,000 are dropped. */
  addAudit(row: AuditRow): Promise<void>;
  /** Entries of the audit trail, the newest first. */
  audit(query: Omit<HistoryQuery, "node_id" | "kind">): Promise<StoredAudit[]>;
  records(query: RecordQuery): Promise<StoredRow[]>;
  gaps(query: HistoryQuery): Promise<StoredGap[]>;
  events(query: HistoryQuery): Promise<StoredEvent[]>;
  /** The metrics of a node by name. */
  metrics(nodeId: string): Promise<StoredMetric[]>;
  series(query: SeriesQuery): Promise<SeriesColumns>;
  size(): Promise<StoreSize>;
  /**
   * From now on deletes by itself what the limits don't allow, the oldest first, as fast as records come, and
   * gives the space back. A commit waits for it 100 ms at most. What was acked stays acked.
   */
  keepWithin(limits: RetentionLimits): void;
  close(): Promise<void>;
}
