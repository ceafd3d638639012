/** What deploy/ has for Prometheus and Grafana: it is valid, and asks only for metrics that there are. */
import { assert, assertEquals } from "@std/assert";
import { HOST_METRICS, NODE_METRICS } from "../../lib/metrics.ts";
import { realTest } from "../real.ts";

const DEPLOY = new URL("../../deploy/", import.meta.url).pathname;
const DASHBOARDS = ["fleet", "node"];
const GRID_COLUMNS = 24;

interface Grid {
  x: number;
  y: number;
  w: number;
  h: number;
}
interface Panel {
  id: number;
  title: string;
  type: string;
  gridPos: Grid;
  targets?: { refId: string; expr: string }[];
  panels?: Panel[];
}
interface Dashboard {
  uid: string;
  schemaVersion: number;
  templating: { list: { name: string; type: string }[] };
  panels: Panel[];
}

function promtool(...args: string[]): { ok: boolean; text: string } {
  try {
    const { success, stdout, stderr } = new Deno.Command("promtool", { args }).outputSync();
    const decoder = new TextDecoder();
    return { ok: success, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    return { ok: false, text: String(error) };
  }
}
const hasPromtool = promtool("--version").ok;

/** Names of the series that the executables can give. */
const known = new Set<string>(
  [...Object.values(HOST_METRICS), ...Object.values(NODE_METRICS)].flatMap(({ name, type }) =>
    (type as string) === "histogram" ? ["bucket", "sum", "count"].map((s) => `${name}_${s}`) : name
  ),
);

function assertKnown(text: string): void {
  const names = new Set(text.match(/\bholdfast_\w+/g));
  assert(names.size > 0);
  assertEquals([...names].filter((name) => !known.has(name)), []);
}

function dashboard(name: string): Dashboard {
  return JSON.parse(Deno.readTextFileSync(`${DEPLOY}grafana/${name}.json`));
}

function allPanels(panels: readonly Panel[]): Panel[] {
  return panels.flatMap((panel) => [panel, ...allPanels(panel.panels ?? [])]);
}

function overlap(a: Grid, b: Grid): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

for (
  const [what, ...args] of [
    ["the configuration", "check", "config", "prometheus.yml"],
    ["the alerts", "check", "rules", "alerts.yml"],
    ["the alerts' behaviour", "test", "rules", "alerts_test.yml"],
  ] as const
) {
  realTest({
    name: `promtool finds nothing to complain about in ${what}`,
    ignore: !hasPromtool,
    fn() {
      const [command, kind, file] = args;
      const { ok, text } = promtool(command, kind, `${DEPLOY}prometheus/${file}`);
      assert(ok, text);
    },
  });
}

realTest("alerts and their tests use only metrics that there are", () => {
  for (const file of ["alerts.yml", "alerts_test.yml"]) {
    const text = Deno.readTextFileSync(`${DEPLOY}prometheus/${file}`);
    assertKnown(text.replaceAll(/^\s*#.*$/gm, ""));
  }
});

for (const name of DASHBOARDS) {
  realTest(`dashboard ${name}: schema, panels and metrics`, () => {
    const { schemaVersion, templating, panels } = dashboard(name);
    assertEquals(schemaVersion, 39);
    assert(templating.list.some(({ type }) => type === "datasource"));
    const all = allPanels(panels);
    assertEquals(new Set(all.map(({ id }) => id)).size, all.length, "ids are unique");
    for (const [i, { title, gridPos }] of all.entries()) {
      assert(title.length > 0);
      assert(gridPos.x >= 0 && gridPos.x + gridPos.w <= GRID_COLUMNS, title);
      for (const other of all.slice(i + 1)) {
        assert(!overlap(gridPos, other.gridPos), `"${title}" and "${other.title}" overlap`);
      }
    }
    assertKnown(JSON.stringify([templating, panels]));
  });

  realTest({
    name: `dashboard ${name}: every query is valid PromQL`,
    ignore: !hasPromtool,
    async fn() {
      const queries = allPanels(dashboard(name).panels).flatMap(({ id, targets = [] }) =>
        targets.map(({ refId, expr }) => ({
          record: `panel_${id}_${refId}`,
          expr: expr.replaceAll("$__rate_interval", "1m"),
        }))
      );
      assert(queries.length > 0);
      const file = await Deno.makeTempFile({ prefix: "holdfast-queries-", suffix: ".yml" });
      // YAML takes JSON.
      await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name, rules: queries }] }));
      const { ok, text } = promtool("check", "rules", file);
      await Deno.remove(file);
      assert(ok, text);
    },
  });
}
