/**
 * How much each node may have in flight. Nodes that replay share a total fairly, so that ten thousand of
 * them coming back together don't fall over one host; a node that is up to date needs little and gets it.
 * Pure.
 */
import { assert } from "../assert.ts";
import type { Credit } from "../protocol/message.ts";

/** Least that a node gets: enough to go on at 10 Hz over a slow link. */
const BYTES_MIN = 65_536;
/** Most that a node gets: more makes nothing faster. */
const BYTES_MAX = 4 * 1024 * 1024;
/** Records are counted with this size, so that small ones don't take more than their share of work. */
const BYTES_PER_RECORD = 256;

/** The credit of a node while `replaying` nodes share `bytesTotal`. Constant work. */
export function creditFor(bytesTotal: number, replaying: number): Credit {
  assert(replaying >= 0, `${replaying} nodes replay`);
  const share = Math.floor(bytesTotal / Math.max(1, replaying));
  const bytes = Math.min(BYTES_MAX, Math.max(BYTES_MIN, share));
  return { bytes, records: Math.floor(bytes / BYTES_PER_RECORD) };
}

/** Whether a change is worth telling. */
export function differsMuch(a: Credit, b: Credit): boolean {
  return a.bytes > 1.25 * b.bytes || b.bytes > 1.25 * a.bytes;
}
