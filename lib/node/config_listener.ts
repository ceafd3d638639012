/**
 * The configuration in force: checks what the host sends, keeps it over a restart, and hands it over for one
 * tick boundary. A bad one changes nothing and says why; an older or equal one changes nothing.
 */
import { getLogger } from "@logtape/logtape";
import { remoteProblem } from "../config/allow_remote.ts";
import type { NodeSettings } from "../config/node_settings.ts";
import { checkRuntimeConfig, problemsText } from "../config/runtime.ts";
import { wrongIn } from "../config/spec.ts";
import { oneLine, printable } from "../errors.ts";
import { type Disk, DiskError } from "../platform/platform.ts";
import {
  type ConfigApplied,
  isVersionedConfig,
  type VersionedConfig,
} from "../protocol/message.ts";

/** Name of the file that keeps the applied configuration. */
export const CONFIG_NAME = "config.json";
const TEMPORARY_NAME = "config.json.new";
const FILE_BYTES_MAX = 131_072;

const log = getLogger(["holdfast", "config"]);

/** Swaps settings in at the next tick boundary; rejects with one line where they can't be used. */
export type ApplySettings = (settings: NodeSettings, cfgVersion: number) => Promise<void>;

/** See the head of the file. */
export class ConfigListener {
  #disk: Disk;
  #base: NodeSettings;
  #version = 0;
  #config: Record<string, unknown> = {};
  #apply: ApplySettings | undefined;
  #lastError: string | undefined;
  #working: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, base: NodeSettings) {
    this.#disk = disk;
    this.#base = base;
  }

  /** Loads what was applied last. A missing file is normal; a damaged one is reported and ignored. */
  static async load(disk: Disk, base: NodeSettings): Promise<ConfigListener> {
    const listener = new ConfigListener(disk, base);
    try {
      await listener.#load(disk);
    } catch (error) {
      const isMissing = error instanceof DiskError && error.kind === "gone";
      if (!isMissing) {
        log.error("{name} can't be used, going on with the local settings: {reason}", {
          name: CONFIG_NAME,
          reason: oneLine(error),
        });
      }
    }
    return listener;
  }

  /** Version in force; 0 before the first. */
  get version(): number {
    return this.#version;
  }
  /** Why the last configuration that the host sent was refused; `undefined` once one is in force. */
  get lastError(): string | undefined {
    return this.#lastError;
  }
  /** What the host wanted changed. */
  get config(): Readonly<Record<string, unknown>> {
    return this.#config;
  }
  /** The local settings with what the host wanted changed. */
  get settings(): NodeSettings {
    return { ...this.#base, ...this.#valuesOf(this.#config) };
  }

  /** Says how settings are swapped in. */
  onApply(apply: ApplySettings): void {
    this.#apply = apply;
  }

  /** Takes in a configuration of the host; what became of it. Calls take effect one after the other. */
  receive(received: VersionedConfig): Promise<Omit<ConfigApplied, "type">> {
    return this.#inTurn(() => this.#receive(received));
  }

  /** Local settings were read anew: those that can change at run time do, where the host wants nothing else. */
  reload(base: NodeSettings): Promise<void> {
    return this.#inTurn(async () => {
      const before = { base: this.#base, version: this.#version, config: this.#config };
      this.#base = base;
      const forbidden = wrongIn(() => this.#valuesOf(this.#config));
      if (forbidden !== undefined) {
        this.#version = 0;
        this.#config = {};
      }
      try {
        await this.#apply?.(this.settings, this.#version);
      } catch (error) {
        this.#base = before.base;
        this.#version = before.version;
        this.#config = before.config;
        throw error;
      }
      if (forbidden === undefined) return;
      this.#lastError = forbidden;
      log.warn("configuration {version} is no longer in force: {reason}", {
        version: before.version,
        reason: forbidden,
      });
    });
  }

  /** What a configuration of the host sets on this device. Throws one line where it can't be used or isn't allowed. */
  #valuesOf(config: Readonly<Record<string, unknown>>): Partial<NodeSettings> {
    const checked = checkRuntimeConfig(config);
    if (!checked.ok) throw new Error(problemsText(checked.problems));
    const forbidden = remoteProblem(checked.values, this.#base.allow_remote);
    if (forbidden !== undefined) throw new Error(forbidden);
    return checked.values;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#working.then(work);
    this.#working = result.catch(() => {});
    return result;
  }

  async #receive({ cfg_version, config }: VersionedConfig): Promise<Omit<ConfigApplied, "type">> {
    const refuse = (error: string) => {
      log.warn("configuration {cfg_version} refused: {error}", {
        cfg_version,
        error: printable(error, 1_000),
      });
      if (cfg_version > this.#version) this.#lastError = printable(error, 1_000);
      return {
        cfg_version,
        cfg_version_applied: this.#version,
        ok: false,
        error: error.slice(0, 8_000),
      };
    };
    if (cfg_version === this.#version) {
      return { cfg_version, cfg_version_applied: cfg_version, ok: true };
    }
    if (cfg_version < this.#version) return refuse(`version ${this.#version} is in force already`);
    let values: Partial<NodeSettings>;
    try {
      values = this.#valuesOf(config);
    } catch (error) {
      return refuse((error as Error).message);
    }
    try {
      await this.#apply?.({ ...this.#base, ...values }, cfg_version);
    } catch (error) {
      return refuse(oneLine(error));
    }
    this.#version = cfg_version;
    this.#config = config;
    this.#lastError = undefined;
    await this.#save();
    log.info("configuration {cfg_version} applied", { cfg_version });
    return { cfg_version, cfg_version_applied: cfg_version, ok: true };
  }

  /** Atomic: the file is the old one or the new one. A disk that fails costs the restart only. */
  async #save(): Promise<void> {
    const text = JSON.stringify({ cfg_version: this.#version, config: this.#config });
    try {
      await this.#disk.remove(TEMPORARY_NAME);
      const file = this.#disk.create(TEMPORARY_NAME);
      try {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) {
          const written = file.append(bytes.subarray(at));
          if (written === 0) throw new DiskError("full", "nothing could be written");
          at += written;
        }
        await file.sync();
      } finally {
        file.close();
      }
      await this.#disk.rename(TEMPORARY_NAME, CONFIG_NAME);
      await this.#disk.syncDir();
    } catch (error) {
      log.error("configuration {version} is in force but not saved: {reason}", {
        version: this.#version,
        reason: oneLine(error),
      });
    }
  }

  async #load(disk: Disk): Promise<void> {
    const file = await disk.open(CONFIG_NAME, false);
    try {
      const bytes = new Uint8Array(Math.min(file.size, FILE_BYTES_MAX));
      const count = await file.readAt(0, bytes);
      const saved = JSON.parse(new TextDecoder().decode(bytes.subarray(0, count)));
      if (!isVersionedConfig(saved)) throw new Error("it holds no configuration with a version");
      this.#valuesOf(saved.config);
      this.#version = saved.cfg_version;
      this.#config = saved.config;
    } finally {
      file.close();
    }
  }
}
