/**
 * What comes in, in one call for each record and gap: ledger, counters, what was seen lately, events, and the
 * next commit. After the commit, acks. One direction; nothing is asked back of a session but its node.
 */
import type { AnomalyEvents, HostEvent } from "./anomaly_events.ts";
import type { Activity } from "./activity.ts";
import type { CommitQueue } from "./commit_queue.ts";
import type { EventLog } from "./event_log.ts";
import type { Ledger } from "./ledger.ts";
import type { Node, Registry } from "./registry.ts";
import type { Clock } from "../platform/platform.ts";
import type { Gap } from "../protocol/message.ts";
import type { TelemetryRecord } from "../protocol/record.ts";
import type { RecordColumns } from "../protocol/record_columns.ts";
import { ColumnRow } from "../store/store.ts";

/** What a number takes in a column. */
const NUMBER_BYTES = 8;

/** What became of a record or gap. */
export type Taken =
  /** It waits for the next commit. */
  | "new"
  /** It is accounted for already. */
  | "known"
  /** It lies further above all others than a peer may jump. */
  | "too_far"
  /** The peer makes us keep more separate ranges than we allow. */
  | "too_scattered"
  /** The host knows as many nodes as it allows. */
  | "no_room";

/** Counters since the start. */
export interface IntakeCounters {
  records: number;
  duplicates: number;
  gap_records: number;
}

/** See {@linkcode Intake}. */
export interface IntakeOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly activity: Activity;
  readonly anomalies: AnomalyEvents;
  readonly events: EventLog;
  readonly commits: CommitQueue;
  /** Received bytes of one session, and of all, that may wait for the store before reading stops. */
  readonly heldBytesMax: number;
  readonly heldBytesTotalMax: number;
}

/** See the head of the file. */
export class Intake {
  readonly counters: IntakeCounters = { records: 0, duplicates: 0, gap_records: 0 };
  #options: IntakeOptions;
  /** Columns whose memory is counted with a record that waits, or waited. */
  #counted = new WeakSet<RecordColumns["columns"]>();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** A record of `node`; `line` is its JSON. */
  record(node: Node, ledger: Ledger, record: TelemetryRecord, line: string): Taken {
    const { registry, activity, commits } = this.#options;
    const { seq, anomaly } = record;
    if (ledger.isTooFar(seq)) return "too_far";
    if (!registry.register(node)) return "no_room";
    const before = ledger.heldBytes;
    const isNew = ledger.offer({
      seq,
      ts_wall_ms: record.ts_wall_ms,
      ts_mono_ms: record.ts_mono_ms,
      is_anomaly: anomaly.is_anomaly,
      score: anomaly.score,
      payload: line,
    });
    if (!isNew) {
      this.counters.duplicates++;
      registry.repeated(node);
      return "known";
    }
    this.counters.records++;
    const jump = record.diagnostics.clock_jump_ms;
    registry.received(node, {
      isAnomaly: anomaly.is_anomaly,
      clockJumped: typeof jump === "number" && jump !== 0,
    });
    activity.record(record, line);
    if (anomaly.events !== undefined) this.#takeEvents(node, record);
    commits.added(ledger, 1, ledger.heldBytes - before);
    return ledger.isTooScattered ? "too_scattered" : "new";
  }

  /**
   * Records of `node` in columns: rows `from` up to but not including `to`. The first that is refused ends it; "known"
   * where some of them are accounted for already.
   */
  records(node: Node, ledger: Ledger, columns: RecordColumns, from: number, to: number): Taken {
    const { registry, activity, commits } = this.#options;
    // All of the columns stays in memory with the first record of them, whatever becomes of the others.
    let bytes = this.#counted.has(columns.columns) ? 0 : bytesOf(columns);
    const before = ledger.heldBytes;
    const added: ColumnRow[] = [];
    let taken: Taken = "new", repeated = 0;
    for (let index = from; index < to; index++) {
      const row = new ColumnRow(columns, index);
      if (ledger.isTooFar(row.seq)) taken = "too_far";
      else if (!registry.register(node)) taken = "no_room";
      else if (!ledger.offer(row, bytes)) repeated++;
      else {
        added.push(row);
        this.#counted.add(columns.columns);
        bytes = 0;
        if (ledger.isTooScattered) taken = "too_scattered";
      }
      if (taken !== "new") break;
    }
    if (repeated > 0) {
      this.counters.duplicates += repeated;
      registry.repeated(node, repeated);
    }
    if (added.length > 0) {
      this.counters.records += added.length;
      const what = { isAnomaly: columns.isAnomaly, clockJumped: false };
      registry.received(node, what, added.length);
      for (const { payload } of activity.isWatched(node.node_id) ? added : [newestOf(added)]) {
        activity.record(JSON.parse(payload), payload);
      }
      commits.added(ledger, added.length, ledger.heldBytes - before);
    }
    return taken === "new" && repeated > 0 ? "known" : taken;
  }

  /** A gap of `node`. Nothing new in it may still close a hole, so that a commit follows in any case. */
  gap(node: Node, ledger: Ledger, { from_seq, to_seq, reason, records_max }: Gap): Taken {
    const { registry, events, commits } = this.#options;
    if (ledger.isTooFar(to_seq)) return "too_far";
    if (!registry.register(node)) return "no_room";
    const before = ledger.heldBytes;
    const lost = ledger.offerGap({ from_seq, to_seq, reason });
    let left = records_max ?? Infinity;
    for (const part of lost) {
      const records = Math.min(part.to_seq - part.from_seq + 1, left);
      left -= records;
      this.counters.gap_records += records;
      registry.lost(node, records, reason);
      events.add("gap", node.node_id, { ...part });
    }
    if (lost.length === 0) return "known";
    commits.added(ledger, 0, ledger.heldBytes - before);
    return ledger.isTooScattered ? "too_scattered" : "new";
  }

  /** Resolves once a session may read on: its own and all sessions' bytes wait for the store within limits. */
  async room(ledger: Ledger): Promise<void> {
    const { commits, heldBytesMax, heldBytesTotalMax } = this.#options;
    while (ledger.heldBytes > heldBytesMax || commits.heldBytes > heldBytesTotalMax) {
      await commits.nextCommit();
    }
  }

  /** Resolves when all that `ledger` took in before is durable or rolled back. */
  settled(ledger: Ledger): Promise<void> {
    return this.#options.commits.settled(ledger);
  }

  /** To be called every second: what concerns several nodes. */
  tick(connected: number): void {
    const { clock, anomalies } = this.#options;
    this.#tell(anomalies.tick(clock.wallMs(), connected));
  }

  #takeEvents(node: Node, record: TelemetryRecord): void {
    const { clock, anomalies, registry, activity } = this.#options;
    const found = anomalies.eventsOf(node, record, clock.wallMs());
    for (const { kind } of found) {
      if (kind !== "anomaly_open") continue;
      registry.anomalyOpened(node);
      activity.anomalyOpened(node.node_id, clock.monotonicMs());
    }
    this.#tell(found);
  }

  #tell(found: readonly HostEvent[]): void {
    for (const { kind, nodeId, detail } of found) this.#options.events.add(kind, nodeId, detail);
  }
}

/** Memory of columns and of what their lines have in common. */
function bytesOf({ shape, columns, seq }: RecordColumns): number {
  return shape.text.length + columns.length * seq.numbers.length * NUMBER_BYTES;
}

function newestOf(rows: readonly ColumnRow[]): ColumnRow {
  return rows.reduce((newest, row) => row.seq > newest.seq ? row : newest);
}
