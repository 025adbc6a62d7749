/** The dashboard and the alert rules use metrics that a running server really has. */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { root, Sandbox } from "../cli/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
/** Names of metrics, each with the labels of its samples. */
let known: Map<string, Set<string>>;

const folder = join(root, "deploy", "monitoring");
const fileText = (name: string): string => readFileSync(join(folder, name), "utf8");

beforeAll(async () => {
  redis = await startRedis();
  const receiver = await sandbox.listen();
  const rules = sandbox.write(
    "rule.yaml",
    `name: pump-stopped
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions: [{type: call-webhook, url: "${receiver.url}"}]
`,
  );
  const server = await sandbox.serve(redis.url, ["--rules", rules]);
  await sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1", "--url", server.api]);
  await receiver.until((deliveries) => deliveries.length > 0);
  let text = "";
  while (!/^tripline_actions_total\{.* [1-9]/m.test(text))
    text = await (await fetch(`${server.url}/metrics`)).text();
  known = metricsIn(text);
  // A series that has not happened yet has no sample; docs/observability.md names its labels.
  const document = readFileSync(join(root, "docs", "observability.md"), "utf8");
  for (const [, name = "", labels = ""] of document.matchAll(/^\| `(tripline_\w+)` \| ([^|]*) \|/gm)) {
    for (const [, label = ""] of labels.matchAll(/`(\w+)`/g)) known.get(name)?.add(label);
  }
}, 60_000);

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

function metricsIn(text: string): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>();
  for (const [, name = "", type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const names = type === "histogram" ? ["_bucket", "_count", "_sum"].map((end) => name + end) : [name];
    for (const metric of names) metrics.set(metric, new Set(["job", "instance"]));
  }
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) metrics.get(name)?.add(label);
  }
  return metrics;
}

/** What an expression uses that no server has: metrics, labels in selectors, and labels it groups by. */
function unknownIn(expression: string): string[] {
  const bare = expression.replaceAll(/"[^"]*"/g, '""');
  const found: string[] = [];
  const labels = new Set<string>();
  let metricCount = 0;
  for (const [, name = "", selector = ""] of bare.matchAll(/\b([a-z]+_\w+|up)\b(?!\()(?:\{([^}]*)\})?/g)) {
    if (name === "up") continue;
    metricCount += 1;
    const has = known.get(name);
    if (has === undefined) {
      if (/^(tripline|process|nodejs)_/.test(name)) found.push(name);
      else metricCount -= 1;
      continue;
    }
    for (const label of has) labels.add(label);
    for (const [, label = ""] of selector.matchAll(/(\w+)\s*[=!]/g)) {
      if (!has.has(label)) found.push(`${name}{${label}}`);
    }
  }
  for (const [, list = ""] of bare.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(/,\s*/)) if (!labels.has(label)) found.push(`by (${label})`);
  }
  if (metricCount === 0 && !/\bup\b/.test(bare)) found.push(`no metric in ${expression}`);
  return found;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

test("every panel of the dashboard uses metrics and labels that exist", () => {
  const dashboard = JSON.parse(fileText("grafana-dashboard.json")) as {
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly definition: string; readonly type: string }[] };
  };
  const graphs = dashboard.panels.filter(({ type }) => type !== "row");
  expect(graphs.length).toBeGreaterThan(15);
  const wrong = graphs.flatMap(({ title, targets = [] }) => {
    if (targets.length === 0) return [`${title}: no query`];
    return targets.flatMap(({ expr, legendFormat }) => {
      const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/);
      const lost = grouped === undefined ? [] : labels.filter((label) => !grouped.includes(label ?? ""));
      return [...unknownIn(expr), ...lost.map((label) => `legend {{${label}}}`)].map(
        (problem) => `${title}: ${problem}`,
      );
    });
  });
  expect(wrong).toEqual([]);
  for (const { definition, type } of dashboard.templating.list) {
    if (type !== "query") continue;
    const [, metric = "", label = ""] = /^label_values\((\w+)(?:\{.*\})?, (\w+)\)$/.exec(definition) ?? [];
    expect([...(known.get(metric) ?? [])]).toContain(label);
  }
});

test("every metric of Tripline is on the dashboard", () => {
  const text = fileText("grafana-dashboard.json");
  const missing = [...known.keys()].filter(
    (name) => name.startsWith("tripline_") && !/_(count|sum)$/.test(name) && !text.includes(name),
  );
  expect(missing).toEqual([]);
});

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
}

const alertRules = (): AlertRule[] =>
  (parse(fileText("prometheus-rules.yaml")) as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
    ({ rules }) => rules,
  );

test("every alert uses metrics and labels that exist, and has a test", () => {
  const rules = alertRules();
  expect(rules.length).toBeGreaterThan(5);
  expect(
    rules.flatMap(({ alert, expr }) => unknownIn(expr).map((problem) => `${alert}: ${problem}`)),
  ).toEqual([]);
  const tests = fileText("prometheus-rules.test.yaml");
  for (const { alert } of rules) expect(tests).toContain(`alertname: ${alert}`);
});

test("a metric or label that does not exist is reported", () => {
  expect(unknownIn("sum by (shard) (rate(tripline_log_lag_entries[5m]))")).toEqual([]);
  expect(unknownIn("sum by (color) (tripline_log_lag_entries)")).toEqual(["by (color)"]);
  expect(unknownIn('tripline_log_lag{shard="0"}')).toEqual(["tripline_log_lag"]);
  expect(unknownIn('tripline_log_lag_entries{color="red"}')).toEqual(["tripline_log_lag_entries{color}"]);
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;

test.skipIf(!promtool)("the alert rules pass their tests (skipped if promtool is not installed)", () => {
  for (const words of [
    ["check", "rules", "prometheus-rules.yaml"],
    ["test", "rules", "prometheus-rules.test.yaml"],
  ]) {
    const { status, stdout, stderr } = spawnSync("promtool", words, { cwd: folder, encoding: "utf8" });
    expect({ status, output: `${stdout}${stderr}` }).toMatchObject({ status: 0 });
  }
});
