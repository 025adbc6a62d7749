/**
 * A thread that checks rules and then ends: it takes their texts out of the files, finds warnings, and runs the cases beside
 * them. All of that takes seconds for thousands of rules, in which the server must answer.
 */

import { parentPort, workerData } from "node:worker_threads";
import { caseFilesBeside, loadCases } from "../../cases/load-cases.ts";
import { failureText } from "../../cases/reports.ts";
import { type CaseResult, runCase } from "../../cases/run-case.ts";
import { assert } from "../../core/model/assert.ts";
import type { Automation } from "../../core/model/automation.ts";
import { cut } from "../../core/model/cut.ts";
import type { RuleCase, RuleFileMistake } from "../../core/model/rule-report.ts";
import { definitionIdOf, withoutSecretTexts } from "../../core/model/rule-text.ts";
import { lintRules } from "../../lint/lint.ts";
import { chunksOf } from "../../retry/slices.ts";
import { literalSecretsOf } from "../../rules/action-texts.ts";
import { type LoadedRules, readRules } from "../../rules/load.ts";
import { ruleTextsOf } from "../../rules/rule-text.ts";
import { dropExperimentalWarnings } from "../quiet-warnings.ts";
import { ruleEnvironment } from "../secret-files.ts";
import {
  type CheckMessage,
  type CheckOrder,
  comparisonsMax,
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

const order = workerData as CheckOrder;
const { paths, cwd, workspace, lateness, texts, diagnostics } = order;
const environment = ruleEnvironment(process.env);
const rules = readRules({ texts, diagnostics }, { workspace, env: environment, now: 0, cwd });
if (rules.diagnostics.length === 0) postTexts(rules);
postWarnings(rules);
runCases();
post({ kind: "end" });

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

function postWarnings(loaded: LoadedRules): void {
  const ids = new Map(loaded.automations.map(({ id, name }) => [name, id]));
  const found = lintRules(loaded, { latenessDefault: lateness, comparisonsMax });
  const warnings = found
    .slice(0, reportedWarningsMax)
    .map(({ automation: name, reason, fix, ...warning }) => {
      const id = name === null ? undefined : ids.get(name);
      const automation = name === null || id === undefined ? null : { id, name };
      return { ...warning, reason: cut(reason, reportedTextMax), fix: cut(fix, reportedTextMax), automation };
    });
  post({ kind: "warnings", warnings, leftOut: found.length - warnings.length });
}

function runCases(): void {
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
