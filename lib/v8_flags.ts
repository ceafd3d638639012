/**
 * How much memory the engine may take before it collects garbage. Its own defaults are made for browsers: a host
 * under load then takes twice the memory, to be 15 % faster. Executables have these inside; `deno.json` names
 * them for `deno task host`.
 */
export const HOST_V8_FLAGS = "--max-semi-space-size=4,--heap-growing-percent=30";
/** A node makes little that lasts: collecting often costs it less than memory does. */
export const NODE_V8_FLAGS = "--max-semi-space-size=1,--heap-growing-percent=30";
