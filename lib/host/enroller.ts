/**
 * Gives devices their certificates: for a one-time token, or for the certificate that a device has, whose key it keeps.
 * A certificate that has ended counts for a while longer, so that a device which was off for a year comes back.
 */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { invite, readEnrolmentToken } from "../identity/enrolment_token.ts";
import { type Issuing, signerOf } from "../identity/authorities.ts";
import {
  type Authority,
  fingerprintOf,
  keyOfRequest,
  readCertificate,
  sign,
} from "../identity/pki.ts";
import type { Clock, Random } from "../platform/platform.ts";
import type { Enroll, Enrolled } from "../protocol/enrolment.ts";
import type { ErrorCode } from "../protocol/message.ts";
import { isNodeId } from "../protocol/record.ts";
import type { CertificateRow, RenewedFrom, Store } from "../store/store.ts";

/** See {@linkcode Enroller}. */
export interface EnrollerOptions {
  readonly store: Pick<
    Store,
    | "takeEnrolment"
    | "putEnrolment"
    | "putCertificate"
    | "renewCertificate"
    | "addAudit"
  >;
  readonly clock: Clock;
  readonly random: Random;
  /** What to sign with, as it is now. */
  readonly issuing: () => Promise<Issuing>;
  /** Names of the host itself: a node that had one could pass for it. */
  readonly hostNames: readonly string[];
  /** How long a certificate counts. */
  readonly days: number;
  /** How long after its end it can still be renewed. */
  readonly lateDays: number;
}

/** What was signed, or why not. */
export type EnrolAnswer = Enrolled | { readonly code: ErrorCode; readonly message: string };

interface Made {
  readonly nodeId: string;
  readonly cert: string;
  readonly serial: string;
  readonly row: CertificateRow;
}

const DAY_MS = 86_400_000;
const RENEWALS_MAX = 8;
const log = getLogger(["holdfast", "pki"]);

/** See the head of the file. */
export class Enroller {
  #options: EnrollerOptions;
  #renewals = 0;

  constructor(options: EnrollerOptions) {
    this.#options = options;
  }

  /**
   * A one-time token for a node that is to come, good for so long. Rejects with a `RangeError` of one line where the
   * name is none.
   */
  async invite(nodeId: string, spanMs: number): Promise<string> {
    const { store, clock, random, issuing, hostNames } = this.#options;
    if (!isNodeId(nodeId)) {
      throw new RangeError(
        "node_id: expected the name of a node: letters, digits, '.', '_' or '-'",
      );
    }
    if (hostNames.includes(nodeId)) throw new RangeError("node_id: that is a name of the host");
    const span = { nowMs: clock.wallMs(), spanMs };
    const { shown } = await issuing();
    const { token, row } = invite(fingerprintOf(shown), nodeId, span, random);
    await store.putEnrolment(row);
    return token;
  }

  /** Answers a request from `peer`. Never rejects. */
  async answer(request: Enroll, peer: string): Promise<EnrolAnswer> {
    const { token, cert, csr } = request;
    try {
      const { trusted, cross, signer } = await this.#options.issuing();
      const told = { type: "enrolled", ca: trusted.join(""), ...(cross ? { cross } : {}) } as const;
      if (csr === undefined) return told;
      if (signer === undefined) {
        return refused("this host can't sign: the key of its authority is kept elsewhere");
      }
      const made = token === undefined
        ? await this.#renew(signer, trusted, cert ?? "", csr)
        : await this.#enroll(signer, token, csr);
      const { nodeId, serial } = made;
      const action = token === undefined ? "renew" : "enroll";
      log.info("{peer}: {action} {node}", { peer, action, node: nodeId });
      await this.#note(nodeId, peer, action, serial).catch((error) =>
        log.error("{action} {node} is missing in the audit trail: {reason}", {
          ...{ action, node: nodeId, reason: oneLine(error) },
        })
      );
      return { ...told, cert: made.cert };
    } catch (error) {
      log.warn("{peer}: no certificate: {reason}", { peer, reason: oneLine(error) });
      return refused(oneLine(error));
    }
  }

  /** Uses a token up, unless nothing can be signed for it. Throws one line. */
  async #enroll(signer: Authority, token: string, csr: string): Promise<Made> {
    const { store, clock } = this.#options;
    const read = readEnrolmentToken(token);
    const row = read === undefined ? undefined : await store.takeEnrolment(read.hash);
    if (row === undefined) throw new Error("this token was used, or is none of this host");
    if (row.expires_wall_ms < clock.wallMs()) throw new Error("this token has expired");
    try {
      const made = await this.#sign(signer, csr, row.node_id);
      await store.putCertificate(made.row);
      return made;
    } catch (error) {
      await store.putEnrolment(row);
      throw error;
    }
  }

  /** Anybody may ask for that, and to look at what they show takes a while: few at once. Throws one line. */
  async #renew(
    signer: Authority,
    trusted: readonly string[],
    cert: string,
    csr: string,
  ): Promise<Made> {
    if (this.#renewals >= RENEWALS_MAX) throw new Error("too many ask at once: try again later");
    this.#renewals++;
    try {
      const { nodeId, from } = await this.#ownerOf(trusted, cert, csr);
      const made = await this.#sign(signer, csr, nodeId);
      const isKept = await this.#options.store.renewCertificate(made.row, from);
      if (!isKept) {
        throw new Error(
          from.isKnown
            ? "the certificate is revoked, or not known here: enroll anew"
            : "the certificate is revoked",
        );
      }
      return made;
    } finally {
      this.#renewals--;
    }
  }

  /** Whose certificate it is that is shown with a request of the same key. Throws one line. */
  async #ownerOf(
    trusted: readonly string[],
    cert: string,
    csr: string,
  ): Promise<{ nodeId: string; from: RenewedFrom }> {
    const { clock, lateDays, hostNames } = this.#options;
    const { serial, names: [nodeId = ""], notBeforeMs, notAfterMs, key } = readCertificate(cert);
    const signer = await signerOf(cert, trusted);
    if (signer === undefined) throw new Error("the certificate is of another authority");
    if (key !== await keyOfRequest(csr)) throw new Error("a renewal keeps its key");
    if (!isNodeId(nodeId)) throw new Error("the certificate names no node");
    const nowMs = clock.wallMs();
    if (notAfterMs + lateDays * DAY_MS < nowMs) {
      throw new Error(`the certificate ended more than ${lateDays} days ago: enroll anew`);
    }
    if (hostNames.includes(nodeId)) throw new Error("the certificate is for a name of the host");
    const isNewest = signer === trusted[0];
    if (isNewest && notAfterMs - nowMs > (notAfterMs - notBeforeMs) / 2) {
      throw new Error("the certificate counts for long: renew it when less than half is left");
    }
    // Who has the former one's key can make certificates of any time: only those that are known count.
    return { nodeId, from: { serial, fromMs: Math.min(notBeforeMs, nowMs), isKnown: !isNewest } };
  }

  async #sign(authority: Authority, csr: string, nodeId: string): Promise<Made> {
    const { clock, random, days } = this.#options;
    const nowMs = clock.wallMs();
    const wanted = { names: [nodeId], kind: "node", nowMs, days } as const;
    const cert = await sign(authority, csr, wanted, random);
    const { serial, notAfterMs } = readCertificate(cert);
    const issued = { serial, node_id: nodeId, issued_wall_ms: nowMs };
    return {
      cert,
      serial,
      nodeId,
      row: { ...issued, not_after_ms: notAfterMs, revoked_wall_ms: null },
    };
  }

  #note(nodeId: string, peer: string, action: string, serial: string): Promise<void> {
    const { store, clock } = this.#options;
    const who = { who: nodeId, role: "node", address: peer };
    return store.addAudit({
      at_wall_ms: clock.wallMs(),
      ...who,
      ...{ action, target: nodeId, after: { serial } },
    });
  }
}

function refused(message: string): EnrolAnswer {
  return { code: "forbidden", message };
}
