/**
 * Types of what is used of Deno's standard library. It comes from npm as plain JavaScript (`deno.json` maps the
 * names); where JSR can be reached the two lines of the map may point there, and this file goes.
 */
declare module "@std/assert" {
  export class AssertionError extends Error {}
  // deno-lint-ignore no-explicit-any
  type ErrorClass = new (...args: any[]) => Error;
  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertThrows(run: () => unknown, kind?: ErrorClass, includes?: string): Error;
  export function assertRejects(
    run: () => PromiseLike<unknown>,
    kind?: ErrorClass,
    includes?: string,
  ): Promise<Error>;
}
declare module "@std/cli/parse-args" {
  export interface ParseOptions {
    readonly boolean?: readonly string[];
    readonly string?: readonly string[];
    readonly collect?: readonly string[];
    readonly negatable?: readonly string[];
    readonly alias?: Readonly<Record<string, string>>;
    readonly default?: Readonly<Record<string, unknown>>;
    readonly unknown?: (arg: string, key?: string, value?: unknown) => boolean;
  }
  export function parseArgs(
    args: readonly string[],
    options?: ParseOptions,
  ): Record<string, unknown> & { readonly _: string[] };
}
