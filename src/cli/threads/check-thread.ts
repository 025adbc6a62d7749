/**
 * A thread that checks rules and then ends: it takes their texts out of the files, finds warnings, and runs the cases beside
 * them. Or it finds warnings about automations of the API. All of that takes seconds for thousands of rules, in which the
 * server must answer.
 */

import { parentPort, workerData } from "node:worker_threads";
import { caseFilesBeside, loadCases } from "../../cases/load-cases.ts";
import { failureText } from "../../cases/reports.ts";
import { type CaseResult, runCase } from "../../cases/run-case.ts";
import { parseExactJson } from "../../core/json/exact-json.ts";
import { assert } from "../../core/model/assert.ts";
import type { Automation } from "../../core/model/automation.ts";
import { cut } from "../../core/model/cut.ts";
import type { RuleCase, RuleFileMistake, RuleWarning } from "../../core/model/rule-report.ts";
import { definitionIdOf, withoutSecretTexts } from "../../core/model/rule-text.ts";
import { lintRules } from "../../lint/lint.ts";
import type { Warning } from "../../lint/warning.ts";
import { chunksOf } from "../../retry/slices.ts";
import { literalSecretsOf } from "../../rules/action-texts.ts";
import { type LoadedRules, readRules } from "../../rules/load.ts";
import { ruleTextsOf } from "../../rules/rule-text.ts";
import { WrittenRule } from "../../rules/written-rule.ts";
import type { StoredRuleText } from "../../store/rule-notes.ts";
import { dropExperimentalWarnings } from "../quiet-warnings.ts";
import { ruleEnvironment } from "../secret-files.ts";
import {
  type AutomationsOrder,
  type CheckMessage,
  type CheckOrder,
  type FilesOrder,
  type MoreAutomations,
  reportedMistakesMax,
  reportedTextMax,
  reportedWarningsMax,
} from "./check-link.ts";

dropExperimentalWarnings();

/** Beyond these bounds, cases are not run. `tripline test` runs any number. */
const casesMax = 1_000;
const casesMs = 20_000;

/** How much of a failed case is reported, in characters, and of all of them together. */
const caseReportMax = 8_000;
const caseReportsMax = 400_000;

const textsPerMessage = 500;

/**
 * How much is compared to find loops. Thousands of automations that all match everything are millions of pairs; among them,
 * no loops are looked for. This many comparisons take about a second.
 */
const comparisonsMax = 1_000_000;

const order = workerData as CheckOrder;
if (order.kind === "files") checkFiles(order);
else checkAutomations(order);

function checkFiles({ paths, cwd, workspace, lateness, texts, diagnostics }: FilesOrder): void {
  const environment = ruleEnvironment(process.env);
  const rules = readRules({ texts, diagnostics }, { workspace, env: environment, now: 0, cwd });
  if (rules.diagnostics.length === 0) postTexts(rules);
  const ids = new Map(rules.automations.map(({ id, name }) => [name, id]));
  const found = lintRules(rules, { latenessDefault: lateness, comparisonsMax });
  postWarnings(found, ({ file, line, automation: name }) => {
    const id = name === null ? undefined : ids.get(name);
    return { file, line, automation: name === null || id === undefined ? null : { id, name } };
  });
  runCases({ paths, cwd, lateness });
}

/** Reads what follows the order, and then checks it. */
function checkAutomations({ lateness }: AutomationsOrder): void {
  const all: Automation[] = [];
  const known = new Map<string, StoredRuleText>();
  parentPort?.on("message", (more: MoreAutomations) => {
    if (more !== null) {
      for (const json of more.automations) all.push(parseExactJson(json) as Automation);
      for (const [id, text] of more.texts) known.set(id, text);
      return;
    }
    const own = all.filter(({ source }) => source.kind === "api");
    const written = new Map(own.map((each) => [each.id, new WrittenRule(each, known.get(each.id) ?? null)]));
    const texts = new Map([...written].flatMap(([id, { text }]) => (text === null ? [] : [[id, text.yaml]])));
    const nothing = { hooks: [], destinations: [], diagnostics: [], files: [...texts.keys()] };
    const rules: LoadedRules = { ...nothing, automations: all, sources: written, texts };
    const names = new Map(own.map(({ id, name }) => [id, name]));
    const found = lintRules(rules, { latenessDefault: lateness, comparisonsMax });
    postWarnings(found, ({ file: id, line }) => {
      const text = written.get(id)?.text ?? null;
      const place = text === null ? { file: null, line } : { file: text.file, line: text.line + line - 1 };
      return { ...place, automation: { id, name: names.get(id) ?? "" } };
    });
    parentPort?.close(); // lets the thread end
  });
}

function post(message: CheckMessage): void {
  assert(parentPort !== null, "this file runs in a thread of its own");
  parentPort.postMessage(message);
}

function postTexts(loaded: LoadedRules): void {
  const byId = new Map(loaded.automations.map((automation) => [automation.id, automation]));
  const stored = [...ruleTextsOf(loaded)].map(([id, text]) => {
    const definition = definitionIdOf(byId.get(id) as Automation);
    return [id, { ...text, definition }] as const;
  });
  for (const some of chunksOf(stored, textsPerMessage)) post({ kind: "texts", texts: new Map(some) });
}

function postWarnings(
  found: readonly Warning[],
  ownerOf: (warning: Warning) => Pick<RuleWarning, "file" | "line" | "automation">,
): void {
  const warnings = found.slice(0, reportedWarningsMax).map((warning): RuleWarning => {
    const { column, code, reason, fix } = warning;
    const { file, line, automation } = ownerOf(warning);
    const texts = { reason: cut(reason, reportedTextMax), fix: cut(fix, reportedTextMax) };
    return { file, line, column, code, ...texts, automation };
  });
  post({ kind: "warnings", warnings, leftOut: found.length - warnings.length });
}

function runCases({ paths, cwd, lateness }: Pick<FilesOrder, "paths" | "cwd" | "lateness">): void {
  const files = caseFilesBeside(paths, cwd);
  if (files.length === 0) return;
  const { cases, diagnostics: mistakes } = loadCases(files, { cwd, lateness });
  const shown = mistakes.slice(0, reportedMistakesMax).map(
    ({ file, line, column, message }): RuleFileMistake => ({
      file,
      line,
      column,
      message: cut(message, reportedTextMax),
    }),
  );
  post({ kind: "tests", files: files.length, cases: cases.length, mistakes: shown });
  const deadline = performance.now() + casesMs;
  let room = caseReportsMax;
  for (const one of cases.slice(0, casesMax)) {
    if (performance.now() > deadline) break;
    const result = resultOf(runCase(one), room);
    room -= result.report.length;
    post({ kind: "case", result });
  }
}

function resultOf(result: CaseResult, room: number): RuleCase {
  const { file, name, place, automations } = result.case;
  const common = { file, line: place.line, name: cut(name, reportedTextMax), passed: result.passed };
  if (result.passed) return { ...common, report: "" };
  if (room < caseReportMax) return { ...common, report: `Many cases fail. See: tripline test ${file}` };
  const text = withoutSecretTexts(failureText(result), automations.flatMap(literalSecretsOf));
  return { ...common, report: cut(text, caseReportMax) };
}
