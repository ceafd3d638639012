/**
 * A {@linkcode Random} that repeats itself for the same seed: sfc32 by Chris Doty-Humphrey (PractRand), a
 * small generator of good statistical quality. Not for secrets.
 */
import type { Random } from "./platform.ts";

/** `seed` is a whole number from 0 to 2^32 - 1. */
export function seededRandom(seed: number): Random {
  let a = 0, b = seed | 0, c = 0x9e3779b9 | 0, counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return {
    below: (n) => Math.floor((next() / 2 ** 32) * n),
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
  };
}
