/** The routes as Markdown, for `docs/http-api.md`. Pure. */
import type { Route } from "./host_routes.ts";
import type { Param } from "./params.ts";

function valuesText({ kind, min, max, choices, default: standard, required }: Param): string {
  const range = min !== undefined && max !== undefined
    ? ` ${min} to ${max.toLocaleString("en")}`
    : "";
  const kinds: Record<Param["kind"], string> = {
    text: "text",
    integer: `whole number${range}`,
    time: "time",
    flag: "`1` or `0`",
    choice: (choices ?? []).map((choice) => `\`${choice}\``).join(", "),
  };
  const rest = required ? "; needed" : standard === undefined ? "" : `; default \`${standard}\``;
  return kinds[kind] + rest;
}

function needs({ role }: Route): string {
  return role === undefined ? "For everybody." : `For ${role === "viewer" ? "a" : "an"} ${role}.`;
}

/** One section for each route, under headings of level 3. */
export function routesMarkdown(routes: readonly Route[]): string {
  return routes.map((route) => {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    const query = Object.entries(route.params).filter(([, param]) => param.in === "query");
    const rows = query.map(([name, param]) =>
      `| \`${name}\` | ${valuesText(param)} | ${param.help.replaceAll("|", "\\|")} |`
    );
    return [
      `### ${route.method.toUpperCase()} ${path}`,
      "",
      `${route.summary} ${needs(route)}` +
      (route.faultsOnly ? " Only with `--allow-faults`." : ""),
      ...(rows.length === 0
        ? []
        : ["", "| parameter | value | meaning |", "| --- | --- | --- |", ...rows]),
      "",
    ].join("\n");
  }).join("\n");
}
