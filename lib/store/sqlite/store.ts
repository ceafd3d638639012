/** A {@linkcode Store} that one host owns: a SQLite database in WAL mode that syncs at each commit, in two threads. */
import type { EnrolmentRow } from "../../identity/enrolment_token.ts";
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../../errors.ts";
import type { Clock, Disk } from "../../platform/platform.ts";
import { Thread, ThreadError } from "../../platform/thread.ts";
import type { TokenRow } from "../../identity/token.ts";
import {
  type AuditRow,
  type CertificateRow,
  type Claim,
  type ClaimedBatch,
  type ConfigRow,
  type EventRow,
  Fenced,
  type HistoryQuery,
  isByTime,
  QueryTooLong,
  type RecordQuery,
  type RenewedFrom,
  type RetentionLimits,
  type SeriesColumns,
  type SeriesQuery,
  type Store,
  type StoredAudit,
  type StoredEvent,
  type StoredGap,
  type StoredMetric,
  type StoredRow,
  type StoreSize,
  type StoreState,
} from "../store.ts";
import { buffersOf, packBatch } from "./pack.ts";
import type { ReaderCalls, WriterCalls } from "./thread.ts";

/** Name of the database in the host's data directory. */
export const DATABASE_NAME = "holdfast.db";

/** A query waits that long for records to be summed up; longer only after large replays. */
const ROLLUP_WAIT_MS = 1_500;
/** A query that takes longer is given up. */
const QUERY_MS_MAX = 10_000;
/** Queries that wait for the reader; more are refused. */
const QUERIES_WAITING_MAX = 200;

/** Progress of bringing up an older database is told after so many records. */
const MOVED_SHOWN = 1_000_000;

/** Files of JSON lines, the other kind of store that older hosts had. */
const LINES_NAME = /^records-\d{8}\.ndjson$/;

const log = getLogger(["holdfast", "store"]);
const THREAD = new URL("./thread.ts", import.meta.url);

/** Where the database lies. */
export interface SqliteStoreOptions {
  /** The host's data directory, twice: SQLite opens its files by path. */
  readonly disk: Disk;
  readonly directory: string;
  /** Name of the host where the database has none yet. */
  readonly hostId: string;
  readonly clock: Clock;
}

/**
 * Opens the database. A damaged one is moved aside with a dated name and an empty one takes its place: nodes
 * then send again what they still have. Rejects with one line where the directory can't be used, the
 * database was made by a newer version, or records lie there in files of JSON lines.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  await refuseLines(options);
  const path = `${options.directory}/${DATABASE_NAME}`;
  let opened: OpenWriter;
  try {
    opened = await openWriter(path, options.hostId);
  } catch (error) {
    if (!(error instanceof ThreadError && error.kind === "corrupt")) {
      throw new Error(`cannot open ${path}: ${oneLine(error)}`);
    }
    const aside = `${DATABASE_NAME}.damaged-${options.clock.wallMs().toFixed(0)}`;
    log.error("{path} is damaged ({reason}): moved to {aside}, starting with an empty one", {
      path,
      reason: error.message,
      aside,
    });
    const names = await options.disk.list();
    for (const suffix of ["", "-wal", "-shm"]) {
      if (!names.includes(DATABASE_NAME + suffix)) continue;
      await options.disk.rename(DATABASE_NAME + suffix, aside + suffix);
    }
    opened = await openWriter(path, options.hostId);
  }
  return new SqliteStore(path, options.clock, opened);
}

/** What was acked is in those files: beside them a database would begin as if nothing had ever come. */
async function refuseLines({ disk, directory }: SqliteStoreOptions): Promise<void> {
  const name = (await disk.list()).find((name) => LINES_NAME.test(name));
  if (name === undefined) return;
  throw new Error(
    `${directory} holds records as JSON lines (${name}), as older hosts kept with --store ndjson: ` +
      "let the older host run until its nodes have no backlog, then move records-*.ndjson out of there",
  );
}

interface OpenWriter {
  readonly writer: Thread<WriterCalls>;
  readonly state: StoreState;
  readonly failed: Promise<string>;
}

async function openWriter(path: string, hostId: string): Promise<OpenWriter> {
  let fail = (_reason: string) => {};
  const failed = new Promise<string>((resolve) => fail = resolve);
  const writer = new Thread<WriterCalls>(
    THREAD,
    (reason) => fail(`the store's thread has ended: ${reason}`),
  );
  try {
    const old = await writer.call("openDatabase", [path]);
    if (old !== undefined) await moveRecords(writer, path, old);
    return { writer, failed, state: await writer.call("open", [hostId]) };
  } catch (error) {
    writer.end();
    throw error;
  }
}

/** Brings up a database that has one row a record; it goes on where an earlier run ended. */
async function moveRecords(
  writer: Thread<WriterCalls>,
  path: string,
  records: number,
): Promise<void> {
  if (records > 0) log.info("{path}: moving {records} records into blocks", { path, records });
  let moved = 0, shown = 0;
  for (let some; (some = await writer.call("moveRecords", [])) > 0;) {
    moved += some;
    if (moved < shown + MOVED_SHOWN) continue;
    shown = moved;
    log.info("{path}: {moved} of {records} records are moved", { path, moved, records });
  }
  if (moved > 0) log.info("{path}: all {moved} records are moved", { path, moved });
}

class SqliteStore implements Store {
  readonly state: StoreState;
  readonly failed: Promise<string>;
  #path: string;
  #clock: Clock;
  #writer: Thread<WriterCalls>;
  #reader: Promise<Thread<ReaderCalls>> | undefined;
  #summingUp: Promise<boolean> | undefined;
  #isClosed = false;

  constructor(path: string, clock: Clock, { writer, state, failed }: OpenWriter) {
    this.#path = path;
    this.#clock = clock;
    this.#writer = writer;
    this.state = state;
    this.failed = failed;
  }

  claim(nodeId: string, epoch: string): Promise<Claim> {
    return this.#writer.call("claim", [nodeId, epoch]);
  }
  epochCount(nodeId: string): Promise<number> {
    return this.#writer.call("epochCount", [nodeId]);
  }
  forgetEmptyEpochs(nodeId: string): Promise<number> {
    return this.#writer.call("forgetEmptyEpochs", [nodeId]);
  }
  async commit(batches: readonly ClaimedBatch[], atWallMs: number): Promise<void> {
    const packed = batches.map((batch) => packBatch(batch, atWallMs));
    const fences = batches.map(({ fence }) => fence);
    const args = [packed, fences, atWallMs] as const;
    const overtaken = await this.#writer.call("commit", [...args], buffersOf(packed));
    if (overtaken.length > 0) throw new Fenced(overtaken.map((index) => batches[index]!));
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#writer.call("putNodes", [nodes]);
  }
  async forgetNode(nodeId: string, records: boolean): Promise<void> {
    while (await this.#writer.call("forgetNode", [nodeId, records]));
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#writer.call("putConfig", [config]);
  }
  addEvents(events: readonly EventRow[]): Promise<number> {
    return this.#writer.call("addEvents", [events]);
  }
  tokens(): Promise<TokenRow[]> {
    return this.#writer.call("tokens", []);
  }
  putToken(row: TokenRow): Promise<void> {
    return this.#writer.call("putToken", [row]);
  }
  revokeToken(id: string): Promise<boolean> {
    return this.#writer.call("revokeToken", [id]);
  }
  putEnrolment(row: EnrolmentRow): Promise<void> {
    return this.#writer.call("putEnrolment", [row]);
  }
  takeEnrolment(hash: string): Promise<EnrolmentRow | undefined> {
    return this.#writer.call("takeEnrolment", [hash]);
  }
  putCertificate(row: CertificateRow): Promise<void> {
    return this.#writer.call("putCertificate", [row]);
  }
  renewCertificate(row: CertificateRow, from: RenewedFrom): Promise<boolean> {
    return this.#writer.call("renewCertificate", [row, from]);
  }
  certificates(): Promise<CertificateRow[]> {
    return this.#writer.call("certificates", []);
  }
  revokedSerials(): Promise<string[]> {
    return this.#writer.call("revokedSerials", []);
  }
  addAudit(row: AuditRow): Promise<void> {
    return this.#writer.call("addAudit", [row]);
  }
  audit(query: Omit<HistoryQuery, "node_id" | "kind">): Promise<StoredAudit[]> {
    return this.#query("audit", [query]);
  }
  async records(query: RecordQuery): Promise<StoredRow[]> {
    if (isByTime(query)) await this.#sumUp();
    return await this.#query("records", [query]);
  }
  gaps(query: HistoryQuery): Promise<StoredGap[]> {
    return this.#query("gaps", [query]);
  }
  events(query: HistoryQuery): Promise<StoredEvent[]> {
    return this.#query("events", [query]);
  }
  async metrics(nodeId: string): Promise<StoredMetric[]> {
    await this.#sumUp();
    return await this.#query("metrics", [nodeId]);
  }
  async series(query: SeriesQuery): Promise<SeriesColumns> {
    return await this.#query("series", [query, await this.#sumUp()]);
  }
  async size(): Promise<StoreSize> {
    const [bytes, counts] = await Promise.all([
      this.#query("bytes", []),
      this.#writer.call("counts", []),
    ]);
    return { bytes, ...counts };
  }
  keepWithin(limits: RetentionLimits): void {
    this.#writer.call("keepWithin", [limits]).catch(() => {});
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const reader = await this.#reader?.catch(() => undefined);
    await reader?.call("closeReader", []).catch(() => {});
    reader?.end();
    await this.#writer.call("close", []);
    this.#writer.end();
  }

  /** Asks the reader; one that answers too late, or has ended, is replaced. */
  async #query<N extends keyof ReaderCalls>(
    name: N,
    args: Parameters<ReaderCalls[N]>,
  ): Promise<ReturnType<ReaderCalls[N]>> {
    if (this.#isClosed) throw new Error("the store is closed");
    const opening = this.#reader ??= this.#openReader();
    const reader = await opening;
    if (reader.waiting >= QUERIES_WAITING_MAX) {
      throw new QueryTooLong("too many queries wait: ask again later");
    }
    const done = new AbortController();
    const late = this.#clock.sleepUntil(this.#clock.monotonicMs() + QUERY_MS_MAX, done.signal);
    try {
      const answer = reader.call(name, args);
      const first = await Promise.race([
        answer.then(() => "answered" as const, () => "answered" as const),
        late.then(() => "late" as const),
      ]);
      if (first === "answered") return await answer;
      answer.catch(() => {});
    } catch (error) {
      if (error instanceof ThreadError && error.kind === "ended") this.#dropReader(opening);
      throw error;
    } finally {
      done.abort();
    }
    this.#dropReader(opening);
    reader.end("a query took too long");
    throw new QueryTooLong(
      `the query took longer than ${QUERY_MS_MAX / 1_000} s: ask for a shorter window`,
    );
  }

  async #openReader(): Promise<Thread<ReaderCalls>> {
    const reader = new Thread<ReaderCalls>(THREAD);
    try {
      await reader.call("openReader", [this.#path]);
    } catch (error) {
      this.#reader = undefined;
      reader.end();
      throw error;
    }
    return reader;
  }

  #dropReader(opening: Promise<unknown>): void {
    if (this.#reader === opening) this.#reader = undefined;
  }

  /**
   * Sums up what came since; whether that is all there is. Queries share the work, and commits go in between.
   */
  #sumUp(): Promise<boolean> {
    return this.#summingUp ??= (async () => {
      const deadlineMs = this.#clock.monotonicMs() + ROLLUP_WAIT_MS;
      try {
        while (await this.#writer.call("sumUp", [])) {
          if (this.#clock.monotonicMs() > deadlineMs) return false;
        }
        return true;
      } finally {
        this.#summingUp = undefined;
      }
    })();
  }
}
