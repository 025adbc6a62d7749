/**
 * Runs the benches and prints one table: question, figure, limit in the same run, ratio, spread. With a revision it runs
 * every bench in turns with that version, and says what differs by more than noise.
 *
 * Run: npm run bench -- [--only end-to-end,ingest] [--compare REVISION] [--rounds 3]
 *
 * It takes some minutes. What else runs on the machine shows in the figures, much less in the ratios.
 */

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { compareValues } from "./support/compare.ts";
import { columnsOf, type Finding, ratiosOf, resultsVariable } from "./support/report.ts";

const root = resolve(import.meta.dirname, "..");

/** The benches that report what they find, and how to run each so that all of them take a few minutes. */
const benches: Readonly<Record<string, readonly string[]>> = {
  "end-to-end": ["30000", "3"],
  steady: ["5000", "5", "3"],
  ingest: ["--seconds", "1"],
  deliveries: ["1000", "3"],
  latency: ["1000", "5", "1,10", "everysec"],
  recovery: ["500"],
  recording: ["--events", "20000", "--runs", "3"],
};

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    compare: { type: "string" },
    rounds: { type: "string", default: "3" },
  },
});
const names = options.only === undefined ? Object.keys(benches) : options.only.split(",");
for (const name of names) {
  if (name in benches) continue;
  console.error(`There is no bench ${name}; choose from ${Object.keys(benches).join(", ")}.`);
  process.exit(1);
}

if (options.compare === undefined) {
  const findings = names.flatMap((name) => run(root, name));
  print([["question", "figure", "limit in the same run", "ratio", "spread"], ...findings.map(columnsOf)]);
} else {
  compare(options.compare, Number(options.rounds));
}

/** Runs a bench of a checkout. @returns what it reported; an empty list if it failed */
function run(checkout: string, name: string): Finding[] {
  const folder = mkdtempSync(join(tmpdir(), "tripline-bench-"));
  const results = join(folder, "results");
  console.error(`${name} in ${checkout} …`);
  const { status } = spawnSync(
    join(root, "node_modules", "node", "bin", "node"),
    [`bench/${name}.ts`, ...(benches[name] ?? [])],
    {
      cwd: checkout,
      env: { ...process.env, [resultsVariable]: results },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const lines = existsSync(results) ? readFileSync(results, "utf8").trim().split("\n") : [];
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0) console.error(`${name} failed in ${checkout}`);
  return lines.map((line) => JSON.parse(line) as Finding);
}

function compare(revision: string, roundCount: number): void {
  const folder = mkdtempSync(join(tmpdir(), "tripline-bench-old-"));
  const checkout = join(folder, "tripline");
  try {
    command("git", ["worktree", "add", "--detach", checkout, revision], root);
    command("npm", ["ci", "--prefer-offline", "--silent"], checkout);
    // Both versions are asked in the same way. What the benches use of the version itself may differ.
    cpSync(join(root, "bench"), join(checkout, "bench"), { recursive: true });
    const rows = [["question", revision, "here", "times", "by chance", "verdict"]];
    for (const name of names) {
      const old: Finding[][] = [];
      const here: Finding[][] = [];
      for (let round = 0; round < roundCount; round++) {
        old.push(run(checkout, name));
        here.push(run(root, name));
      }
      for (const { question, unit, lowerIsBetter = false } of here[0] ?? []) {
        const valuesOf = (runs: readonly Finding[][]) =>
          runs.flatMap((findings) =>
            findings.filter((finding) => finding.question === question).flatMap(ratiosOf),
          );
        const [before, after] = [valuesOf(old), valuesOf(here)];
        if (before.length === 0) {
          rows.push([question, "not measured", "", "", "", ""]);
          continue;
        }
        const { ratio, probability, verdict } = compareValues(before, after, { lowerIsBetter });
        const figure = (findings: readonly Finding[][]) =>
          columnsOf({
            question,
            unit,
            values: findings.flat().filter(isFor(question)).flatMap(ofValues),
          })[1] ?? "";
        rows.push([
          question,
          figure(old),
          figure(here),
          ratio.toFixed(2),
          `${(probability * 100).toFixed(1)} %`,
          verdict,
        ]);
      }
    }
    print(rows);
  } finally {
    spawnSync("git", ["worktree", "remove", "--force", checkout], { cwd: root });
    rmSync(folder, { recursive: true, force: true });
  }
}

function isFor(question: string): (finding: Finding) => boolean {
  return (finding) => finding.question === question;
}

function ofValues({ values }: Finding): readonly number[] {
  return values;
}

function command(program: string, words: readonly string[], cwd: string): void {
  const { status } = spawnSync(program, words, { cwd, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")} failed`);
}

function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    console.log(
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
