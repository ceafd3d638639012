/** Makes a failing run small: leaves out steps, then minutes, then nodes, as long as it fails in the same way. */
import { type Outcome, runSeed } from "./run.ts";
import type { StoryOptions } from "./story.ts";

/** A run that fails, and how large it is. */
export interface Failing {
  readonly outcome: Outcome;
  readonly options: StoryOptions;
}

const RUNS_MAX = 200;

/** What makes two failures the same: the words of the message without its numbers and names. */
function kindOf(error: string): string {
  return error.split("\n")[0]!.replace(/^[^:]*: /, "").replace(/[^a-z ]+/g, "");
}

/** The smallest run found that fails like `failing`. Takes at most 200 runs. */
export async function shrink(failing: Failing): Promise<Failing> {
  const kind = kindOf(failing.outcome.error!);
  let best = failing;
  let runs = 0;
  const tries = async (story: Outcome["story"], options: StoryOptions): Promise<boolean> => {
    if (runs++ >= RUNS_MAX) return false;
    const outcome = await runSeed(best.outcome.seed, options, story);
    if (outcome.error === undefined || kindOf(outcome.error) !== kind) return false;
    best = { outcome, options };
    return true;
  };
  const lastMs = best.outcome.story.at(-1)?.atMs ?? 0;
  await tries(best.outcome.story, { ...best.options, minutes: lastMs / 60_000 });
  for (
    let size = Math.ceil(best.outcome.story.length / 2);
    size >= 1;
    size = Math.floor(size / 2)
  ) {
    for (let at = 0; at < best.outcome.story.length;) {
      const { story } = best.outcome;
      const fewer = story.filter((_, index) => index < at || index >= at + size);
      if (!await tries(fewer, best.options)) at += size;
    }
  }
  const nodes = 1 + Math.max(0, ...best.outcome.story.map(({ device }) => device));
  if (nodes < best.options.nodes) await tries(best.outcome.story, { ...best.options, nodes });
  return best;
}
