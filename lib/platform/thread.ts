/// <reference lib="deno.worker" />
/**
 * Calls into a thread: requests go in order and are answered in order. Both ends are here; neither knows
 * what is called.
 */
import { oneLine } from "../errors.ts";

/** What a thread can be asked, by name. */
// deno-lint-ignore no-explicit-any
export type Calls = Record<string, (...args: any[]) => unknown>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}
type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string; readonly kind: string };

/** A call failed inside the thread, or the thread has ended (`kind` is then `ended`). */
export class ThreadError extends Error {
  override readonly name = "ThreadError";
  /** What the thread said of the failure. */
  readonly kind: string;
  constructor(message: string, kind: string) {
    super(message);
    this.kind = kind;
  }
}

/** The caller's end. */
export class Thread<T extends Calls> {
  #worker: Worker;
  #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (e: Error) => void }>();
  #nextId = 1;
  #ended: string | undefined;

  /**
   * Starts the module at `url` as a thread. `onEnded` hears of an end that was not asked for: all calls that
   * wait, and all later ones, are rejected then.
   */
  constructor(url: URL, onEnded: (reason: string) => void = () => {}) {
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new ThreadError(data.error, data.kind));
      else waiting?.resolve(data.result);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      if (this.#ended !== undefined) return;
      this.#end(oneLine(event.message));
      onEnded(oneLine(event.message));
    };
  }

  /** Calls that are not answered yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `name`; rejects with {@linkcode ThreadError}. */
  call<N extends keyof T & string>(
    name: N,
    args: Parameters<T[N]>,
    transfer: Transferable[] = [],
  ): Promise<ReturnType<T[N]>> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#error());
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      try {
        this.#worker.postMessage({ id, name, args } satisfies Request, transfer);
      } catch (error) {
        this.#waiting.delete(id);
        reject(new ThreadError(oneLine(error), "error"));
      }
    });
  }

  /** Ends the thread; what waits is rejected. */
  end(reason = "it was ended"): void {
    this.#end(reason);
    this.#worker.terminate();
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#error());
    this.#waiting.clear();
  }

  #error(): ThreadError {
    return new ThreadError(`the thread has ended: ${this.#ended}`, "ended");
  }
}

/**
 * The thread's end: answers each request with what the function of its name returns. `kindOf` says of an error
 * what the caller must know beside its text; `after` runs once a request was answered, before the next.
 */
export function serveCalls(
  calls: Calls,
  kindOf: (error: unknown) => string = () => "error",
  after: (name: string) => void = () => {},
): void {
  self.onmessage = ({ data: { id, name, args } }: MessageEvent<Request>) => {
    try {
      if (!Object.hasOwn(calls, name)) throw new TypeError(`there is no call "${name}"`);
      self.postMessage({ id, result: calls[name]!(...args) } satisfies Answer);
    } catch (error) {
      self.postMessage({ id, error: oneLine(error), kind: kindOf(error) } satisfies Answer);
    }
    after(name);
  };
}
