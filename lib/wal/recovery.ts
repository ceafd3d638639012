/**
 * What a directory holds, found without changing it. Headers and the newest segment are read; older
 * segments only where a neighbour is missing, so that the time does not grow with the backlog.
 *
 * | evidence | verdict |
 * | --- | --- |
 * | no segment of any epoch | the log is new: a fresh epoch, as no number can be trusted |
 * | checkpoint missing, damaged, or of an epoch that no segment has | the newest segment's epoch; nothing counts as acked |
 * | segment of another epoch, file that is not ours | left alone, counted, reported |
 * | a file can't be opened, or a part of it not read (EIO, EACCES, not a file) | what is in it is `corrupt`; it is neither cut nor written to |
 * | a whole header that its name contradicts | foreign |
 * | header damaged | base and turn from the file's name, records are still read |
 * | newest segment ends in something unreadable | torn: cut there; its numbers are not used again |
 * | all records end below the checkpoint's last_seq | the rest was synced and is gone: `corrupt` |
 * | a turn is missing between two segments | what the one before doesn't hold is `corrupt` |
 * | base above prev + 1 | never written: the header's reason |
 * | first base above high_acked + 1 | `evicted` |
 * | two segments hold a seq | the later turn's: it was written again after a failed sync |
 */
import { Buffer } from "node:buffer";
import { type Disk, DiskError, type DiskFile } from "../platform/platform.ts";
import { readCheckpoint } from "./checkpoint.ts";
import {
  type Checkpoint,
  CHECKPOINT_NAME,
  decodeSegmentHeader,
  type JumpReason,
  parseSegmentName,
  RECORD_OVERHEAD_BYTES,
  SEGMENT_HEADER_BYTES,
} from "./format.ts";
import { GapList, type LossReason } from "./gaps.ts";
import { SegmentReader } from "./segment.ts";

/** A segment as recovery found it. */
export interface FoundSegment {
  readonly name: string;
  readonly turn: number;
  readonly base: number;
  readonly prev: number;
  readonly reason: JumpReason;
  /** See `SegmentHeader.most`. */
  readonly most: number;
  /** Last seq that it holds or held; below `base` where it is empty. */
  end: number;
  bytes: number;
  readonly headerDamaged: boolean;
  /** The file, or a part of it, can't be read: it is left alone and looked at again at the next start. */
  unreadable: boolean;
}

/** The state of a directory. */
export interface Recovered {
  /** `undefined` for a directory without segments. */
  readonly epoch: string | undefined;
  readonly checkpoint: Checkpoint | undefined;
  /** In order of creation. */
  readonly segments: FoundSegment[];
  /** Highest turn in any segment's name, of whatever epoch; 0 without any. */
  readonly lastTurn: number;
  /** Last seq that was given out and left a trace. */
  readonly lastSeq: number;
  readonly highAcked: number;
  readonly gaps: GapList;
  /** Offset behind the newest segment's last whole record. */
  readonly tailEnd: number;
  /**
   * Shapes that are noted in the newest segment before that; `undefined` where not all can be known: then no rows
   * may be added to it.
   */
  readonly tailShapes: readonly string[] | undefined;
  /** Bytes behind it. */
  readonly tornBytes: number;
  /** Bytes of all files in the directory but the checkpoint, which always counts as whole. */
  readonly bytes: number;
  /** Names that are not part of this log. */
  readonly foreign: string[];
}

/** Why a jump left a hole, as it is declared. */
export function lossOf(reason: JumpReason): LossReason {
  switch (reason) {
    case "unwritten":
      return "unwritten";
    case "unsynced":
    case "renumbered":
      return "unsynced";
    case "acked":
      return "compacted";
    case "none":
      return "corrupt";
  }
}

/** What a segment says of those that it may be missing. */
function mostOf({ most }: Pick<FoundSegment, "most">): number | undefined {
  return most === 0 ? undefined : most;
}

/** Most records that a segment which can't be read may hold: numbers that may have been given out. */
const UNREADABLE_RECORDS_MAX = 2 ** 18;

/**
 * Reads the state of a directory; see the head of the file. Throws `DiskError` only where the directory itself
 * can't be listed.
 */
export async function recover(disk: Disk): Promise<Recovered> {
  const { all, foreign, bytes } = await readHeaders(disk);
  let checkpoint = await readCheckpoint(disk);
  const epochs = new Set(all.map((segment) => segment.epoch));
  if (checkpoint !== undefined && !epochs.has(checkpoint.epoch)) {
    const known = all.some((segment) => segment.epoch !== undefined);
    if (known) checkpoint = undefined;
  }
  const newest = all.findLast((segment) => segment.epoch !== undefined);
  const epoch = all.length === 0 ? undefined : checkpoint?.epoch ?? newest?.epoch;
  const segments: FoundSegment[] = [];
  for (const { epoch: own, ...segment } of all) {
    if (own === undefined || own === epoch) segments.push(segment);
    else foreign.push(segment.name);
  }
  const highAcked = checkpoint?.highAcked ?? 0;
  const lastTurn = Math.max(0, ...all.map(({ turn }) => turn));
  if (epoch === undefined || segments.length === 0) {
    const gaps = new GapList();
    return {
      epoch: undefined,
      checkpoint,
      segments: [],
      lastTurn,
      lastSeq: 0,
      highAcked: 0,
      gaps,
      tailEnd: 0,
      tailShapes: undefined,
      tornBytes: 0,
      bytes,
      foreign: [...foreign, ...segments.map((segment) => segment.name)],
    };
  }
  const { tailEnd, tailShapes } = await findEnds(disk, segments);
  const newestSegment = segments.at(-1)!;
  // Numbers that it may hold must not be given again; reading tells which of them are lost.
  if (newestSegment.unreadable) {
    newestSegment.end = newestSegment.base - 1 + recordsIn(newestSegment);
  }
  const gaps = findGaps(segments, highAcked);
  const lastSeq = Math.max(
    ...segments.map((segment) => Math.max(segment.end, segment.prev)),
    // A checkpoint above everything found: what held it was lost.
    highAcked,
    checkpoint?.lastSeq ?? 0,
  );
  const held = segments.reduce((last, segment) => Math.max(last, segment.end), 0);
  if (lastSeq > Math.max(held, highAcked)) {
    gaps.add(
      Math.max(held, highAcked) + 1,
      lastSeq,
      lossOf(newestSegment.reason),
      mostOf(newestSegment),
    );
  }
  const tornBytes = newestSegment.unreadable ? 0 : Math.max(0, newestSegment.bytes - tailEnd);
  return {
    epoch,
    checkpoint,
    segments,
    lastTurn,
    lastSeq,
    highAcked,
    gaps,
    tailEnd,
    tailShapes,
    tornBytes,
    bytes,
    foreign,
  };
}

/** Most records that a file of that size can hold. */
function recordsIn({ bytes }: FoundSegment): number {
  return bytes === 0 ? UNREADABLE_RECORDS_MAX : Math.ceil(bytes / RECORD_OVERHEAD_BYTES);
}

/**
 * Throws where a directory that could not be read before holds a log now: it can be used after the next start.
 * Throws `DiskError` where it still can't be read.
 */
export async function demandNoLog(disk: Disk): Promise<void> {
  const { segments } = await recover(disk);
  if (segments.length > 0) throw new Error("it holds an older log: restart the node to use it");
}

async function readHeaders(disk: Disk): Promise<{
  all: (FoundSegment & { epoch: string | undefined })[];
  foreign: string[];
  bytes: number;
}> {
  const all: (FoundSegment & { epoch: string | undefined })[] = [];
  const foreign: string[] = [];
  let bytes = 0;
  for (const name of await disk.list()) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined && name !== CHECKPOINT_NAME) foreign.push(name);
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    let size = 0, count = 0, unreadable = false;
    let file: DiskFile | undefined;
    try {
      size = await disk.sizeOf(name);
      file = await disk.open(name, false);
      if (parsed !== undefined) count = await file.readAt(0, head);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      unreadable = true;
    } finally {
      file?.close();
    }
    if (name !== CHECKPOINT_NAME) bytes += size;
    if (parsed === undefined) continue;
    const header = decodeSegmentHeader(head.subarray(0, count));
    const trusted = header !== undefined;
    if (trusted && header.base !== parsed.base) {
      foreign.push(name);
      continue;
    }
    all.push({
      name,
      turn: parsed.turn,
      base: parsed.base,
      prev: trusted ? header.prev : parsed.base - 1,
      reason: trusted ? header.reason : "none",
      most: trusted ? header.most : 0,
      epoch: trusted ? header.epoch : undefined,
      end: parsed.base - 1,
      bytes: size,
      headerDamaged: !trusted,
      unreadable,
    });
  }
  all.sort((a, b) => a.turn - b.turn);
  return { all, foreign, bytes };
}

/** Sets each segment's end; returns where the newest one's whole records end, and the shapes noted in it. */
async function findEnds(
  disk: Disk,
  segments: FoundSegment[],
): Promise<Pick<Recovered, "tailEnd" | "tailShapes">> {
  let tailEnd = 0, tailShapes: readonly string[] | undefined;
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1];
    const inOrder = next !== undefined && next.turn === segment.turn + 1 && !next.headerDamaged;
    if (inOrder && next.prev >= segment.base - 1) {
      segment.end = next.prev;
      continue;
    }
    const found = await readEnd(disk, segment);
    segment.end = Math.max(segment.base - 1, found.end);
    if (found.unreadable) segment.unreadable = true;
    tailEnd = found.goodEnd;
    tailShapes = found.shapes;
  }
  let rewrittenFrom = Infinity;
  for (const segment of segments.toReversed()) {
    segment.end = Math.min(segment.end, rewrittenFrom - 1);
    rewrittenFrom = Math.min(rewrittenFrom, segment.base);
  }
  return { tailEnd, tailShapes };
}

/** The last seq of a segment, read as far as it can be. */
async function readEnd(
  disk: Disk,
  segment: FoundSegment,
): Promise<
  { end: number; goodEnd: number; shapes: readonly string[] | undefined; unreadable: boolean }
> {
  let end = 0;
  let file: DiskFile;
  try {
    file = await disk.open(segment.name, false);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return { end, goodEnd: segment.bytes, shapes: undefined, unreadable: true };
  }
  try {
    const reader = new SegmentReader(file, segment.base, { tolerant: true });
    for (let row = await reader.nextRow(); row; row = await reader.nextRow()) end = row.seq;
    const { goodEnd, damaged, unreadable } = reader;
    const shapes = damaged || unreadable ? undefined : reader.shapes;
    return { end, goodEnd, shapes, unreadable };
  } finally {
    file.close();
  }
}

/** Holes between the segments, above `highAcked`. */
function findGaps(segments: readonly FoundSegment[], highAcked: number): GapList {
  const gaps = new GapList();
  let held = highAcked;
  // What was written again says nothing: its seqs are in later segments, which say what is lost before them.
  const last = segments.filter(({ base }, index) =>
    segments.slice(index + 1).every((later) => later.base > base)
  );
  for (const [index, segment] of last.entries()) {
    const hole = held + 1;
    if (segment.base > hole) {
      const before: LossReason = index === 0 ? "evicted" : "corrupt";
      gaps.add(hole, Math.min(segment.prev, segment.base - 1), before);
      gaps.add(
        Math.max(hole, segment.prev + 1),
        segment.base - 1,
        lossOf(segment.reason),
        mostOf(segment),
      );
    }
    held = Math.max(held, segment.end);
  }
  return gaps;
}

/** A fresh epoch from 8 random bytes. */
export function newEpoch(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
