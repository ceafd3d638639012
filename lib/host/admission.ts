/**
 * Who may come in: limits, the takeover of an older session, the ledger to go on from. Knows which session
 * speaks for which node.
 */
import { oneLine } from "../errors.ts";
import type { Encoding, ErrorCode, Hello, VersionedConfig } from "../protocol/message.ts";
import type { ConfigAuthority } from "./config_authority.ts";
import type { EventLog } from "./event_log.ts";
import type { Intake } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Ledgers } from "./ledgers.ts";
import type { Node, Registry } from "./registry.ts";
import type { SessionDriver } from "./session_driver.ts";

/** Whether a node is let in, and with what. */
export type Admitted =
  | {
    readonly ok: true;
    readonly ledger: Ledger;
    readonly node: Node;
    readonly config: VersionedConfig | undefined;
  }
  | {
    readonly ok: false;
    readonly code: ErrorCode;
    readonly message: string;
    readonly retryAfterMs?: number;
  };

/** See {@linkcode Admission}. */
export interface AdmissionOptions {
  readonly registry: Registry;
  readonly ledgers: Ledgers;
  readonly intake: Intake;
  readonly configs: ConfigAuthority;
  readonly events: EventLog;
  /** A configuration must be set again, as a node knows versions that the host has forgotten. */
  readonly onHidden: (target: string, config: Record<string, unknown>) => void;
}

/** See the head of the file. */
export class Admission {
  #options: AdmissionOptions;
  /** The session that speaks for a node; a newer one takes its place. */
  #current = new Map<string, SessionDriver>();
  #byLedger = new Map<Ledger, SessionDriver>();
  /** Nodes that are being forgotten. */
  #closed = new Set<string>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** The sessions that speak for a node. */
  get sessions(): ReadonlyMap<string, SessionDriver> {
    return this.#current;
  }

  /** The session that writes to `ledger`, if there is one. */
  sessionOf(ledger: Ledger): SessionDriver | undefined {
    return this.#byLedger.get(ledger);
  }

  /**
   * Lets a node in: ends its older session, waits until that one's records are settled, and gives the state
   * to go on from; or says why not.
   */
  async admit(driver: SessionDriver, hello: Hello, encoding: Encoding): Promise<Admitted> {
    const { node_id, epoch } = hello;
    const { registry, ledgers, intake, configs } = this.#options;
    if (this.#closed.has(node_id)) {
      return refused("busy", "the host is forgetting this node", 1_000);
    }
    await this.#takeOver(driver, node_id);
    let found: Awaited<ReturnType<Ledgers["acquire"]>>;
    try {
      found = await ledgers.acquire(node_id, epoch);
    } catch (error) {
      return refused("store_failed", `store: ${oneLine(error)}`, 1_000);
    }
    if (found === undefined) {
      this.#tell("too_many_epochs", node_id, { epoch });
      const message = "the host holds records of as many epochs of this node as it allows";
      return refused("busy", message, 60_000);
    }
    const { ledger, isNew } = found;
    driver.ledger = ledger;
    await intake.settled(ledger);
    if (this.#current.get(node_id) !== driver || driver.isClosed) {
      return refused("superseded", "a newer connection took over");
    }
    const known = registry.get(node_id);
    if (isNew && known !== undefined) {
      this.#tell("new_epoch", node_id, { epoch, before: known.epoch });
    }
    const isRestart = known !== undefined && known.boot_id !== hello.boot_id &&
      known.boot_id !== "";
    const hidden = configs.noteVersion(node_id, hello.cfg_version);
    const config = configs.desired(node_id);
    const { peer } = driver.connection;
    const node = registry.connected(hello, {
      peer,
      encoding,
      highAcked: ledger.highAcked,
      configVersion: config?.cfg_version ?? 0,
    });
    this.#byLedger.set(ledger, driver);
    if (hidden !== undefined) {
      this.#tell("config_ahead", node_id, { cfg_version: hello.cfg_version });
      this.#options.onHidden(hidden.target, { ...hidden.config });
    }
    this.#tell(isRestart ? "restarted" : "connected", node_id, {
      peer,
      version: hello.version,
      encoding,
      backlog: node.backlog,
    });
    return { ok: true, ledger, node, config };
  }

  /** A session has ended. */
  ended(driver: SessionDriver): void {
    const { node, ledger } = driver;
    if (ledger !== undefined) {
      if (this.#byLedger.get(ledger) === driver) this.#byLedger.delete(ledger);
      this.#options.ledgers.release(ledger);
    }
    const nodeId = driver.nodeId;
    if (nodeId === undefined || this.#current.get(nodeId) !== driver) return;
    this.#current.delete(nodeId);
    if (node === undefined) return;
    this.#options.registry.disconnected(node);
    this.#tell("disconnected", nodeId, { high_acked: node.high_acked });
  }

  /** Runs `work` while `nodeId` may not come in. Rejects with one line where it is connected. */
  async whileClosed(nodeId: string, work: () => Promise<void>): Promise<void> {
    if (this.#current.has(nodeId)) {
      throw new Error(`${nodeId} is connected: stop it before it is forgotten`);
    }
    if (this.#closed.has(nodeId)) throw new Error(`${nodeId} is being forgotten already`);
    this.#closed.add(nodeId);
    try {
      await work();
    } finally {
      this.#closed.delete(nodeId);
    }
  }

  async #takeOver(driver: SessionDriver, nodeId: string): Promise<void> {
    const older = this.#current.get(nodeId);
    this.#current.set(nodeId, driver);
    if (older === undefined) return;
    older.refuse("superseded", "a newer connection of this node_id took over", 5_000);
    await older.ended;
    const isDuplicate = this.#options.registry.tookOver(nodeId);
    this.#tell(isDuplicate ? "duplicate_id" : "superseded", nodeId, {
      by: driver.connection.peer,
      from: older.connection.peer,
    });
  }

  #tell(kind: string, nodeId: string, detail: Record<string, unknown>): void {
    this.#options.events.add(kind, nodeId, detail);
  }
}

function refused(code: ErrorCode, message: string, retryAfterMs?: number): Admitted {
  return { ok: false, code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
