/**
 * For tests that touch the real disk, network or processes. Plain `deno test` gives no permissions: it then
 * leaves them out by name; `deno task test` runs them.
 */

const NEEDED = ["read", "write", "net", "run", "env"] as const;

/** Whether this run may touch the real world. */
export const isAllowed: boolean = NEEDED.every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

/** As `Deno.test`, for a test that needs permissions. */
export function realTest(
  what: string | Deno.TestDefinition,
  run: Deno.TestDefinition["fn"] = () => {},
): void {
  const test = typeof what === "string" ? { name: what, fn: run } : what;
  Deno.test({
    ...test,
    name: isAllowed ? test.name : `${test.name} (needs permissions: deno task test)`,
    ignore: !isAllowed || test.ignore === true,
  });
}
