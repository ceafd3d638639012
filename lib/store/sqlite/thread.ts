/// <reference lib="deno.worker" />
/**
 * The store's threads: one writes, and sessions must not wait for the disk with it; one reads on a connection
 * of its own, and commits must not wait for queries. Which one this is, the first call says.
 */
import type { EnrolmentRow } from "../../identity/enrolment_token.ts";
import { denoClock } from "../../platform/deno_clock.ts";
import { type Database, isCorrupt, NewerDatabase } from "../../platform/sqlite.ts";
import { type Calls, serveCalls } from "../../platform/thread.ts";
import { Claims } from "../claims.ts";
import type { TokenRow } from "../../identity/token.ts";
import type { AuditRow, CertificateRow, RenewedFrom, SeriesQuery } from "../store.ts";
import { openDatabase, SqliteEngine } from "./engine.ts";
import { countLegacyRecords, moveLegacyRecords } from "./legacy_records.ts";
import type { PackedBatch } from "./pack.ts";
import { addAudit, putToken, readAudit, readTokens, revokeToken } from "./people.ts";
import {
  putCertificate,
  putEnrolment,
  readCertificates,
  readRevoked,
  renewCertificate,
  takeEnrolment,
} from "./pki.ts";
import {
  readBytes,
  readEvents,
  readGaps,
  readMetrics,
  readRecords,
  readSeries,
} from "./queries.ts";

/** Share of its time that the writer spends on summing up and sealing by itself. */
const BACKGROUND_SHARE = 0.2;
const IDLE_MS = 1_000;
/** Longest and shortest time that a slice of retention takes after a commit: the next one may wait for it. */
const SLICE_MS = { min: 5, max: 60 };

const now = () => denoClock.monotonicMs();
let db: Database;
let engine: SqliteEngine;
let claims: Claims;
let isOpen = false;
let isRetaining = false;
let lastCommitMs = 0;

function retain(budgetMs: number): boolean {
  try {
    return engine.retention.slice(denoClock.wallMs(), budgetMs);
  } catch {
    // The disk fails; commits tell of it. Another try follows.
    return false;
  }
}

/** Deletes while there is time; requests come in between. */
async function retainInIdle(): Promise<void> {
  if (isRetaining) return;
  isRetaining = true;
  while (isOpen && retain(SLICE_MS.max / 2)) await denoClock.sleepUntil(now());
  isRetaining = false;
}

/** Sums up and seals in the background, as the records come. */
async function work(): Promise<void> {
  while (isOpen) {
    const start = now();
    let more = false;
    try {
      more = engine.sumUpSome();
      if (engine.sealSome(denoClock.wallMs(), SLICE_MS.min)) more = true;
    } catch {
      // As above.
    }
    const took = now() - start;
    await denoClock.sleepUntil(now() + (more ? took * (1 / BACKGROUND_SHARE - 1) : IDLE_MS));
    retainInIdle();
  }
}

/** What can be asked of the writer. */
const writer = {
  /** Opens the database; how many records have to be moved first, `undefined` for none. */
  openDatabase(path: string) {
    db = openDatabase(path);
    return countLegacyRecords(db);
  },
  /** Moves some of them; how many, 0 where that is done. */
  moveRecords: () => moveLegacyRecords(db),
  open(hostId: string) {
    engine = new SqliteEngine(db, now);
    claims = new Claims(denoClock.wallMs());
    isOpen = true;
    work();
    return engine.open(hostId);
  },
  claim: (nodeId: string, epoch: string) => ({
    state: engine.epoch(nodeId, epoch),
    fence: claims.take(nodeId, epoch),
  }),
  epochCount: (nodeId: string) => engine.epochCount(nodeId),
  forgetEmptyEpochs: (nodeId: string) => engine.forgetEmptyEpochs(nodeId),
  /** Places of batches that were overtaken: where there are some, nothing is stored. */
  commit(batches: readonly PackedBatch[], fences: readonly number[], atWallMs: number) {
    const claimed = batches.map(({ node_id, epoch }, i) => ({ node_id, epoch, fence: fences[i]! }));
    const overtaken = claims.overtaken(claimed);
    if (overtaken.length > 0) return overtaken;
    const start = now();
    engine.commit(batches, atWallMs);
    lastCommitMs = now() - start;
    return [];
  },
  putNodes: (nodes: ReadonlyMap<string, unknown>) => engine.putNodes(nodes),
  forgetNode: (nodeId: string, records: boolean) => engine.forgetNode(nodeId, records),
  putConfig: (config: Parameters<SqliteEngine["putConfig"]>[0]) => engine.putConfig(config),
  addEvents: (events: Parameters<SqliteEngine["addEvents"]>[0]) => engine.addEvents(events),
  putToken: (row: TokenRow) => putToken(db, row),
  revokeToken: (id: string) => revokeToken(db, id),
  addAudit: (row: AuditRow) => addAudit(db, row),
  putEnrolment: (row: EnrolmentRow) => putEnrolment(db, row),
  takeEnrolment: (hash: string) => takeEnrolment(db, hash),
  putCertificate: (row: CertificateRow) => putCertificate(db, row),
  renewCertificate: (row: CertificateRow, from: RenewedFrom) => renewCertificate(db, row, from),
  // Small, and not to wait for what people ask the reader.
  tokens: () => readTokens(db),
  certificates: () => readCertificates(db),
  revokedSerials: () => readRevoked(db),
  sumUp: () => engine.sumUp(),
  keepWithin(limits: Parameters<SqliteEngine["keepWithin"]>[0]) {
    engine.keepWithin(limits);
    retainInIdle();
  },
  counts: () => ({
    records: engine.records,
    retained_away_records: engine.retention.deletedRecords,
    unsummed_records: engine.rollUp.skippedRecords,
  }),
  close() {
    isOpen = false;
    engine.close();
  },
} satisfies Calls;
/** See {@linkcode writer}. */
export type WriterCalls = typeof writer;

/** What can be asked of the reader. */
const reader = {
  openReader(path: string) {
    db = openDatabase(path, true);
  },
  records: (query: Parameters<typeof readRecords>[1]) => readRecords(db, query),
  gaps: (query: Parameters<typeof readGaps>[1]) => readGaps(db, query),
  events: (query: Parameters<typeof readEvents>[1]) => readEvents(db, query),
  audit: (query: Parameters<typeof readAudit>[1]) => readAudit(db, query),
  metrics: (nodeId: string) => readMetrics(db, nodeId),
  series: (query: SeriesQuery, complete: boolean) => readSeries(db, query, complete),
  bytes: () => readBytes(db),
  closeReader: () => db.close(),
} satisfies Calls;
/** See {@linkcode reader}. */
export type ReaderCalls = typeof reader;

serveCalls(
  { ...writer, ...reader },
  (error) => error instanceof NewerDatabase ? "newer" : isCorrupt(error) ? "corrupt" : "error",
  (name) => {
    if (name !== "commit" || !isOpen) return;
    retain(Math.max(SLICE_MS.min, Math.min(SLICE_MS.max, lastCommitMs)));
  },
);
