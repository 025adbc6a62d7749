/** What a thread that checks rules is given, and what it reports. */

import type { RuleCase, RuleFileMistake, RuleWarning } from "../../core/model/rule-report.ts";
import type { Micros } from "../../core/model/time.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import type { StoredRuleText } from "../../store/rule-notes.ts";

export type CheckOrder = FilesOrder | AutomationsOrder;

/** To check the rules of files, and to run the cases beside them. */
export interface FilesOrder {
  readonly kind: "files";
  readonly paths: readonly string[];
  readonly cwd: string;
  readonly workspace: string;
  readonly lateness: Micros;
  /** The files as they were loaded: they may have changed since. */
  readonly texts: ReadonlyMap<string, string>;
  readonly diagnostics: readonly Diagnostic[];
}

/** To check automations that no watched file defines. They follow as messages, because there may be thousands. */
export interface AutomationsOrder {
  readonly kind: "automations";
  readonly lateness: Micros;
}

/** Some automations as JSON, without their secrets, and how those are written that were applied; null after the last. */
export type MoreAutomations = {
  readonly automations: readonly string[];
  readonly texts: ReadonlyMap<string, StoredRuleText>;
} | null;

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
  | { readonly kind: "case"; readonly result: RuleCase };

/** What a report holds at most: a page shows it, and it is read as a whole. */
export const reportedWarningsMax = 1_000;
export const reportedMistakesMax = 200;
export const reportedFilesMax = 1_000;
export const reportedTextMax = 1_000;
