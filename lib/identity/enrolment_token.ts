/**
 * One-time tokens with which a device gets its certificate. Pure.
 *
 * ```
 * token = "hfe_", fingerprint of the authority's certificate (SHA-256), "_", secret of 32 bytes, "_", node_id
 * ```
 * both in base64url, 43 characters each. The fingerprint tells the device whom it talks to before it shows the secret.
 */
import { Buffer } from "node:buffer";
import type { Random } from "../platform/platform.ts";
import { digestOf } from "./token.ts";

const FORM = /^hfe_([\w-]{43})_([\w-]{43})_([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

/** What a token says. */
export interface EnrolmentToken {
  readonly fingerprint: string;
  readonly nodeId: string;
  /** What the host keeps of it. */
  readonly hash: string;
}

/** What is kept of a token until it is used. */
export interface EnrolmentRow {
  /** Of the token, which isn't kept. */
  readonly hash: string;
  readonly node_id: string;
  readonly created_wall_ms: number;
  readonly expires_wall_ms: number;
}

/** A new token for that node, good for so long, and what is kept of it. */
export function invite(
  fingerprint: string,
  nodeId: string,
  { nowMs, spanMs }: { nowMs: number; spanMs: number },
  random: Pick<Random, "bytes">,
): { token: string; row: EnrolmentRow } {
  const token = makeEnrolmentToken(fingerprint, nodeId, random);
  const hash = hashOf(token);
  const row = { hash, node_id: nodeId, created_wall_ms: nowMs, expires_wall_ms: nowMs + spanMs };
  return { token, row };
}

/** A new token for that node. */
export function makeEnrolmentToken(
  fingerprint: string,
  nodeId: string,
  random: Pick<Random, "bytes">,
): string {
  const secret = Buffer.from(random.bytes(32)).toString("base64url");
  return `hfe_${fingerprint}_${secret}_${nodeId}`;
}

/** What a token says; `undefined` where the text is none. */
export function readEnrolmentToken(token: string): EnrolmentToken | undefined {
  const match = FORM.exec(token);
  if (match === null) return undefined;
  return { fingerprint: match[1]!, nodeId: match[3]!, hash: hashOf(token) };
}

function hashOf(token: string): string {
  return digestOf(token).toString("base64url");
}
