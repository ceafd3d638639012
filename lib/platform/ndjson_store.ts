/**
 * A {@linkcode Store} of rotated files of JSON lines, for those who want to read and ship files. Every commit is
 * one block of lines that ends with a line of type `commit`; a block without it never happened. What is not a
 * record (states, configurations, events) lies in the same files.
 *
 * Queries read the files; for dashboards use SQLite.
 */
import { parseRow, type StoredLine } from "./ndjson_lines.ts";
import { addRows, bucketOf, Columns, METRICS_MAX, planSeries, samplesOf } from "./series.ts";
import type {
  ConfigRow,
  EpochBatch,
  EpochState,
  EventRow,
  HistoryQuery,
  RecordQuery,
  SeriesColumns,
  SeriesQuery,
  Store,
  StoredEvent,
  StoredGap,
  StoredMetric,
  StoredRow,
  StoreSize,
  StoreState,
} from "./store.ts";
import { isByTime } from "./store.ts";

const FILE_BYTES_MAX = 64 * 1024 * 1024;
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

  take(line: StoredLine): void {
    if (line.type === "host") this.hostId = line.host_id;
    else if (line.type === "epoch") this.epochs.set(`${line.node_id} ${line.epoch}`, line);
    else if (line.type === "node") this.nodes.set(line.node_id, line.known);
    else if (line.type === "config") this.configs.set(line.target, line);
    else if (line.type === "record") this.records++;
    else if (line.type === "event") this.lastEventId = line.id;
  }
}

/** Whole blocks of a file in order, and the offset behind the last of them. */
async function* blocksOf(path: string): AsyncGenerator<{ lines: StoredLine[]; end: number }> {
  using file = await Deno.open(path);
  let block: StoredLine[] = [];
  let offset = 0;
  let rest: Uint8Array = new Uint8Array(0);
  const decoder = new TextDecoder();
  for await (const chunk of file.readable) {
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const line = parseRow(decoder.decode(bytes.subarray(start, end)));
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
    rest = bytes.slice(start);
  }
}

/** Opens the store in `directory` (made if it isn't there); cuts a torn end. Rejects with one line. */
export async function openNdjsonStore(directory: string, hostId: string): Promise<Store> {
  await Deno.mkdir(directory, { recursive: true });
  const turns: number[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    const match = NAME.exec(name);
    if (match !== null) turns.push(Number(match[1]));
  }
  turns.sort((a, b) => a - b);
  const replayed = new Replayed();
  for (const turn of turns) {
    const path = `${directory}/${nameOf(turn)}`;
    let goodEnd = 0;
    for await (const { lines, end } of blocksOf(path)) {
      for (const line of lines) replayed.take(line);
      goodEnd = end;
    }
    if (turn === turns.at(-1)) await Deno.truncate(path, goodEnd);
  }
  const store = new NdjsonStore(directory, turns, replayed, replayed.hostId ?? hostId);
  await store.begin(replayed.hostId === undefined);
  return store;
}

class NdjsonStore implements Store {
  readonly state: StoreState;
  #directory: string;
  #turns: number[];
  #file: Deno.FsFile | undefined;
  #fileBytes = 0;
  #records: number;
  #nextEvent: number;
  #order: Promise<unknown> = Promise.resolve();
  /** Newest state of everything that is not a record: it heads each new file, so that old ones may go. */
  #current: Replayed;

  constructor(directory: string, turns: number[], replayed: Replayed, hostId: string) {
    this.#directory = directory;
    this.#turns = turns;
    this.#current = replayed;
    this.#records = replayed.records;
    this.#nextEvent = replayed.lastEventId + 1;
    replayed.hostId = hostId;
    this.state = {
      host_id: hostId,
      epochs: [...replayed.epochs.values()],
      nodes: new Map(replayed.nodes),
      configs: [...replayed.configs.values()],
    };
  }

  /** Opens the newest file for appending. */
  async begin(isNew: boolean): Promise<void> {
    if (isNew || this.#turns.length === 0) return await this.#rotate();
    const path = `${this.#directory}/${nameOf(this.#turns.at(-1)!)}`;
    this.#file = await Deno.open(path, { read: true, append: true });
    this.#fileBytes = (await this.#file.stat()).size;
  }

  commit(batches: readonly EpochBatch[], atWallMs: number): Promise<void> {
    const lines: StoredLine[] = [];
    for (const { state, records, gaps } of batches) {
      const { node_id, epoch } = state;
      for (const { payload } of records) {
        lines.push({ type: "record", received_wall_ms: atWallMs, payload });
      }
      for (const gap of gaps) {
        lines.push({ type: "gap", node_id, epoch, declared_wall_ms: atWallMs, ...gap });
      }
      lines.push({ type: "epoch", ...state });
    }
    return this.#write(lines);
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#write([...nodes].map(([node_id, known]) => ({ type: "node", node_id, known })));
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#write([{ type: "config", ...config }]);
  }
  addEvents(events: readonly EventRow[]): Promise<void> {
    return this.#write(events.map((event) => ({ type: "event", id: this.#nextEvent++, ...event })));
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
      for (const { metric } of samplesOf(row.payload)) {
        const known = found.get(metric);
        if (known === undefined && found.size >= METRICS_MAX) continue;
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
    return this.#inTurn(async () => {
      let bytes = 0;
      for (const turn of this.#turns) bytes += (await Deno.stat(this.#path(turn))).size;
      return { bytes, records: this.#records };
    });
  }

  /** Deletes whole files, the oldest first; the newest stays. */
  retain(limits: { olderThanWallMs?: number; bytesMax?: number }): Promise<number> {
    return this.#inTurn(async () => {
      let removed = 0;
      while (this.#turns.length > 1) {
        let bytes = 0;
        for (const turn of this.#turns) bytes += (await Deno.stat(this.#path(turn))).size;
        const oldest = this.#path(this.#turns[0]!);
        const changed = (await Deno.stat(oldest)).mtime?.getTime() ?? Infinity;
        const isOld = changed < (limits.olderThanWallMs ?? -Infinity);
        if (!isOld && bytes <= (limits.bytesMax ?? Infinity)) break;
        for await (const { lines } of blocksOf(oldest)) {
          removed += lines.filter(({ type }) => type === "record").length;
        }
        await Deno.remove(oldest);
        this.#turns.shift();
      }
      this.#records -= removed;
      return removed;
    });
  }
  close(): Promise<void> {
    return this.#inTurn(() => {
      this.#file?.close();
      return Promise.resolve();
    });
  }

  #path(turn: number): string {
    return `${this.#directory}/${nameOf(turn)}`;
  }

  #newestEpoch(nodeId: string): string | undefined {
    return [...this.#current.epochs.values()].findLast(({ node_id }) => node_id === nodeId)?.epoch;
  }

  /** The records of a node as they arrived. */
  async *#rows(nodeId: string): AsyncGenerator<StoredRow> {
    for await (const line of this.#lines()) {
      if (line.type !== "record") continue;
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
    for (const turn of [...this.#turns]) {
      for await (const { lines } of blocksOf(this.#path(turn))) yield* lines;
    }
  }

  #write(lines: readonly StoredLine[]): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#fileBytes > FILE_BYTES_MAX) await this.#rotate();
      await this.#append(lines);
      for (const line of lines) this.#current.take(line);
      this.#records += lines.filter(({ type }) => type === "record").length;
    });
  }

  /** Appends one block and syncs it; a failure leaves nothing of it. */
  async #append(lines: readonly StoredLine[]): Promise<void> {
    const text = [...lines, { type: "commit" } as const].map((line) => JSON.stringify(line) + "\n");
    const bytes = encoder.encode(text.join(""));
    const file = this.#file!;
    try {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.syncData();
    } catch (error) {
      await file.truncate(this.#fileBytes);
      throw error;
    }
    this.#fileBytes += bytes.length;
  }

  async #rotate(): Promise<void> {
    const turn = (this.#turns.at(-1) ?? 0) + 1;
    const path = this.#path(turn);
    const file = await Deno.open(path, { read: true, append: true, createNew: true });
    this.#file?.close();
    this.#file = file;
    this.#fileBytes = 0;
    this.#turns.push(turn);
    const { hostId, epochs, nodes, configs } = this.#current;
    await this.#append([
      { type: "host", host_id: hostId! },
      ...[...epochs.values()].map((state) => ({ type: "epoch" as const, ...state })),
      ...[...nodes].map(([node_id, known]) => ({ type: "node" as const, node_id, known })),
      ...[...configs.values()].map((config) => ({ type: "config" as const, ...config })),
    ]);
    using directory = await Deno.open(this.#directory);
    await directory.sync();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#order.then(work);
    this.#order = result.catch(() => {});
    return result;
  }
}

type Order = (a: StoredRow, b: StoredRow) => number;

function orderOf(query: RecordQuery): Order {
  const sign = query.newest_first ? -1 : 1;
  if (!isByTime(query)) return (a, b) => sign * (a.seq - b.seq);
  return (a, b) =>
    sign * ((bucketOf(a.ts_wall_ms) ?? 0) - (bucketOf(b.ts_wall_ms) ?? 0) ||
      (a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : a.seq - b.seq));
}

function matches(row: StoredRow, query: RecordQuery, order: Order): boolean {
  const { epoch, cursor } = query;
  return (epoch === undefined || row.epoch === epoch) &&
    row.seq > (query.after_seq ?? 0) && row.seq < (query.before_seq ?? Infinity) &&
    row.ts_wall_ms >= (query.from_wall_ms ?? -Infinity) &&
    row.ts_wall_ms < (query.to_wall_ms ?? Infinity) &&
    (!query.anomalies_only || row.is_anomaly) &&
    (cursor === undefined ||
      order(row, {
          ...row,
          ts_wall_ms: cursor.span_wall_ms,
          epoch: cursor.epoch,
          seq: cursor.seq,
        }) >
        0);
}

/** Sorts, and keeps what the query asks for. */
function shrink(found: StoredRow[], limit: number, order: Order): void {
  found.sort(order);
  found.length = Math.min(found.length, limit);
}

function isInHistory(
  query: HistoryQuery,
  { id, node_id }: { id: number; node_id: string },
  wallMs: number,
): boolean {
  return (query.node_id ?? node_id) === node_id &&
    id > (query.after_id ?? -Infinity) && id < (query.before_id ?? Infinity) &&
    wallMs >= (query.from_wall_ms ?? -Infinity) && wallMs < (query.to_wall_ms ?? Infinity);
}

/** Appends, and forgets the oldest now and then. */
function keepNewest<T>(found: T[], item: T, limit: number): void {
  found.push(item);
  if (found.length > 2 * limit) found.splice(0, limit);
}
