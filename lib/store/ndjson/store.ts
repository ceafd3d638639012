/**
 * A {@linkcode Store} of rotated files of JSON lines, for those who want to read and ship files. Every commit is
 * one block of lines that ends with a line of type `commit`; a block without it never happened. What is not a
 * record (states, configurations, events) lies in the same files.
 *
 * Queries read the files; for dashboards use SQLite.
 */
import { type Clock, type Disk, DiskError, type DiskFile } from "../../platform/platform.ts";
import {
  addRows,
  bucketOf,
  Columns,
  planSeries,
  samplesOf,
  SERIES_PER_NODE_MAX,
} from "../series.ts";
import type {
  ConfigRow,
  EpochBatch,
  EpochState,
  EventRow,
  HistoryQuery,
  RecordQuery,
  RetentionLimits,
  SeriesColumns,
  SeriesQuery,
  Store,
  StoredEvent,
  StoredGap,
  StoredMetric,
  StoredRow,
  StoreSize,
  StoreState,
} from "../store.ts";
import { isByTime, knownNodes } from "../store.ts";
import { parseRow, type StoredLine } from "./lines.ts";
import { isInHistory, keepNewest, matches, orderOf, shrink } from "./matching.ts";

const FILE_BYTES_MAX = 64 * 1024 * 1024;
/** A file ends at this part of the limit, so that little is deleted at once. */
const FILES_MIN = 8;
const READ_BYTES = 65_536;
const EVENTS_MAX_TEXT_BYTES = 65_536;
const NAME = /^records-(\d{8})\.ndjson$/;
const encoder = new TextEncoder();

function nameOf(turn: number): string {
  return `records-${String(turn).padStart(8, "0")}.ndjson`;
}

/** What the files say when read from the first to the last. */
class Replayed {
  hostId: string | undefined;
  epochs = new Map<string, EpochState>();
  nodes = new Map<string, unknown>();
  configs = new Map<string, ConfigRow>();
  records = 0;
  lastEventId = 0;

  apply(line: StoredLine): void {
    if (line.type === "host") this.hostId = line.host_id;
    else if (line.type === "epoch") this.#keepEpoch(line);
    else if (line.type === "node") this.nodes.set(line.node_id, line.known);
    else if (line.type === "forgotten") this.#forget(line.node_id, line.records);
    else if (line.type === "config") this.configs.set(line.target, line);
    else if (line.type === "record") this.records++;
    else if (line.type === "event") this.lastEventId = line.id;
  }

  #keepEpoch({ node_id, epoch, high_acked, ranges, max_seq }: EpochState): void {
    this.epochs.set(`${node_id} ${epoch}`, { node_id, epoch, high_acked, ranges, max_seq });
  }

  #forget(nodeId: string, records: boolean): void {
    if (!records) return void this.nodes.set(nodeId, null);
    this.nodes.delete(nodeId);
    for (const [key, { node_id }] of this.epochs) if (node_id === nodeId) this.epochs.delete(key);
  }
}

/** Whole blocks of a file in order, and the offset behind the last of them. */
async function* blocksOf(
  disk: Disk,
  name: string,
): AsyncGenerator<{ lines: StoredLine[]; end: number }> {
  const file = await disk.open(name, false);
  try {
    let block: StoredLine[] = [];
    let offset = 0, readTo = 0;
    let rest: Uint8Array = new Uint8Array(0);
    const decoder = new TextDecoder();
    for (;;) {
      const bytes = new Uint8Array(rest.length + READ_BYTES);
      bytes.set(rest);
      const count = await file.readAt(readTo, bytes.subarray(rest.length));
      if (count === 0) return;
      readTo += count;
      const filled = bytes.subarray(0, rest.length + count);
      let start = 0;
      for (let end = filled.indexOf(10); end >= 0; end = filled.indexOf(10, start)) {
        const line = parseRow(decoder.decode(filled.subarray(start, end)));
        offset += end + 1 - start;
        start = end + 1;
        // A line that can't be read ends what can be trusted of this file.
        if (line === undefined) return;
        if (line.type !== "commit") block.push(line);
        else {
          yield { lines: block, end: offset };
          block = [];
        }
      }
      rest = filled.slice(start);
    }
  } finally {
    file.close();
  }
}

/** What is known of a file without reading it again. */
interface FileFacts {
  readonly turn: number;
  bytes: number;
  records: number;
  /** When the newest of its records was received. */
  newestWallMs: number;
}

function note(facts: FileFacts, lines: readonly StoredLine[]): void {
  for (const line of lines) {
    if (line.type !== "record") continue;
    facts.records++;
    facts.newestWallMs = Math.max(facts.newestWallMs, line.received_wall_ms);
  }
}

/** Opens the store in a directory; cuts a torn end. Rejects with one line. */
export async function openNdjsonStore(
  { disk, hostId, clock }: { disk: Disk; hostId: string; clock: Clock },
): Promise<Store> {
  const files: FileFacts[] = [];
  for (const name of await disk.list()) {
    const match = NAME.exec(name);
    if (match === null) continue;
    files.push({ turn: Number(match[1]), bytes: 0, records: 0, newestWallMs: -Infinity });
  }
  files.sort((a, b) => a.turn - b.turn);
  const replayed = new Replayed();
  for (const facts of files) {
    let goodEnd = 0;
    for await (const { lines, end } of blocksOf(disk, nameOf(facts.turn))) {
      for (const line of lines) replayed.apply(line);
      note(facts, lines);
      goodEnd = end;
    }
    const file = await disk.open(nameOf(facts.turn), true);
    try {
      if (facts === files.at(-1) && file.size > goodEnd) {
        await file.truncate(goodEnd);
        await file.sync();
      }
      facts.bytes = file.size;
    } finally {
      file.close();
    }
  }
  const store = new NdjsonStore(disk, clock, files, replayed, replayed.hostId ?? hostId);
  await store.begin(replayed.hostId === undefined);
  return store;
}

class NdjsonStore implements Store {
  readonly state: StoreState;
  /** Files have no thread that could end. */
  readonly failed: Promise<string> = new Promise(() => {});
  #disk: Disk;
  #clock: Clock;
  #files: FileFacts[];
  #file: DiskFile | undefined;
  #nextEvent: number;
  #order: Promise<unknown> = Promise.resolve();
  #limits: RetentionLimits = {};
  #retainedAway = 0;
  /** Newest state of everything that is not a record: it heads each new file, so that old ones may go. */
  #current: Replayed;

  constructor(disk: Disk, clock: Clock, files: FileFacts[], replayed: Replayed, hostId: string) {
    this.#disk = disk;
    this.#clock = clock;
    this.#files = files;
    this.#current = replayed;
    this.#nextEvent = replayed.lastEventId + 1;
    replayed.hostId = hostId;
    this.state = {
      host_id: hostId,
      nodes: knownNodes([
        ...[...replayed.epochs.values()].map(({ node_id }) => [node_id, undefined] as const),
        ...replayed.nodes,
      ]),
      configs: [...replayed.configs.values()],
    };
  }

  /** Opens the newest file for appending. */
  async begin(isNew: boolean): Promise<void> {
    const newest = this.#files.at(-1);
    if (isNew || newest === undefined) return await this.#rotate();
    this.#file = await this.#disk.open(nameOf(newest.turn), true);
  }

  epoch(nodeId: string, epoch: string): Promise<EpochState | undefined> {
    return Promise.resolve(this.#current.epochs.get(`${nodeId} ${epoch}`));
  }
  epochCount(nodeId: string): Promise<number> {
    const all = [...this.#current.epochs.values()];
    return Promise.resolve(all.filter(({ node_id }) => node_id === nodeId).length);
  }
  async forgetEmptyEpochs(nodeId: string): Promise<number> {
    const held = new Set<string>();
    for await (const { epoch } of this.#rows(nodeId)) held.add(epoch);
    const all = [...this.#current.epochs].filter(([, { node_id }]) => node_id === nodeId);
    for (const [key, { epoch }] of all.slice(0, -1)) {
      if (!held.has(epoch)) this.#current.epochs.delete(key);
    }
    return await this.epochCount(nodeId);
  }
  commit(batches: readonly EpochBatch[], atWallMs: number): Promise<void> {
    const lines: StoredLine[] = [];
    for (const { state, rangesChanged, records, gaps } of batches) {
      const { node_id, epoch } = state;
      const known = this.#current.epochs.get(`${node_id} ${epoch}`);
      for (const { seq, payload } of records) {
        if (accountsFor(known, seq)) continue;
        lines.push({ type: "record", received_wall_ms: atWallMs, payload });
      }
      for (const gap of gaps) {
        if (accountsFor(known, gap.from_seq)) continue;
        lines.push({ type: "gap", node_id, epoch, declared_wall_ms: atWallMs, ...gap });
      }
      const ranges = rangesChanged ? state.ranges : known?.ranges ?? [];
      lines.push({ type: "epoch", ...state, ranges });
    }
    return this.#write(lines);
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#write([...nodes].map(([node_id, known]) => ({ type: "node", node_id, known })));
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#write([{ type: "config", ...config }]);
  }
  forgetNode(nodeId: string, records: boolean): Promise<void> {
    return this.#write([{ type: "forgotten", node_id: nodeId, records }]);
  }
  async addEvents(events: readonly EventRow[]): Promise<number> {
    const fit = events.filter(fitsLine);
    await this.#write(fit.map((event) => ({ type: "event", id: this.#nextEvent++, ...event })));
    return events.length - fit.length;
  }

  async records(query: RecordQuery): Promise<StoredRow[]> {
    const newest = this.#newestEpoch(query.node_id);
    const wanted = isByTime(query) || newest === undefined ? query : { epoch: newest, ...query };
    const order = orderOf(query);
    const found: StoredRow[] = [];
    for await (const row of this.#rows(query.node_id)) {
      if (!matches(row, wanted, order)) continue;
      found.push(row);
      if (found.length > 2 * query.limit + 1_000) shrink(found, query.limit, order);
    }
    shrink(found, query.limit, order);
    return found;
  }
  async gaps(query: HistoryQuery): Promise<StoredGap[]> {
    const found: StoredGap[] = [];
    let id = 0;
    for await (const line of this.#lines()) {
      if (line.type !== "gap") continue;
      const gap = { ...line, id: ++id, from_wall_ms: undefined, to_wall_ms: undefined };
      if (isInHistory(query, gap, gap.declared_wall_ms)) keepNewest(found, gap, query.limit);
    }
    return found.reverse().slice(0, query.limit);
  }
  async events(query: HistoryQuery): Promise<StoredEvent[]> {
    const found: StoredEvent[] = [];
    const { kind } = query;
    for await (const line of this.#lines()) {
      if (line.type !== "event" || !isInHistory(query, line, line.at_wall_ms)) continue;
      if (kind !== undefined && line.kind !== kind && !line.kind.startsWith(`${kind}_`)) continue;
      keepNewest(found, line, query.limit);
    }
    return found.reverse().slice(0, query.limit);
  }
  async metrics(nodeId: string): Promise<StoredMetric[]> {
    const found = new Map<string, { first_ms: number; last_ms: number }>();
    for await (const row of this.#rows(nodeId)) {
      const at = bucketOf(row.ts_wall_ms);
      if (at === undefined) continue;
      for (const { metric } of samplesOf(row.payload) ?? []) {
        const known = found.get(metric);
        if (known === undefined && found.size >= SERIES_PER_NODE_MAX) continue;
        found.set(metric, {
          first_ms: Math.min(known?.first_ms ?? at, at),
          last_ms: Math.max(known?.last_ms ?? at, at),
        });
      }
    }
    return [...found].map(([name, times]) => ({ name, ...times }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }
  async series(query: SeriesQuery): Promise<SeriesColumns> {
    const columns = new Columns(planSeries(query, true), query.to_wall_ms);
    for await (const row of this.#rows(query.node_id)) addRows(columns, query, [row]);
    return columns.result(true);
  }
  size(): Promise<StoreSize> {
    return Promise.resolve({
      bytes: sum(this.#files, ({ bytes }) => bytes),
      records: sum(this.#files, ({ records }) => records),
      retained_away_records: this.#retainedAway,
      unsummed_records: 0,
    });
  }
  keepWithin(limits: RetentionLimits): void {
    this.#limits = limits;
    this.#inTurn(() => this.#retain()).catch(() => {});
  }
  close(): Promise<void> {
    return this.#inTurn(() => {
      this.#file?.close();
      return Promise.resolve();
    });
  }

  /** Deletes whole files, the oldest first; the newest stays. */
  async #retain(): Promise<void> {
    const { ageMs = Infinity, bytesMax = Infinity } = this.#limits;
    while (this.#files.length > 1) {
      const oldest = this.#files[0]!;
      const isOld = oldest.newestWallMs < this.#clock.wallMs() - ageMs;
      if (!isOld && sum(this.#files, ({ bytes }) => bytes) <= bytesMax) return;
      await this.#disk.remove(nameOf(oldest.turn));
      this.#files.shift();
      this.#retainedAway += oldest.records;
    }
  }

  #newestEpoch(nodeId: string): string | undefined {
    return [...this.#current.epochs.values()].findLast(({ node_id }) => node_id === nodeId)?.epoch;
  }

  /** The records of a node as they arrived, from behind the place where it was forgotten with them. */
  async *#rows(nodeId: string): AsyncGenerator<StoredRow> {
    let skip = 0;
    for await (const line of this.#lines()) {
      if (line.type === "forgotten" && line.node_id === nodeId && line.records) skip++;
    }
    for await (const line of this.#lines()) {
      if (line.type === "forgotten" && line.node_id === nodeId && line.records) skip--;
      if (line.type !== "record" || skip > 0) continue;
      const record = JSON.parse(line.payload);
      if (record.node_id !== nodeId) continue;
      yield {
        node_id: record.node_id,
        epoch: record.epoch,
        seq: record.seq,
        ts_wall_ms: record.ts_wall_ms,
        ts_mono_ms: record.ts_mono_ms,
        is_anomaly: record.anomaly.is_anomaly,
        score: record.anomaly.score,
        received_wall_ms: line.received_wall_ms,
        payload: line.payload,
      };
    }
  }

  async *#lines(): AsyncGenerator<StoredLine> {
    await this.#order;
    for (const { turn } of [...this.#files]) {
      try {
        for await (const { lines } of blocksOf(this.#disk, nameOf(turn))) yield* lines;
      } catch (error) {
        // Retention took it meanwhile.
        if (!(error instanceof DiskError && error.kind === "gone")) throw error;
      }
    }
  }

  #write(lines: readonly StoredLine[]): Promise<void> {
    return this.#inTurn(async () => {
      const { bytesMax = Infinity } = this.#limits;
      if (this.#files.at(-1)!.bytes > Math.min(FILE_BYTES_MAX, bytesMax / FILES_MIN)) {
        await this.#rotate();
      }
      await this.#append(lines);
      for (const line of lines) this.#current.apply(line);
      note(this.#files.at(-1)!, lines);
      await this.#retain();
    });
  }

  /** Appends one block and syncs it; a failure leaves nothing of it. */
  async #append(lines: readonly StoredLine[]): Promise<void> {
    const text = [...lines, { type: "commit" } as const].map((line) => JSON.stringify(line) + "\n");
    const bytes = encoder.encode(text.join(""));
    const file = this.#file!;
    const facts = this.#files.at(-1)!;
    try {
      for (let at = 0; at < bytes.length;) {
        const written = file.append(bytes.subarray(at));
        if (written === 0) {
          throw new DiskError("full", "nothing could be written: is the disk full?");
        }
        at += written;
      }
      await file.sync();
    } catch (error) {
      await file.truncate(facts.bytes);
      throw error;
    }
    facts.bytes += bytes.length;
  }

  async #rotate(): Promise<void> {
    const turn = (this.#files.at(-1)?.turn ?? 0) + 1;
    const file = this.#disk.create(nameOf(turn));
    this.#file?.close();
    this.#file = file;
    this.#files.push({ turn, bytes: 0, records: 0, newestWallMs: -Infinity });
    const { hostId, epochs, nodes, configs } = this.#current;
    await this.#append([
      { type: "host", host_id: hostId! },
      ...[...epochs.values()].map((state) => ({ type: "epoch" as const, ...state })),
      ...[...nodes].map(([node_id, known]) => ({ type: "node" as const, node_id, known })),
      ...[...configs.values()].map((config) => ({ type: "config" as const, ...config })),
    ]);
    await this.#disk.syncDir();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#order.then(work);
    this.#order = result.catch(() => {});
    return result;
  }
}

/** Whether a record or gap of that seq is there already. */
function accountsFor(known: EpochState | undefined, seq: number): boolean {
  return known !== undefined &&
    (seq <= known.high_acked || known.ranges.some(([from, to]) => from <= seq && seq <= to));
}

function sum(files: readonly FileFacts[], of: (facts: FileFacts) => number): number {
  return files.reduce((total, facts) => total + of(facts), 0);
}

/** Whether an event has all that a line needs; what is damaged would end what can be read of the file. */
function fitsLine({ at_wall_ms, detail }: EventRow): boolean {
  try {
    return Number.isFinite(at_wall_ms) && JSON.stringify(detail).length < EVENTS_MAX_TEXT_BYTES;
  } catch {
    return false;
  }
}
