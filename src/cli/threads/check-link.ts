/** What a thread that checks rules is given, and what it reports. */

import type { RuleCase, RuleFileMistake, RuleWarning } from "../../core/model/rule-report.ts";
import type { Micros } from "../../core/model/time.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import type { StoredRuleText } from "../../store/rule-notes.ts";

export interface CheckOrder {
  readonly paths: readonly string[];
  readonly cwd: string;
  readonly workspace: string;
  readonly lateness: Micros;
  /** The files as they were loaded: they may have changed since. */
  readonly texts: ReadonlyMap<string, string>;
  readonly diagnostics: readonly Diagnostic[];
}

/** In this order; there may be many texts and cases. */
export type CheckMessage =
  | { readonly kind: "texts"; readonly texts: ReadonlyMap<string, StoredRuleText> }
  | { readonly kind: "warnings"; readonly warnings: readonly RuleWarning[]; readonly leftOut: number }
  /** There are case files. */
  | {
      readonly kind: "tests";
      readonly files: number;
      readonly cases: number;
      readonly mistakes: readonly RuleFileMistake[];
    }
  | { readonly kind: "case"; readonly result: RuleCase }
  | { readonly kind: "end" };

/** What a report holds at most: a page shows it, and it is read as a whole. */
export const reportedWarningsMax = 1_000;
export const reportedMistakesMax = 200;
export const reportedFilesMax = 1_000;
export const reportedTextMax = 1_000;

/**
 * How much is compared to find loops. Thousands of automations that all match everything are millions of pairs; among them,
 * a server looks for no loops. This many comparisons take about a second.
 */
export const comparisonsMax = 1_000_000;
