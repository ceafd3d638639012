/**
 * What a node says of itself: what is wrong, and whether its data is safe, in the words of the fleet: `/status`
 * and the node's page show this. Pure.
 */
import { concern, CONCERNS, WAL_NEARLY_FULL } from "./concerns.ts";
import type { Concern } from "./node_info.ts";
import type { Tone } from "./states.ts";
import { bytesText, exact, plural, spanText } from "./texts.ts";

/** A lost range; of its numbers so many at most named records, all of them unless given. */
export interface Lost {
  readonly from_seq: number;
  readonly to_seq: number;
  readonly records_max?: number;
}

/** Most records that were lost with a range. */
export function lostRecords({ from_seq, to_seq, records_max }: Lost): number {
  return Math.min(to_seq - from_seq + 1, records_max ?? Infinity);
}

/** What is known on the device. Times by its clock. */
export interface DeviceState {
  readonly connected: boolean;
  /** Why the link is down, where that is known. */
  readonly link_error: string | undefined;
  readonly link_since_wall_ms: number;
  readonly writable: boolean;
  readonly disk_error: string | undefined;
  readonly gaps: readonly (Lost & { readonly reason: string })[];
  /** Records that this run of the node declared as lost. */
  readonly lost_records: number;
  readonly degraded: boolean;
  readonly samples_per_record: number;
  readonly backlog: number;
  readonly oldest_unacked_ms: number;
  readonly wal_bytes: number;
  readonly wal_bytes_max: number;
  readonly seconds_until_full: number | undefined;
  readonly config_error: string | undefined;
}

/** The device in a headline and a reason. */
export interface DeviceVerdict {
  readonly tone: Tone;
  readonly shape: string;
  /** Everything sampled is on disk here or at the host, and nothing was lost. */
  readonly safe: boolean;
  readonly text: string;
  readonly because: string;
}

/** A record that waits for less is just on its way. */
const ON_THE_WAY_MS = 10_000;

/** What somebody should look at, the gravest first. */
export function deviceConcerns(state: DeviceState): Concern[] {
  const found: Concern[] = [];
  const add = (...what: Parameters<typeof concern>) => found.push(concern(...what));
  if (!state.writable) {
    add("disk", "bad", `records are in memory only: ${state.disk_error ?? "the disk fails"}`, 1);
  }
  for (const gap of state.gaps) {
    const { from_seq, to_seq, reason, records_max } = gap;
    const records = lostRecords(gap);
    const most = records_max === undefined ? "" : `, ${plural(records, "record")} at most`;
    add("gap", "bad", `lost: seq ${from_seq} to ${to_seq}, ${reason}${most}`, records);
  }
  const fill = state.wal_bytes / state.wal_bytes_max;
  if (fill >= WAL_NEARLY_FULL) {
    const text = `log is ${Math.floor(fill * 100)} % of ${bytesText(state.wal_bytes_max)}`;
    add("wal", CONCERNS.wal.severity, text, fill);
  }
  if (!state.connected) {
    const why = state.link_error === undefined ? "" : `: ${state.link_error}`;
    add("link", "warn", `no host is connected${why}`, 1, state.link_since_wall_ms);
  }
  if (state.config_error !== undefined) {
    add("refused", CONCERNS.refused.severity, `configuration refused: ${state.config_error}`, 1);
  }
  if (state.degraded) {
    const text = `degraded: a record stands for ${plural(state.samples_per_record, "sample")}`;
    add("degraded", CONCERNS.degraded.severity, text, state.backlog);
  }
  return found;
}

function waitingText({ backlog, oldest_unacked_ms }: DeviceState): string {
  if (backlog === 0) return "Nothing waits for the host.";
  const waits = `${plural(backlog, "record")} wait${backlog === 1 ? "s" : ""} here`;
  return `${waits}, the oldest for ${spanText(oldest_unacked_ms)}.`;
}

/** Headline and reason. */
export function deviceVerdict(state: DeviceState): DeviceVerdict {
  const waiting = waitingText(state);
  const lost = state.gaps.reduce((sum, gap) => sum + lostRecords(gap), 0);
  const ever = Math.max(lost, state.lost_records);
  if (!state.writable) {
    return {
      tone: "bad",
      shape: "cross",
      safe: false,
      text: "New records are in memory only",
      because: `The disk takes nothing: a power cut now loses what came since. ${waiting}`,
    };
  }
  if (ever > 0) {
    return {
      tone: "bad",
      shape: "cross",
      safe: false,
      text: `${exact(ever)} ${ever === 1 ? "record was" : "records were"} lost`,
      because: `Everything else is on disk here or at the host. ${waiting}`,
    };
  }
  if (!state.connected) {
    const left = state.seconds_until_full;
    const room = left === undefined ? "" : ` There is room for another ${spanText(left * 1_000)}.`;
    const why = state.link_error === undefined ? "" : `: ${state.link_error}`;
    return {
      tone: state.degraded ? "warn" : "info",
      shape: "half",
      safe: true,
      text: "Data is safe on this device",
      because: `No host is connected${why}. ${waiting}${room}`,
    };
  }
  if (state.degraded || state.oldest_unacked_ms > ON_THE_WAY_MS) {
    return {
      tone: state.degraded ? "warn" : "info",
      shape: state.degraded ? "triangle" : "half",
      safe: true,
      text: "Data is safe, and being sent",
      because: `The host is catching up. ${waiting}`,
    };
  }
  return {
    tone: "ok",
    shape: "check",
    safe: true,
    text: "Data is safe",
    because: "Everything sampled is on disk here or at the host.",
  };
}
