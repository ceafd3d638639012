/** Whether processes can be watched, and struck, at their system calls. */
import { isAllowed } from "../real.ts";

/** See the head of the file. */
export const hasStrace: boolean = isAllowed &&
  await new Deno.Command("strace", { args: ["-V"], stdout: "null" }).output().then(
    ({ success }) => success,
    () => false,
  );
