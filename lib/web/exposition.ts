/**
 * Metrics in Prometheus' text form (exposition format 0.0.4). A dozen lines of our own: the usual client
 * library brings a registry, default metrics and 68 KB that both executables would carry for nothing.
 */
import type { MetricDefinition } from "../metrics.ts";

/** A value, with its labels. */
export interface MetricValue {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Content type of the text form. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function line(name: string, { value, labels }: MetricValue): string {
  const pairs = Object.entries(labels ?? {}).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  const set = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${set} ${Number.isFinite(value) ? value : "NaN"}`;
}

/** The text of all metrics; one without values is left out. */
export function expose(
  metrics: Iterable<readonly [MetricDefinition, readonly MetricValue[]]>,
): string {
  const lines: string[] = [];
  for (const [{ name, type, help }, values] of metrics) {
    if (values.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
    lines.push(`# TYPE ${name} ${type}`);
    for (const value of values) lines.push(line(name, value));
  }
  return lines.join("\n") + "\n";
}
