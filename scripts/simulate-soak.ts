/**
 * Runs the simulation of test/simulation/ with one seed after the other, on all cores, and stops at the first that fails.
 *
 * Run: npm run simulate:soak -- [--minutes N | --seeds COUNT] [--seed FIRST] [--threads N]
 * By default it takes a minute. The first seed comes from the commit.
 */

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { runSeed, type SeedReport } from "../test/simulation/run-seed.ts";
import { chooseSeed } from "../test/support/seed.ts";

/** A simulation takes a second or two. One that takes this long goes round in circles. */
const seedMsMax = 120_000;
const problemsShownMax = 10;

if (isMainThread) await main();
else {
  parentPort?.on("message", async (seed: number) => {
    parentPort?.postMessage(await runSeed(seed));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      seeds: { type: "string" },
      seed: { type: "string" },
      threads: { type: "string", default: String(availableParallelism()) },
    },
  });
  const first = chooseSeed(values.seed);
  const last =
    values.seeds === undefined ? Number.POSITIVE_INFINITY : first + positive("seeds", values.seeds) - 1;
  const started = performance.now();
  const endMs = values.seeds === undefined ? started + positive("minutes", values.minutes) * 60_000 : last;
  const totals = { reports: [] as SeedReport[], failed: null as SeedReport | null };
  let next = first;
  const takeSeed = () =>
    totals.failed !== null || next > last || (values.seeds === undefined && performance.now() >= endMs)
      ? null
      : next++;
  const threads = Array.from({ length: positive("threads", values.threads) }, async () => {
    for (let seed = takeSeed(), thread = startThread(); ; seed = takeSeed()) {
      const report = seed === null ? null : await thread.run(seed);
      if (report === null) return thread.stop();
      totals.reports.push(report);
      if (report.problems.length === 0) continue;
      totals.failed ??= report;
      return thread.stop();
    }
  });
  await Promise.all(threads);
  print(totals.reports, performance.now() - started);
  if (totals.failed === null) return;
  const { seed, problems } = totals.failed;
  console.log(`\nSeed ${seed} failed:`);
  for (const problem of problems.slice(0, problemsShownMax)) console.log(`  ${problem}`);
  if (problems.length > problemsShownMax) console.log(`  and ${problems.length - problemsShownMax} more`);
  console.log(`\nRepeat with: npm run simulate:soak -- --seed ${seed} --seeds 1`);
  process.exitCode = 1;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  console.error(`--${name} is "${text}"; expected a number above 0`);
  process.exit(2);
}

/** A thread that runs seeds. What ends it counts as a failure of its seed. */
function startThread() {
  const worker = new Worker(new URL(import.meta.url));
  return {
    run: (seed: number): Promise<SeedReport> =>
      new Promise((resolve) => {
        const end = (report: SeedReport) => {
          clearTimeout(watchdog);
          worker.off("message", end).off("error", fail);
          resolve(report);
        };
        const failed = (problem: string) =>
          end({ seed, problems: [problem], counts: {}, faults: {}, completeAfterMs: null });
        const fail = (error: unknown) => failed(String((error as Error).stack ?? error));
        const watchdog = setTimeout(
          () => failed(`it did not end within ${seedMsMax / 1_000} seconds`),
          seedMsMax,
        );
        worker.on("message", end).on("error", fail);
        worker.postMessage(seed);
      }),
    stop: async () => void (await worker.terminate()),
  };
}

function print(reports: readonly SeedReport[], ms: number): void {
  const counts = sumOf(reports.map((report) => report.counts));
  const faults = sumOf(reports.map((report) => report.faults));
  const line = (label: string, value: string) => console.log(`${label.padEnd(28)}${value.padStart(12)}`);
  const shown = (value: number) => Math.round(value).toLocaleString("en-US");
  line("seeds", shown(reports.length));
  line("steps a minute", shown(((counts.get("steps") ?? 0) / ms) * 60_000));
  for (const [label, count] of counts) line(label, shown(count));
  line("faults", shown([...faults.values()].reduce((sum, count) => sum + count, 0)));
  for (const [label, count] of [...faults].sort(([, a], [, b]) => b - a)) line(`  ${label}`, shown(count));
  const slowest = Math.max(0, ...reports.map(({ completeAfterMs }) => completeAfterMs ?? 0));
  line("complete after at most", `${shown(slowest / 1_000)} s`);
}

function sumOf(records: readonly Readonly<Record<string, number>>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const record of records)
    for (const [name, count] of Object.entries(record)) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}
