/** `host top`: the fleet on a terminal, worst nodes first, live. Part of the executables. */
import { dataOf, DEFAULT_URL, followed, HostApi } from "./live_client.ts";
import { keysOf, screenUpdate, type Size, TopView } from "./top_view.ts";
import { isScreen, painter, readViewArgs, writeOut } from "./view.ts";

const USAGE = `host top: the fleet at a glance, worst nodes first, live.

Usage: host top [--url ${DEFAULT_URL}]

Keys: q or Ctrl-C quits, s sorts by the next column, / filters by name or state (escape ends it),
      j k, arrows, page up and down, g and G scroll.
Where standard output is no terminal, one snapshot is printed.
HOLDFAST_HTTP_TOKEN is sent as bearer token where it is set. NO_COLOR is respected.`;

/** Another screen without a cursor, so that the old one is untouched. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE = "\x1b[?25h\x1b[?1049l";
/** More often than this the screen isn't drawn, however many events come. */
const FRAME_MS = 50;

/** Runs the subcommand. Rejects with an `ApiError` where no host answers. */
export async function topCommand(args: readonly string[]): Promise<void> {
  const { values } = readViewArgs("top", USAGE, args, []);
  const api = new HostApi(values.url);
  const view = new TopView(api.url);
  if (isScreen()) await new Screen(view).run(api);
  else await snapshot(api, view);
}

async function snapshot(api: HostApi, view: TopView): Promise<void> {
  const stop = new AbortController();
  for await (const event of api.live(undefined, stop.signal)) {
    view.take(event.event, dataOf(event));
    if (view.isComplete) break;
  }
  writeOut(view.snapshot().join("\n") + "\n");
}

/** The terminal while the view has it. Whatever ends the process gives it back. */
class Screen {
  #view: TopView;
  #shown: readonly string[] = [];
  #size: Size = { rows: 0, columns: 0 };
  #paint = painter();
  #stop = new AbortController();
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #isOpen = false;
  #close = () => this.#giveBack();

  constructor(view: TopView) {
    this.#view = view;
  }

  /** Shows the fleet until a key or a signal ends that. */
  async run(api: HostApi): Promise<void> {
    const quit = () => this.#stop.abort();
    const resize = () => this.#resize();
    const ends = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of ends) Deno.addSignalListener(signal, quit);
    Deno.addSignalListener("SIGWINCH", resize);
    try {
      await this.#follow(api);
    } finally {
      clearTimeout(this.#drawing);
      Deno.removeSignalListener("SIGWINCH", resize);
      for (const signal of ends) Deno.removeSignalListener(signal, quit);
      this.#giveBack();
    }
  }

  async #follow(api: HostApi): Promise<void> {
    const view = this.#view;
    const watcher = {
      lost: (reason: string) => {
        view.link(reason);
        this.#soon();
      },
      back: () => view.link(undefined),
    };
    await followed(
      async (alive) => {
        let isFirst = true;
        for await (const event of api.live(undefined, this.#stop.signal)) {
          alive();
          // The terminal is taken only once a host has answered: errors before it are plain lines.
          this.#take();
          // The first list of a stream is of all nodes: those of the stream before may be gone.
          if (isFirst && event.event === "nodes") {
            view.restart();
            isFirst = false;
          }
          view.take(event.event, dataOf(event));
          this.#soon();
        }
      },
      watcher,
      this.#stop.signal,
    );
  }

  #take(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    globalThis.addEventListener("unload", this.#close);
    globalThis.addEventListener("error", this.#close);
    globalThis.addEventListener("unhandledrejection", this.#close);
    writeOut(ENTER);
    if (Deno.stdin.isTerminal()) {
      Deno.stdin.setRaw(true);
      this.#readKeys();
    }
    this.#resize();
  }

  #giveBack(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    globalThis.removeEventListener("unload", this.#close);
    globalThis.removeEventListener("error", this.#close);
    globalThis.removeEventListener("unhandledrejection", this.#close);
    try {
      if (Deno.stdin.isTerminal()) Deno.stdin.setRaw(false);
    } catch {
      // The terminal is gone, and with it what could be given back.
    }
    writeOut(LEAVE);
  }

  /** Ends by itself with the terminal; otherwise it is left waiting for a key when the process exits. */
  async #readKeys(): Promise<void> {
    const bytes = new Uint8Array(1_024);
    const decoder = new TextDecoder();
    for (;;) {
      const count = await Deno.stdin.read(bytes).catch(() => null);
      if (count === null) return this.#stop.abort();
      const keys = keysOf(decoder.decode(bytes.subarray(0, count), { stream: true }));
      if (keys.some((key) => this.#view.press(key, this.#size))) return this.#stop.abort();
      this.#draw();
    }
  }

  #resize(): void {
    if (!this.#isOpen) return;
    const { rows, columns } = Deno.consoleSize();
    // Some terminals over serial lines don't know their size.
    this.#size = { rows: rows || 24, columns: columns || 80 };
    this.#shown = [];
    writeOut("\x1b[2J");
    this.#draw();
  }

  #soon(): void {
    this.#drawing ??= setTimeout(() => this.#draw(), FRAME_MS);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    if (!this.#isOpen) return;
    const lines = this.#view.screen(this.#size, this.#paint);
    const update = screenUpdate(this.#shown, lines);
    this.#shown = lines;
    if (update !== "") writeOut(update);
  }
}
