/**
 * What is said in the records of a node, held against what its sensor did and against itself: spikes are flagged,
 * events open and close in turn, thinned records hide nothing.
 */
import type { RecordContent } from "../../lib/protocol/record.ts";
import type { RecordRow } from "../../lib/store/store.ts";

/** Detectors learn what is normal for that long at most before they must flag a spike. */
const LEARNING_MS = 60_000;
/** Fewer than these tell nothing. */
const SPIKES_MIN = 20;
const QUIET_MIN = 500;
/** Of all spikes of a world, at least that share is flagged; of all other records, at most that share. */
const FLAGGED_MIN = 0.7;
const FLAGGED_QUIET_MAX = 0.3;

/** How records were flagged, beside what the sensor says that it did. */
export interface Flags {
  spikes: number;
  flaggedSpikes: number;
  quiet: number;
  flaggedQuiet: number;
}

/** No record was looked at yet. */
export function noFlags(): Flags {
  return { spikes: 0, flaggedSpikes: 0, quiet: 0, flaggedQuiet: 0 };
}

/** What is wrong with how the records of a whole world are flagged, if anything. */
export function wrongFlags(
  { spikes, flaggedSpikes, quiet, flaggedQuiet }: Flags,
): string | undefined {
  if (spikes >= SPIKES_MIN && flaggedSpikes < FLAGGED_MIN * spikes) {
    return `only ${flaggedSpikes} of ${spikes} spikes are flagged`;
  }
  if (quiet >= QUIET_MIN && flaggedQuiet > FLAGGED_QUIET_MAX * quiet) {
    return `${flaggedQuiet} of ${quiet} records without a spike are flagged`;
  }
  return undefined;
}

/** Ids of all events that these records open. */
export function openedIn(records: Iterable<RecordContent>): Set<string> {
  const opened = new Set<string>();
  for (const { anomaly } of records) {
    for (const { id, state } of anomaly.events ?? []) if (state === "open") opened.add(id);
  }
  return opened;
}

/**
 * The first thing that is wrong with all records that one run of a node made, in the order of their times; adds
 * to `flags` how they are flagged. `opened` are the events that any run ever opened.
 */
export function wrongWithRun(
  records: readonly RecordContent[],
  opened: ReadonlySet<string>,
  flags: Flags,
): string | undefined {
  const startMs = records[0]?.ts_mono_ms ?? 0;
  const lasted = new Map<string, number>(), closed = new Set<string>();
  for (const record of records) {
    const problem = wrongWithRecord(record) ?? wrongWithEvents(record, lasted, closed, opened);
    if (problem !== undefined) return `record of ${record.ts_mono_ms} ms: ${problem}`;
    // An operator may have made the detector deaf.
    const isDefault = record.cfg_version === 0;
    if (isDefault && record.ts_mono_ms >= startMs + LEARNING_MS) count(record, flags);
  }
  return undefined;
}

/** The column of a stored record that says something else than its JSON, if any does. */
export function wrongColumn(row: RecordRow): string | undefined {
  const { payload } = row;
  const columns = ["seq", "ts_wall_ms", "ts_mono_ms", "is_anomaly", "score"] as const;
  return columns.find((name) => !payload.includes(`"${name}":${JSON.stringify(row[name])}`));
}

function count({ anomaly, diagnostics }: RecordContent, flags: Flags): void {
  const flagged = anomaly.is_anomaly ? 1 : 0;
  if (diagnostics.sim_injected !== undefined) {
    flags.spikes++;
    flags.flaggedSpikes += flagged;
  } else {
    flags.quiet++;
    flags.flaggedQuiet += flagged;
  }
}

function wrongWithRecord({ anomaly, agg, degraded, metrics }: RecordContent): string | undefined {
  const names = Object.keys(anomaly.metrics);
  if (anomaly.is_anomaly !== names.length > 0) return `flagged for ${names.length} metrics`;
  if (agg === undefined) return undefined;
  if (anomaly.is_anomaly || !degraded || agg.n < 2) return "thinned although it must not be";
  for (const [name, mean] of Object.entries(metrics)) {
    const [low, high] = [agg.min[name]!, agg.max[name]!];
    const slack = 1e-6 * (1 + Math.abs(mean));
    if (!(mean >= low - slack && mean <= high + slack)) {
      return `${name}: ${mean} is not between ${low} and ${high}`;
    }
  }
  return undefined;
}

/** `lasted` has the events that this run told of and that are open, by id; `opened` what any run ever opened. */
function wrongWithEvents(
  { anomaly }: RecordContent,
  lasted: Map<string, number>,
  closed: Set<string>,
  opened: ReadonlySet<string>,
): string | undefined {
  for (const { id, state, duration_ms } of anomaly.events ?? []) {
    const before = lasted.get(id);
    if (closed.has(id)) return `event ${id}: ${state} after its end`;
    if (state === "open" && before !== undefined) return `event ${id} opens twice`;
    // What an earlier run opened may go on after a restart.
    if (!opened.has(id)) return `event ${id}: ${state}, and nobody ever opened it`;
    if (duration_ms < (before ?? 0)) return `event ${id}: lasted ${before} ms, then ${duration_ms}`;
    lasted.set(id, duration_ms);
    if (state === "close") closed.add(id);
  }
  return undefined;
}
