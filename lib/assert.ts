/** Assertions on our own code, on in production too. Never for input from a peer, a disk, a sensor or a user. */

/** Throws if `condition` is false: a mistake of ours, after which going on would do harm. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** For the end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unexpected ${JSON.stringify(value)}`);
}
