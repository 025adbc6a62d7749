/**
 * What is found in the rule files that a server watches: mistakes, warnings, and the results of the cases beside them. The
 * process that watches them writes it after each load, for everyone who looks. It holds no secrets, and is bounded.
 */

export interface RuleReport {
  /** When the files were last loaded, RFC 3339. */
  readonly checked: string;
  /** False: the files have mistakes, so the rules that were applied before remain in effect. */
  readonly in_effect: boolean;
  /** True: warnings and tests of these files are not known yet. */
  readonly pending: boolean;
  /** What the server watches. */
  readonly paths: readonly string[];
  readonly files: readonly RuleFile[];
  readonly mistakes: readonly RuleFileMistake[];
  readonly warnings: readonly RuleWarning[];
  /** Null if there are no cases beside the rules. */
  readonly tests: RuleTests | null;
  /** How many of each are left out, because there are very many. */
  readonly left_out: { readonly files: number; readonly mistakes: number; readonly warnings: number };
}

export interface RuleFile {
  readonly file: string;
  readonly automations: number;
}

/** A mistake at its place; line 0 is the file as a whole. */
export interface RuleFileMistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A warning at its place in a file, or else in the automation's own text. */
export interface RuleWarning {
  /** Null: the automation is in no file, and the place is in the YAML that is made from its definition. */
  readonly file: string | null;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly reason: string;
  readonly fix: string;
  /** Null for a comment that belongs to no automation. */
  readonly automation: { readonly id: string; readonly name: string } | null;
}

export interface RuleTests {
  readonly ran: string;
  readonly duration_ms: number;
  readonly files: number;
  readonly passed: number;
  readonly failed: number;
  /** How many were not run, because all of them together would take too long. */
  readonly not_run: number;
  /** In the case files themselves. A case with a mistake is not run. */
  readonly mistakes: readonly RuleFileMistake[];
  readonly cases: readonly RuleCase[];
}

export interface RuleCase {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly passed: boolean;
  /** What `tripline test` prints about a case that failed; empty for one that passed. */
  readonly report: string;
}
