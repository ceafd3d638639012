/** Waiting for the signal to stop. Part of the executables. */

/** Exit status of a process that SIGINT or SIGTERM ended at once. */
const EXIT_FORCED = 130;

/** Resolves with the name of the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => {
        if (asked) Deno.exit(EXIT_FORCED);
        asked = true;
        resolve(signal);
      });
    }
  });
}
