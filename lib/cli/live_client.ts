/**
 * The host's HTTP API as the terminal views use it: JSON, and server-sent events that go on over restarts of
 * the host. Part of the executables.
 */
import { oneLine } from "../errors.ts";
import { clean } from "./terminal_text.ts";

/** Where a host listens by default. */
export const DEFAULT_URL = "http://127.0.0.1:7480";
/** The environment variable with the token that the host asks for. */
const TOKEN_NAME = "HOLDFAST_HTTP_TOKEN";
/** The environment variable with the PEM file of the authority of the host's certificate. */
const CA_NAME = "HOLDFAST_TLS_CA";
/** Those with the files of what to show to a host that asks for certificates. */
const CERT_NAME = "HOLDFAST_TLS_CERT", KEY_NAME = "HOLDFAST_TLS_KEY";
/** Most characters of one event; ten thousand nodes are about 10 million. */
const EVENT_CHARS_MAX = 64_000_000;
/** The host sends something each second; a stream that is silent for longer is dead. */
const SILENCE_MS = 10_000;
const REQUEST_MS = 10_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000] as const;

/** One server-sent event. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Server-sent events from text that may be split anywhere. Throws where one is too long. */
export class EventParser {
  #pieces: string[] = [];
  #chars = 0;
  #event = "";
  #data: string[] = [];
  #endedWithCr = false;

  /** Takes in text; the events that are complete now. */
  push(text: string): ServerEvent[] {
    // A line end may be CR LF, and the two may come apart.
    const rest = this.#endedWithCr && text.startsWith("\n") ? text.slice(1) : text;
    if (text === "") return [];
    this.#endedWithCr = text.endsWith("\r");
    this.#chars += rest.length;
    if (this.#chars > EVENT_CHARS_MAX) throw new Error("an event is too long");
    const lines = rest.split(/\r\n|\n|\r/);
    if (lines.length === 1) {
      this.#pieces.push(rest);
      return [];
    }
    const found: ServerEvent[] = [];
    lines[0] = this.#pieces.join("") + lines[0];
    this.#pieces = [lines.pop()!];
    for (const line of lines) {
      const event = this.#line(line);
      if (event !== undefined) found.push(event);
    }
    return found;
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") {
      const event = { event: this.#event || "message", data: this.#data.join("\n") };
      const isEmpty = this.#data.length === 0;
      this.#event = "";
      this.#data = [];
      this.#chars = 0;
      return isEmpty ? undefined : event;
    }
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
    if (name === "event") this.#event = value ?? "";
    else if (name === "data") this.#data.push(value ?? "");
    return undefined;
  }
}

/** What an event's data say. Throws {@linkcode ApiError} where they can't be read. */
export function dataOf({ event, data }: ServerEvent): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new ApiError(`the host sends "${clean(event)}" events that can't be read`);
  }
}

/** The host can't be asked, with a line that says why and what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";
}

/** Adds what the views need to a URL as people type it. Throws {@linkcode ApiError}. */
export function baseUrl(given: string): string {
  const text = given.includes("://") ? given : `http://${given}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new ApiError(
      `"${clean(given)}" is not a URL: give the host's http address as --url ${DEFAULT_URL}`,
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/** Waits; resolves early when `signal` aborts. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** See the head of the file. */
export class HostApi {
  readonly url: string;
  #headers: Record<string, string>;
  #client: Deno.HttpClient | undefined;

  /** Throws {@linkcode ApiError} for what is no URL. */
  constructor(url: string, token: string = Deno.env.get(TOKEN_NAME) ?? "") {
    this.url = baseUrl(url);
    this.#headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  }

  /** What a path answers. Rejects with {@linkcode ApiError}. */
  async json(path: string): Promise<unknown> {
    const response = await this.#get(path, AbortSignal.timeout(REQUEST_MS));
    try {
      return await response.json();
    } catch {
      throw new ApiError(`${this.url}${path} answers no JSON: is that a Holdfast host?`);
    }
  }

  /** Deletes what a path names; what the host answers. Rejects with {@linkcode ApiError}. */
  async delete(path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(REQUEST_MS);
    const response = await this.#request(path, signal, {
      method: "DELETE",
      headers: { ...this.#headers, "content-type": "application/json" },
    });
    return await response.json();
  }

  /** The events of one connection; rejects with {@linkcode ApiError} where it fails or falls silent. */
  async *live(node: string | undefined, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const path = node === undefined ? "/api/live" : `/api/live?node=${encodeURIComponent(node)}`;
    const stop = new AbortController();
    const ended = () => stop.abort();
    signal.addEventListener("abort", ended);
    if (signal.aborted) ended();
    let timer = setTimeout(ended, SILENCE_MS);
    try {
      const response = await this.#get(path, stop.signal);
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        throw new ApiError(`${this.url}${path} is no stream of events: is that a Holdfast host?`);
      }
      const parser = new EventParser();
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        clearTimeout(timer);
        timer = setTimeout(ended, SILENCE_MS);
        yield* parser.push(decoder.decode(chunk, { stream: true }));
      }
    } catch (error) {
      if (signal.aborted || error instanceof ApiError) throw error;
      const reason = stop.signal.aborted ? `silent for ${SILENCE_MS / 1_000} s` : oneLine(error);
      throw new ApiError(`the connection broke: ${reason}`);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", ended);
      stop.abort();
    }
  }

  #get(path: string, signal: AbortSignal): Promise<Response> {
    return this.#request(path, signal, { headers: this.#headers });
  }

  async #request(path: string, signal: AbortSignal, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      const client = this.#client ??= makeClient();
      response = await fetch(this.url + path, { ...init, redirect: "error", signal, client });
    } catch (error) {
      throw new ApiError(
        `no host answers on ${this.url} (${reasonOf(error)}): start it, or name another with --url`,
      );
    }
    if (response.ok) return response;
    if (response.status === 409) {
      const { error } = await response.json().catch(() => ({}));
      throw new ApiError(oneLine(error ?? "the host refuses"));
    }
    await response.body?.cancel();
    if (response.status === 401 || response.status === 403) {
      throw new ApiError(
        `${this.url} refuses to answer (${response.status}): set ${TOKEN_NAME} to a token that may, see host token --help`,
      );
    }
    const hint = response.status === 404 ? ": is it a Holdfast host of this version?" : "";
    throw new ApiError(`${this.url}${path} answers ${response.status}${hint}`);
  }
}

/** What trusts the authorities in a file, or the usual ones, and shows a certificate where one is named. Throws one line. */
function makeClient(): Deno.HttpClient {
  const textOf = (name: string) => {
    const path = Deno.env.get(name) ?? "";
    return path === "" ? undefined : Deno.readTextFileSync(path);
  };
  const ca = textOf(CA_NAME), cert = textOf(CERT_NAME), key = textOf(KEY_NAME);
  return Deno.createHttpClient({
    ...(ca === undefined ? {} : { caCerts: [ca] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  });
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const text = oneLine(cause ?? error);
  if (/certificate|UnknownIssuer/i.test(text)) return `its certificate: set ${CA_NAME}`;
  if (/refused/i.test(text)) return "connection refused";
  if (/timed? ?out|aborted/i.test(text)) return "no answer in time";
  if (/dns|resolve|lookup/i.test(text)) return "unknown name";
  return clean(text.split(": ").at(-1)!);
}

/** What a {@linkcode followed} work tells of its connection. */
export interface LinkWatcher {
  lost(reason: string): void;
  back(): void;
}

/**
 * Runs `work` over and over until `signal` aborts, with growing waits while it fails. `work` calls `alive`
 * at each sign of life. The first run's failure rejects if there was no sign of life before.
 */
export async function followed(
  work: (alive: () => void) => Promise<void>,
  watcher: LinkWatcher,
  signal: AbortSignal,
  pause: (ms: number, signal: AbortSignal) => Promise<void> = wait,
): Promise<void> {
  let everAlive = false, isLost = false, failures = 0;
  const alive = () => {
    everAlive = true;
    failures = 0;
    if (isLost) watcher.back();
    isLost = false;
  };
  while (!signal.aborted) {
    let reason = "the host closed the connection";
    try {
      await work(alive);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError) || !everAlive) throw error;
      reason = error.message;
    }
    if (signal.aborted) return;
    if (!isLost) watcher.lost(reason);
    isLost = true;
    await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!, signal);
  }
}
