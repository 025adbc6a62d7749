/**
 * `npm run chaos -- --minutes 5 --seed 1`: runs a real deployment, breaks one part after the other, and proves that no
 * alarm was lost, doubled or made up. docs/failure.md shows what it prints.
 *
 * The seed decides what is sent and which faults come in which order. Exits with 1 if anything is wrong; then the folder
 * with every log and the history is kept.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { hasPassed, resultTable } from "./chaos/report.ts";
import { ChaosRun } from "./chaos/run.ts";
import { type StoreKind, storeKinds } from "./chaos/store.ts";

interface ChaosArguments {
  readonly minutes: number;
  readonly seed: number;
  readonly redis: StoreKind;
  readonly only: readonly string[];
  readonly rate: number;
  readonly apis: number;
  readonly engines: number;
  readonly workers: number;
  readonly recorders: number;
  readonly shards: number;
  readonly drain: number;
  readonly json: boolean;
}

function number(text: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new InvalidArgumentError("expected a number");
  return value;
}

function words(text: string): string[] {
  return text.split(",");
}

function count(text: string): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("expected a whole number above 0");
  return value;
}

const command = new Command("npm run chaos --")
  .option("--minutes <minutes>", "how long events and faults go on", number, 3)
  .option("--seed <number>", "what decides the load and the faults", number, Math.floor(Math.random() * 1e6))
  .addOption(new Option("--redis <kind>", "the kind of Redis").choices(storeKinds).default("single"))
  .option("--only <kinds>", "only faults with these words in their names, such as kill,proxy", words, [])
  .option("--rate <number>", "events a second, besides heartbeats", number, 30)
  .option("--apis <count>", "processes with the role api", count, 2)
  .option("--engines <count>", "processes with the role engine", count, 3)
  .option("--workers <count>", "processes with the role actions", count, 2)
  .option("--recorders <count>", "processes with the role recorder", count, 1)
  .option("--shards <count>", "shards of the workspace", count, 4)
  .option("--drain <seconds>", "how long everything may take to arrive after the end", number, 300)
  .option("--json", "print the result as JSON, and the faults to standard error", false)
  .parse();
const options = command.opts<ChaosArguments>();
const { seed, minutes, redis, rate, json } = options;
const print = (line: string) => void (json ? console.error(line) : console.log(line));
const repeat = repeatedBy(command);

const folder = await mkdtemp(join(tmpdir(), "tripline-chaos-"));
print(`seed ${seed}; logs in ${folder}`);
const run = new ChaosRun({
  folder,
  seed,
  minutes,
  redis,
  only: options.only,
  eventsPerSecond: rate,
  counts: {
    api: options.apis,
    engine: options.engines,
    actions: options.workers,
    recorder: options.recorders,
  },
  shardCount: options.shards,
  drainMs: options.drain * 1_000,
  print,
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await run.stop();
    print(`Interrupted; logs in ${folder}`);
    process.exit(1);
  });
}

let passed = false;
try {
  const result = await run.run();
  passed = hasPassed(result);
  await writeFile(join(folder, "result.json"), JSON.stringify(result, null, 2));
  if (json) console.log(JSON.stringify({ seed, minutes, redis, passed, ...result }, null, 2));
  else console.log(resultTable(result));
} finally {
  await run.stop();
  if (passed) await rm(folder, { recursive: true, force: true });
  else print(`Failed; logs in ${folder}\nRepeat it with: ${repeat}`);
}
process.exit(passed ? 0 : 1);

function repeatedBy(parsed: Command): string {
  const words = Object.entries(parsed.opts<Record<string, unknown>>())
    .filter(([name]) => name === "seed" || parsed.getOptionValueSource(name) === "cli")
    .map(([name, value]) => (value === true ? `--${name}` : `--${name} "${value}"`));
  return `npm run chaos -- ${words.join(" ")}`;
}
