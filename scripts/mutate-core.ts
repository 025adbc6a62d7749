/**
 * Mutation testing of the core: breaks it in one place at a time, and checks whether any firing changes.
 *
 * The core is bundled with the runner that the tests use. Each mutant of that text runs over random cases, straight
 * through and with a restart after every step; the naive evaluator gives the expected firings. Mutants that survive also
 * run over the examples of docs/triggers.md, which reach what is rarely drawn: loops, changes of rules, odd patterns. A
 * mutant is killed by the first case whose firings differ, by an error, or by taking too long. The others are printed.
 *
 * A mutant may survive if it changes no firing: in what is kept for `explain` and for showing windows, in the release of
 * memory (see test/core/state-bound.property.test.ts), in guards against the impossible, and in what only saves time.
 * With fewer cases per kind, more mutants survive.
 *
 * Run: npx node scripts/mutate-core.ts [cases per kind, default 400] [only files whose path contains one of these texts ...]
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";
import { parse } from "acorn";
import { build } from "esbuild";
import fc from "fast-check";
import { formatTime, hour, parseTime, second } from "../src/core/model/time.ts";
import { type Example, sectionsOf } from "../test/docs/document.ts";
import {
  type AnyCase,
  anyCase,
  anyComposite,
  anyEventTrigger,
  anyTrigger,
  automationWith,
  busy,
  longRunning,
  start,
  uuidOf,
} from "../test/support/anything.ts";
import { formatFirings } from "../test/support/core-runner.ts";
import { naiveFirings } from "../test/support/naive/naive.ts";

const words = process.argv.slice(2);
const caseCount = Number(words.find((word) => /^\d+$/.test(word)) ?? 400);
const pathFilters = words.filter((word) => !/^\d+$/.test(word));
const timeoutMs = 10_000;
const day = 24 * hour;

/** The files that decide about firings. The others have their own tests. */
const files = [
  "arrival",
  "build-trigger",
  "composite",
  "core",
  "deadlines",
  "event-trigger",
  "followers",
  "glob",
  "key",
  "keyed-states",
  "node",
  "proactive",
  "reactive",
  "schedule",
  "scheduled-reactive",
  "seen",
  "specification",
  "state",
  "trigger-index",
].map(
  (name) =>
    `src/core/${["glob", "schedule", "specification"].includes(name) ? "model" : "machine"}/${name}.ts`,
);

interface Mutant {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const swaps: Readonly<Record<string, readonly string[]>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "&&": ["||"],
  "||": ["&&"],
};

/** These refuse rules before any event comes. Their own tests cover them. */
const refusing = ["cronProblem", "timezoneProblem"];

/** Every way to break a node. */
function mutantsOf(node: Node, source: string): Omit<Mutant, "file">[] {
  const text = (part: unknown): string => source.slice((part as Node).start, (part as Node).end);
  const whole = (replacement: string) => ({ start: node.start, end: node.end, text: replacement });
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression": {
      const operators = swaps[node["operator"] as string] ?? [];
      return operators.map((operator) => whole(`(${text(node["left"])} ${operator} ${text(node["right"])})`));
    }
    case "IfStatement":
    case "ConditionalExpression": {
      const test = node["test"] as Node;
      return ["true", "false"].map((value) => ({ start: test.start, end: test.end, text: value }));
    }
    case "Literal":
      if (typeof node["value"] === "number") return [whole(String((node["value"] as number) + 1))];
      if (typeof node["value"] === "boolean") return [whole(String(!node["value"]))];
      return [];
    case "UpdateExpression":
      return [whole(text(node["argument"]))];
    case "ExpressionStatement": {
      const expression = node["expression"] as Node;
      const isEffect = ["CallExpression", "AssignmentExpression"].includes(expression.type);
      return isEffect ? [whole(";")] : [];
    }
    case "ReturnStatement":
      return node["argument"] === null ? [whole(";")] : [];
    default:
      return [];
  }
}

function* nodesIn(value: unknown): Iterable<Node> {
  if (Array.isArray(value)) for (const item of value) yield* nodesIn(item);
  else if (typeof value === "object" && value !== null && "type" in value) {
    yield value as Node;
    // The bundler writes `void 0` for undefined, and adds calls of __toESM.
    const { operator, callee, id } = value as Node;
    if (operator === "void" || (callee as { name?: string } | undefined)?.name === "__toESM") return;
    if (refusing.includes((id as { name?: string } | null | undefined)?.name ?? "")) return;
    for (const part of Object.values(value)) yield* nodesIn(part);
  }
}

async function bundle(): Promise<string> {
  const entry = `
    export { coreFirings, formatFirings } from "./test/support/core-runner.ts";
    import { problemsOf } from "./test/docs/play.ts";
    export const problemsIn = (examples) => {
      for (const example of examples) {
        for (const pace of ["in one go", "restarted at every step"]) {
          const [problem] = problemsOf(example, "docs/triggers.md", pace);
          if (problem !== undefined) return problem;
        }
      }
      return null;
    };`;
  const result = await build({
    stdin: { contents: entry, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "subject",
    platform: "node",
    target: "node24",
    logLevel: "silent",
  });
  return result.outputFiles[0]?.text ?? "";
}

/** Which file each part of the bundle comes from: esbuild writes a comment before each. */
function partsOf(source: string): { file: string; start: number; end: number }[] {
  const heads = [...source.matchAll(/^ {2}\/\/ (\S+\.[cm]?[jt]s)$/gm)];
  return heads.map((head, index) => ({
    file: head[1] ?? "",
    start: head.index,
    end: heads[index + 1]?.index ?? source.length,
  }));
}

function drawCases(): { scenario: AnyCase; expected: string }[] {
  const kinds = [
    anyCase(busy, anyEventTrigger),
    anyCase(busy, anyComposite),
    anyCase(longRunning, anyTrigger),
  ];
  const drawn = kinds.flatMap((kind) => fc.sample(kind, { numRuns: caseCount, seed: 1 }));
  return [...drawn, ...clockChanges, ...edges].map((scenario) => ({
    scenario,
    expected: formatFirings(naiveFirings(scenario.automations, scenario.timeline, scenario)),
  }));
}

/** Cases that are rarely drawn: an event at the moment a window begins, ends or is dropped. Seconds: received, occurred. */
const edges: readonly AnyCase[] = (
  [
    [{ posture: "Proactive", within: 30 }, [0, 0], [50, 0]],
    [{ within: 1200, schedule: { cron: "0 0 * * *" } }, [1200, 1200]],
    [{ within: 1200, schedule: { cron: "0 0 * * *" } }, [1204, 1199]],
    [{ within: 1200, schedule: { cron: "0 0 * * *" } }, [1205, 1199]],
  ] as const
).map(([trigger, ...times]) => ({
  automations: [automationWith({ ...trigger, expect: ["pump.on"], for_each: ["house"] })],
  timeline: [
    { tick: formatTime(start) },
    ...times.map(([received, occurred]) => ({
      ...{ occurred: formatTime(start + occurred * second), received: formatTime(start + received * second) },
      ...{ id: uuidOf(received), event: "pump.on", payload: {}, follows: null },
      ...{ resource: { "prefect.resource.id": "pump.1", house: "north" }, related: [] },
    })),
  ],
  until: start + 1210 * second,
  lateness: 5 * second,
}));

/** Schedules across clock changes. They expect an event that never comes, so that each tick gives a firing. */
const clockChanges = (
  [
    ["30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z"],
    ["0 2,3 * * *", "America/New_York", "2026-03-07T12:00:00Z"],
    ["0 30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z"],
    ["30 * * * *", "America/New_York", "2026-11-01T03:00:00Z"],
    ["@hourly", "America/New_York", "2026-11-01T03:00:00Z"],
    ["15 */2 * * *", "Europe/Berlin", "2026-03-28T22:00:00Z"],
    ["0 0 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"],
    ["15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z"],
    ["45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z"],
    ["0 0 * * *", "America/Santiago", "2026-09-04T12:00:00Z"],
    ["0 12 * * *", "Pacific/Apia", "2011-12-28T12:00:00Z"],
    ["0 6 31 * *", "Asia/Tokyo", "2026-03-02T00:00:00Z"],
  ] as const
).map(([cron, timezone, from]): AnyCase => {
  const trigger = { posture: "Proactive", expect: ["none"], within: 10, schedule: { cron, timezone } };
  const timeline = [{ at: from, put: automationWith(trigger) }];
  return { automations: [], timeline, until: (parseTime(from) ?? 0) + 4 * day, lateness: 0 };
});

interface Subject {
  coreFirings(scenario: AnyCase, interruptions?: readonly string[]): never;
  formatFirings(firings: never): string;
  problemsIn(examples: readonly Example[]): string | null;
}

const document = "docs/triggers.md";
const examples = sectionsOf(readFileSync(document, "utf8"), document).flatMap((section) => section.examples);

/** Runs a version of the bundle over the cases and the document. @returns what killed it, or null if it survived */
function killerOf(source: string, cases: readonly { scenario: AnyCase; expected: string }[]): string | null {
  const context = vm.createContext({
    console,
    process,
    performance,
    crypto,
    setTimeout,
    clearTimeout,
    URL,
    TextEncoder,
    TextDecoder,
    Buffer,
    Event,
    EventTarget,
    require: createRequire(import.meta.url),
  });
  try {
    const subject = vm.runInContext(`${source};subject`, context, { timeout: timeoutMs }) as Subject;
    Object.assign(context, { subject });
    for (const [index, { scenario, expected }] of cases.entries()) {
      for (const interruptions of [["none"], ["restart"]]) {
        Object.assign(context, { scenario, interruptions });
        const call = "subject.formatFirings(subject.coreFirings(scenario, interruptions))";
        const got = vm.runInContext(call, context, { timeout: timeoutMs }) as string;
        if (got !== expected) return `case ${index}`;
      }
    }
    Object.assign(context, { examples });
    return vm.runInContext("subject.problemsIn(examples)", context, { timeout: timeoutMs }) as string | null;
  } catch (error) {
    return error instanceof Error || (error as Error)?.message !== undefined
      ? (error as Error).message
      : String(error);
  }
}

const source = await bundle();
const parts = partsOf(source);
const cases = drawCases();
const baseline = killerOf(source, cases);
if (baseline !== null)
  throw new Error(`the core without mutations disagrees with the naive evaluator: ${baseline}`);

const mutants: Mutant[] = [];
for (const node of nodesIn(parse(source, { ecmaVersion: "latest" }))) {
  const part = parts.find(({ start, end }) => start <= node.start && node.end <= end);
  if (part === undefined || !files.includes(part.file)) continue;
  if (pathFilters.length > 0 && !pathFilters.some((filter) => part.file.includes(filter))) continue;
  for (const mutant of mutantsOf(node, source)) mutants.push({ ...mutant, file: part.file });
}

let survivedCount = 0;
for (const { file, start, end, text } of mutants) {
  const killer = killerOf(source.slice(0, start) + text + source.slice(end), cases);
  if (killer !== null) continue;
  survivedCount++;
  const lineStart = source.lastIndexOf("\n", start) + 1;
  const line = source.slice(lineStart, source.indexOf("\n", end));
  console.log(`survived  ${file}\n    ${line.trim()}\n    ${source.slice(start, end)}  →  ${text}`);
}
console.log(`${mutants.length} mutants, ${mutants.length - survivedCount} killed, ${survivedCount} survived`);
