/** What the executables write. A reader that has gone away is never an error. Part of the executables. */

const encoder = new TextEncoder();

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch {
    // A closed pipe or a full disk behind it: the product goes on without its output.
  }
}

/** Prints a line to standard output. */
export function print(text: string): void {
  write(Deno.stdout, text + "\n");
}

/** Writes a log line, which ends with a newline already, to standard error. */
export function writeLog(line: string): void {
  write(Deno.stderr, line);
}

/** Prints one line to standard error and ends the process. */
export function fail(program: string, message: string, status: number = 1): never {
  write(Deno.stderr, `${program}: ${message}\n`);
  Deno.exit(status);
}
