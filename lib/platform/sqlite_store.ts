/** The default {@linkcode Store}: a SQLite database in WAL mode that syncs at each commit, in a thread. */
import { getLogger } from "@logtape/logtape";
import type { Answer, PackedBatch, Request, Requests } from "./sqlite_store_worker.ts";
import type {
  ConfigRow,
  EpochBatch,
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

/** Name of the database in the host's data directory. */
export const DATABASE_NAME = "holdfast.db";

/** A query waits that long for records to be summed up; longer only after large replays. */
const ROLLUP_WAIT_MS = 1_500;

const log = getLogger(["holdfast", "store"]);

class StoreError extends Error {
  readonly corrupt: boolean;
  constructor(message: string, corrupt: boolean) {
    super(message);
    this.corrupt = corrupt;
  }
}

/** Calls into the thread, answered in order. */
class WorkerCalls {
  #worker = new Worker(new URL("./sqlite_store_worker.ts", import.meta.url), { type: "module" });
  #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<Answer>) => {
      const resolve = this.#waiting.get(event.data.id);
      this.#waiting.delete(event.data.id);
      resolve?.(event.data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const [id, resolve] of this.#waiting) {
        resolve({ id, error: `store thread ended: ${event.message}`, corrupt: false });
      }
      this.#waiting.clear();
    };
  }

  async call<M extends keyof Requests>(
    method: M,
    args: Parameters<Requests[M]>,
    transfer: Transferable[] = [],
  ): Promise<ReturnType<Requests[M]>> {
    const id = this.#nextId++;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#worker.postMessage({ id, method, args } satisfies Request, transfer);
    });
    if ("error" in answer) throw new StoreError(answer.error, answer.corrupt);
    return answer.result as ReturnType<Requests[M]>;
  }

  end(): void {
    this.#worker.terminate();
  }
}

/**
 * Opens the database in `directory` (made if it isn't there). A damaged one is moved aside with a dated name
 * and an empty one takes its place: nodes then send again what they still have. Rejects with one line where
 * the directory can't be used or the database was made by a newer version.
 */
export async function openSqliteStore(directory: string, hostId: string): Promise<Store> {
  await Deno.mkdir(directory, { recursive: true });
  const path = `${directory}/${DATABASE_NAME}`;
  const calls = new WorkerCalls();
  try {
    return new SqliteStore(calls, await calls.call("open", [path, hostId]));
  } catch (error) {
    calls.end();
    if (!(error instanceof StoreError && error.corrupt)) {
      throw new Error(`cannot open ${path}: ${error instanceof Error ? error.message : error}`);
    }
    const aside = `${path}.damaged-${new Date(Date.now()).toISOString().replaceAll(":", "")}`;
    log.error("{path} is damaged ({reason}): moved to {aside}, starting with an empty one", {
      path,
      reason: error.message,
      aside,
    });
    await Deno.rename(path, aside);
    for (const suffix of ["-wal", "-shm"]) {
      await Deno.rename(path + suffix, aside + suffix).catch(() => {});
    }
    const fresh = new WorkerCalls();
    return new SqliteStore(fresh, await fresh.call("open", [path, hostId]));
  }
}

class SqliteStore implements Store {
  readonly state: StoreState;
  #calls: WorkerCalls;
  #rollingUp: Promise<boolean> | undefined;

  constructor(calls: WorkerCalls, state: StoreState) {
    this.#calls = calls;
    this.state = state;
  }

  commit(batches: readonly EpochBatch[], atWallMs: number): Promise<void> {
    const packed = batches.map(pack);
    const transfer = packed.flatMap((batch) => [
      batch.seqs.buffer,
      batch.wallMs.buffer,
      batch.monoMs.buffer,
      batch.scores.buffer,
      batch.ends.buffer,
    ]);
    return this.#calls.call("commit", [packed, atWallMs], transfer);
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#calls.call("putNodes", [nodes]);
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#calls.call("putConfig", [config]);
  }
  addEvents(events: readonly EventRow[]): Promise<void> {
    return this.#calls.call("addEvents", [events]);
  }
  async records(query: RecordQuery): Promise<StoredRow[]> {
    if (isByTime(query)) await this.#rollUp();
    return await this.#calls.call("records", [query]);
  }
  gaps(query: HistoryQuery): Promise<StoredGap[]> {
    return this.#calls.call("gaps", [query]);
  }
  events(query: HistoryQuery): Promise<StoredEvent[]> {
    return this.#calls.call("events", [query]);
  }
  async metrics(nodeId: string): Promise<StoredMetric[]> {
    await this.#rollUp();
    return await this.#calls.call("metrics", [nodeId]);
  }
  async series(query: SeriesQuery): Promise<SeriesColumns> {
    return await this.#calls.call("series", [query, await this.#rollUp()]);
  }
  size(): Promise<StoreSize> {
    return this.#calls.call("size", []);
  }
  retain(limits: { olderThanWallMs?: number; bytesMax?: number }): Promise<number> {
    return this.#calls.call("retain", [limits.olderThanWallMs, limits.bytesMax]);
  }
  /**
   * Sums up what came since; whether that is all there is. Queries share the work, and commits go in between.
   */
  #rollUp(): Promise<boolean> {
    return this.#rollingUp ??= (async () => {
      const deadline = performance.now() + ROLLUP_WAIT_MS;
      try {
        while (await this.#calls.call("rollUp", [])) {
          if (performance.now() > deadline) return false;
        }
        return true;
      } finally {
        this.#rollingUp = undefined;
      }
    })();
  }

  async close(): Promise<void> {
    await this.#calls.call("close", []);
    this.#calls.end();
  }
}

function pack({ state, records, gaps }: EpochBatch): PackedBatch {
  const count = records.length;
  const seqs = new Float64Array(count);
  const wallMs = new Float64Array(count);
  const monoMs = new Float64Array(count);
  const scores = new Float64Array(count);
  const ends = new Uint32Array(count);
  const texts = new Array<string>(count);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const record = records[i]!;
    seqs[i] = record.seq;
    wallMs[i] = record.ts_wall_ms;
    monoMs[i] = record.ts_mono_ms;
    scores[i] = record.is_anomaly ? Math.max(0, record.score) : -1;
    texts[i] = record.payload;
    ends[i] = end += record.payload.length;
  }
  return {
    node_id: state.node_id,
    epoch: state.epoch,
    high_acked: state.high_acked,
    max_seq: state.max_seq,
    ranges: JSON.stringify(state.ranges),
    seqs,
    wallMs,
    monoMs,
    scores,
    payloads: texts.join(""),
    ends,
    gaps,
  };
}
