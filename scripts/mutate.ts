/**
 * Mutation testing: breaks the code in one place after another, and checks whether a test fails.
 *
 * `core` has its own method (mutate-core.ts): each mutant of the core must change a firing that a naive evaluator has
 * computed. For every other part, StrykerJS runs the tests that reach each mutant. Stryker brings some 150 packages that
 * nothing else here needs, so it is not a development dependency: the first run installs it below node_modules.
 *
 * Surviving mutants are printed with their place. A survivor shows a missing test, or a change that does not matter, such
 * as in what only saves time or in a message. Strings are not mutated.
 *
 * A whole part can take hours. `--share 0.1` mutates a random tenth of its lines instead; the seed comes from the commit,
 * and TRIPLINE_TEST_SEED=123 draws other lines.
 *
 * Stryker changes no numbers: `--bounds` raises each limit of a part instead (mutate-bounds.ts).
 *
 * Run: npm run mutate -- PART [FILE ...] [--share SHARE | --bounds]   for example: npm run mutate -- delivery endpoints.ts worker.ts
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chooseSeed } from "../test/support/seed.ts";
import { mutateBounds } from "./mutate-bounds.ts";

const root = resolve(import.meta.dirname, "..");
// Below node_modules, so that Stryker finds the project's own vitest by walking up.
const toolFolder = join(root, "node_modules", ".cache", "mutate");
const stryker = join(toolFolder, "node_modules", "@stryker-mutator", "core", "bin", "stryker.js");
const packages = ["@stryker-mutator/core@10.1.1", "@stryker-mutator/vitest-runner@10.1.1"];

/** Tests in other folders that reach a part. */
const furtherTests: Readonly<Record<string, readonly string[]>> = {
  engine: ["test/contract", "test/simulation"],
  delivery: ["test/contract", "test/simulation"],
};

const seed = chooseSeed(process.env["TRIPLINE_TEST_SEED"]);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { share: { type: "string" }, bounds: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [part, ...files] = positionals;
  const parts = readdirSync(join(root, "src"));
  if (part === undefined || !parts.includes(part)) {
    fail(`Name a part of src/: npm run mutate -- ${parts.join("|")} [FILE ...]`);
  }
  if (values.bounds) {
    await mutateBounds(root, sourcesOf(part, files));
    return;
  }
  if (part === "core") {
    run(process.execPath, join(root, "scripts", "mutate-core.ts"), ...files);
    return;
  }
  const sources = sourcesOf(part, files);
  const mutated = values.share === undefined ? sources : drawLines(sources, Number(values.share));
  installStryker();
  const config = join(toolFolder, `${part}.json`);
  writeFileSync(config, JSON.stringify(configOf(part, mutated), null, 2));
  run(process.execPath, stryker, "run", config);
}

/** The files of a part to mutate: all of them, or those whose path ends with one of the words. */
function sourcesOf(part: string, words: readonly string[]): string[] {
  const all = globSync(`src/${part}/**/*.ts`, { cwd: root })
    .filter((path) => !isGenerated(path))
    .sort();
  const unknown = words.filter((word) => !all.some((path) => path.endsWith(word)));
  if (unknown.length > 0) fail(`src/${part} has no file ${unknown.join(", ")}.`);
  return words.length === 0 ? all : all.filter((path) => words.some((word) => path.endsWith(word)));
}

/** A test compares it with its sources, so it would fail without any mutant. */
function isGenerated(path: string): boolean {
  return /(?:^|\/)(?:generated|wire-types)\.ts$/.test(path);
}

/** Lines in a row that are drawn together. A mutant counts only if all its lines are drawn. */
const drawnLineCount = 10;

/** Ranges of lines, in Stryker's notation, with about this share of the files. */
function drawLines(paths: readonly string[], share: number): string[] {
  if (!(share > 0 && share <= 1)) fail("--share must be above 0 and at most 1.");
  return paths.flatMap((path) => {
    const lineCount = readFileSync(join(root, path), "utf8").split("\n").length;
    const starts = Array.from(
      { length: Math.ceil(lineCount / drawnLineCount) },
      (_, index) => index * drawnLineCount + 1,
    );
    return starts
      .filter((start) => drawBetween0And1(`${path}:${start}`) < share)
      .map((start) => `${path}:${start}-${start + drawnLineCount - 1}`);
  });
}

/** Always gives the same number for a place and seed. */
function drawBetween0And1(place: string): number {
  return createHash("sha256").update(`${seed} ${place}`).digest().readUInt32BE() / 2 ** 32;
}

function installStryker(): void {
  if (existsSync(stryker)) return;
  console.log(`Installing ${packages.join(" and ")} into ${relative(root, toolFolder)}.`);
  mkdirSync(toolFolder, { recursive: true });
  writeFileSync(join(toolFolder, "package.json"), "{}");
  // Its peer dependency, vitest, is the project's own.
  run("npm", "install", "--prefix", toolFolder, "--legacy-peer-deps", "--no-audit", "--no-fund", ...packages);
}

function configOf(part: string, mutated: readonly string[]): object {
  const tests = [`test/${part}`, ...(furtherTests[part] ?? [])].filter((path) =>
    existsSync(join(root, path)),
  );
  const vitestConfig = join(toolFolder, `${part}.vitest.mjs`);
  const vitest = {
    test: {
      include: tests.map((path) => `${path}/**/*.test.ts`),
      env: { TRIPLINE_TEST_SEED: String(seed) },
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  };
  writeFileSync(vitestConfig, `export default ${JSON.stringify(vitest)};\n`);
  return {
    testRunner: "vitest",
    plugins: [
      join(toolFolder, "node_modules", "@stryker-mutator", "vitest-runner", "dist", "src", "index.js"),
    ],
    vitest: { configFile: vitestConfig, related: false },
    mutate: mutated,
    mutator: { excludedMutations: ["StringLiteral"] },
    coverageAnalysis: "perTest",
    ignoreStatic: true,
    concurrency: 2,
    reporters: ["progress-append-only", "clear-text"],
    clearTextReporter: { logTests: false, reportTests: false },
    tempDirName: ".tripline/mutate",
    // Stryker would rewrite tsconfig.json with the compiler's old API, which TypeScript 7 no longer has.
    tsconfigFile: "none",
    // Otherwise it would change every file, and some tests read files. Nothing checks types here.
    disableTypeChecks: false,
    incremental: true,
    incrementalFile: join(toolFolder, `${part}.incremental.json`),
  };
}

function run(program: string, ...parameters: string[]): void {
  const { status, error } = spawnSync(program, parameters, { cwd: root, stdio: "inherit" });
  if (error !== undefined) fail(`${program} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

await main();
