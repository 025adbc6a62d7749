/** Checks the rules of a server after each load, in the background, and keeps a report for everyone who looks. */

import type { Logger } from "pino";
import { cut } from "../core/model/cut.ts";
import type { RuleCase, RuleReport, RuleTests } from "../core/model/rule-report.ts";
import { formatTime, type Micros, millisecond } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { LoadedRules } from "../rules/load.ts";
import type { Log } from "../store/log.ts";
import {
  type CheckMessage,
  reportedFilesMax,
  reportedMistakesMax,
  reportedTextMax,
} from "./threads/check-link.ts";
import { runCheckThread } from "./threads/run-check-thread.ts";

export interface RuleChecksOptions {
  readonly log: Pick<Log, "rules">;
  readonly workspace: string;
  readonly paths: readonly string[];
  readonly lateness: Micros;
  readonly logger: Logger;
  /** How long a load must be the latest before it is checked: the server, and editors, have more urgent things to do. */
  readonly quietMs?: number;
  /** How long the thread may take. Then it is ended, and what it has found so far is reported. */
  readonly limitMs?: number;
}

const quietMsDefault = 500;
const limitMsDefault = 60_000;

interface Load {
  readonly rules: LoadedRules;
  readonly isInEffect: boolean;
  readonly at: Micros;
}

/** What a thread has found so far. */
interface Findings {
  warnings: RuleReport["warnings"];
  warningsLeftOut: number;
  tests: Omit<RuleTests, "passed" | "failed" | "cases" | "not_run" | "duration_ms"> | null;
  casesFound: number;
  cases: RuleCase[];
  casesBegan: number;
  casesMs: number;
}

export class RuleChecks {
  readonly #options: RuleChecksOptions;
  #latest: Load | null = null;
  #isStarted = false;
  #current: { readonly stop: AbortController; readonly ended: Promise<void> } | null = null;

  constructor(options: RuleChecksOptions) {
    this.#options = options;
  }

  /**
   * Call this after each load.
   *
   * @param isInEffect whether the rules were applied; otherwise those that were applied before remain
   */
  loaded(rules: LoadedRules, isInEffect: boolean): void {
    this.#latest = { rules, isInEffect, at: Date.now() * millisecond };
    if (this.#isStarted) this.#begin();
  }

  /** Begins with the latest load. Nothing is done before. */
  start(): void {
    this.#isStarted = true;
    this.#begin();
  }

  /** Stops, and waits until the thread has ended. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#current?.stop.abort();
    await this.#current?.ended;
  }

  #begin(): void {
    const load = this.#latest;
    this.#latest = null; // its texts need not stay in memory
    if (load === null) return;
    const before = this.#current;
    before?.stop.abort();
    const stop = new AbortController();
    const ended = (before?.ended ?? Promise.resolve()).then(() => this.#check(load, stop.signal));
    this.#current = { stop, ended };
  }

  async #check(load: Load, signal: AbortSignal): Promise<void> {
    const { log, logger, quietMs = quietMsDefault } = this.#options;
    const kept = (what: string, step: () => Promise<void>) =>
      keepRunning(step, {
        signal,
        onFailure: ({ error }) => logger.warn({ err: error }, `Could not keep ${what}; retrying`),
      });
    await kept("the report on the rules", () => log.rules.putReport(this.#reportOf(load, null)));
    await systemClock.sleep(quietMs, signal);
    if (signal.aborted) return;
    const findings = await this.#findings(load.rules, signal, (texts) =>
      kept("the texts of the rules", () => log.rules.putTexts(texts)),
    );
    if (signal.aborted) return;
    const report = this.#reportOf(load, findings);
    await kept("the report on the rules", () => log.rules.putReport(report));
    const { tests } = report;
    if (tests !== null && (tests.failed > 0 || tests.mistakes.length > 0)) {
      const { passed, failed, mistakes } = tests;
      logger.warn(
        { passed, failed, mistakes: mistakes.length },
        "The cases beside the rules do not all pass",
      );
    }
  }

  async #findings(
    { texts, diagnostics }: LoadedRules,
    signal: AbortSignal,
    keepTexts: (texts: Extract<CheckMessage, { kind: "texts" }>["texts"]) => Promise<void>,
  ): Promise<Findings> {
    const { paths, workspace, lateness, logger, limitMs = limitMsDefault } = this.#options;
    const found: Findings = {
      warnings: [],
      warningsLeftOut: 0,
      tests: null,
      casesFound: 0,
      cases: [],
      casesBegan: 0,
      casesMs: 0,
    };
    let keeping = Promise.resolve();
    const order = { paths, workspace, lateness, texts, diagnostics, cwd: process.cwd() };
    await runCheckThread(
      { kind: "files", ...order },
      {
        onMessage: (message) => {
          if (message.kind === "texts") keeping = keeping.then(() => keepTexts(message.texts));
          else take(message, found);
        },
        signal,
        limitMs,
        logger,
      },
    );
    await keeping;
    return found;
  }

  #reportOf({ rules, isInEffect, at }: Load, found: Findings | null): RuleReport {
    const counts = new Map(rules.files.map((file) => [file, 0]));
    for (const { file } of rules.sources.values()) counts.set(file, (counts.get(file) ?? 0) + 1);
    const mistakes = rules.diagnostics.slice(0, reportedMistakesMax);
    return {
      checked: formatTime(at),
      in_effect: isInEffect,
      pending: found === null,
      paths: this.#options.paths,
      files: [...counts].slice(0, reportedFilesMax).map(([file, automations]) => ({ file, automations })),
      mistakes: mistakes.map(({ file, line, column, message }) => ({
        file,
        line,
        column,
        message: cut(message, reportedTextMax),
      })),
      warnings: found?.warnings ?? [],
      tests: found === null ? null : testsOf(found),
      left_out: {
        files: Math.max(0, counts.size - reportedFilesMax),
        mistakes: rules.diagnostics.length - mistakes.length,
        warnings: found?.warningsLeftOut ?? 0,
      },
    };
  }
}

function take(message: Exclude<CheckMessage, { kind: "texts" }>, found: Findings): void {
  if (message.kind === "warnings") {
    found.warnings = message.warnings;
    found.warningsLeftOut = message.leftOut;
  } else if (message.kind === "tests") {
    const { files, mistakes } = message;
    found.tests = { ran: formatTime(Date.now() * millisecond), files, mistakes };
    found.casesFound = message.cases;
    found.casesBegan = performance.now();
  } else {
    found.cases.push(message.result);
    found.casesMs = performance.now() - found.casesBegan;
  }
}

function testsOf({ tests, cases, casesFound, casesMs }: Findings): RuleTests | null {
  if (tests === null) return null;
  const passed = cases.filter((each) => each.passed).length;
  return {
    ...tests,
    duration_ms: Math.ceil(casesMs),
    passed,
    failed: cases.length - passed,
    not_run: casesFound - cases.length,
    cases,
  };
}
