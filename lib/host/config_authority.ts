/**
 * What configuration each node should have: one for all, and one for single nodes; of the two the newer one
 * counts. Versions only go up, over all targets together, so that a node can compare any two. Durable before
 * it is told to anyone.
 */
import { assert } from "../assert.ts";
import { CFG_VERSION_JUMP_MAX, CFG_VERSION_MAX } from "../limits.ts";
import type { VersionedConfig } from "../protocol/message.ts";
import type { ConfigRow, Store } from "../store/store.ts";

/** The target that means every node. */
export const ALL_NODES = "*";

/** See the head of the file. */
export class ConfigAuthority {
  #store: Store;
  #byTarget = new Map<string, ConfigRow>();
  #version: number;
  /** Targets whose configuration was set since this start. */
  #setHere = new Set<string>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
    for (const row of store.state.configs) this.#byTarget.set(row.target, row);
    this.#version = Math.max(0, ...store.state.configs.map((row) => row.cfg_version));
  }

  /**
   * A node reports a version: the next one given out will be above it. Where it is above what this host ever
   * gave, the host has forgotten versions, as when restored from a backup; what an operator has set since
   * is then hidden behind the forgotten one, and is returned, to be set again. A version far above is not
   * believed: nobody could give out versions for long after it.
   */
  noteVersion(nodeId: string, version: number): ConfigRow | undefined {
    if (version <= this.#version || version > this.#version + CFG_VERSION_JUMP_MAX) {
      return undefined;
    }
    this.#version = version;
    const row = this.#row(nodeId);
    return row !== undefined && this.#setHere.has(row.target) ? row : undefined;
  }

  /** The configuration that `nodeId` should have, if there is one. */
  desired(nodeId: string): VersionedConfig | undefined {
    const row = this.#row(nodeId);
    return row && { cfg_version: row.cfg_version, config: { ...row.config } };
  }

  #row(nodeId: string): ConfigRow | undefined {
    const own = this.#byTarget.get(nodeId);
    const all = this.#byTarget.get(ALL_NODES);
    return own === undefined || (all !== undefined && all.cfg_version > own.cfg_version)
      ? all
      : own;
  }

  /** Sets the configuration of a node or of all; durable when it resolves with its version. */
  set(target: string, config: Record<string, unknown>, atWallMs: number): Promise<ConfigRow> {
    const write = async () => {
      assert(this.#version < CFG_VERSION_MAX, "there are versions left");
      const row = { target, cfg_version: ++this.#version, config, at_wall_ms: atWallMs };
      await this.#store.putConfig(row);
      this.#byTarget.set(target, row);
      this.#setHere.add(target);
      return row;
    };
    const result = this.#writing.then(write);
    this.#writing = result.catch(() => {});
    return result;
  }
}
