/** Looks over rules that were loaded for what is legal, and surely not meant. */

import type { Automation } from "../core/model/automation.ts";
import { latenessDefault } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import type { LoadedRules } from "../rules/load.ts";
import type { RuleMapping } from "../rules/rule-tree.ts";
import { findActionMistakes } from "./actions.ts";
import type { Ruled } from "./consequences.ts";
import { type IgnoreComment, readIgnores } from "./ignore.ts";
import { findLoops, reactionsAmong, watchedIn } from "./loops.ts";
import { findMatchingMistakes } from "./matching.ts";
import { findMemoryMistakes } from "./memory.ts";
import { findNeverFiring } from "./never.ts";
import { placeOf } from "./places.ts";
import { findIdleSettings } from "./settings.ts";
import { partOf, partsOf } from "./triggers.ts";
import { type Finding, formatWarning, type TriggerFinding, type Warning } from "./warning.ts";

export interface LintOptions {
  /** What the server takes for the lateness of triggers that name none; by default its own default. */
  readonly latenessDefault?: Micros;
}

/** Every warning, in reading order. Where rules have mistakes, those that are without are looked over by themselves. */
export function lintRules(rules: LoadedRules, options: LintOptions = {}): Warning[] {
  const { automations, sources, diagnostics } = rules;
  const isComplete = diagnostics.length === 0;
  const lateness = options.latenessDefault ?? latenessDefault;
  const ruled: Ruled[] = automations.map((automation) => ({
    automation,
    part: partOf(automation.trigger, lateness),
  }));
  const reactions = reactionsAmong(ruled);
  const watched = watchedIn(reactions);
  const context = {
    names: isComplete ? new Set(automations.map(({ name }) => name)) : null,
  };
  const findings: Finding[] = [...findLoops(reactions)];
  for (const { automation, part } of ruled) {
    const source = sources.get(automation.id);
    if (source === undefined) continue;
    const isWatched = watched.has(automation.id) || !isComplete;
    const found: TriggerFinding[] = [
      ...findNeverFiring(part),
      ...partsOf(part).flatMap((one) => [
        ...(one.kind === "event"
          ? [...findMatchingMistakes(one), ...findIdleSettings(one, source.tree)]
          : []),
        ...findMemoryMistakes(one),
      ]),
      ...findActionMistakes(automation, part, { ...context, isWatched }),
    ];
    findings.push(...found.map((one) => ({ ...one, automation })));
  }
  return inReadingOrder(withoutIgnored(findings, rules));
}

function withoutIgnored(
  findings: readonly Finding[],
  { sources, texts, automations, diagnostics }: LoadedRules,
): Warning[] {
  const ignores = new Map([...texts].map(([file, text]) => [file, readIgnores(text)]));
  const used = new Set<IgnoreComment>();
  const warnings: Warning[] = [];
  for (const { automation, others = [], path, code, reason, fix } of findings) {
    const source = sources.get(automation.id);
    if (source === undefined) continue;
    const { file, tree } = source;
    const place = placeOf(tree, path);
    const silencing = [automation, ...others].flatMap((one) => {
      const { file: its = "", tree: where = null } = sources.get(one.id) ?? {};
      if (where === null) return [];
      const lines = [placeOf(where, path).line, ...firstLinesOf(where)];
      const comments = ignores.get(its)?.comments ?? [];
      return comments.filter(
        (comment) => comment.codes.includes(code) && comment.lines.some((line) => lines.includes(line)),
      );
    });
    for (const comment of silencing) used.add(comment);
    if (silencing.length === 0)
      warnings.push({ file, ...place, code, reason, fix, automation: automation.name });
  }
  for (const [file, { comments, mistakes }] of ignores) {
    const owner = ({ line }: { line: number }): string | null => ownerOf(line, file, automations, sources);
    for (const { line, column, reason, fix } of mistakes)
      warnings.push({ file, line, column, code: "TL901", reason, fix, automation: owner({ line }) });
    // An automation with mistakes is not looked over, so what its comments are for is not known.
    for (const comment of diagnostics.length === 0 ? comments : []) {
      if (used.has(comment)) continue;
      const { line, column, codes } = comment;
      const reason = `there is no warning ${codes.join(" or ")} here to silence`;
      const fix = "remove the comment, or put it right above the line of the warning";
      warnings.push({ file, line, column, code: "TL902", reason, fix, automation: owner({ line }) });
    }
  }
  return warnings;
}

/** Above these lines a comment speaks of the whole automation. */
function firstLinesOf(tree: RuleMapping): number[] {
  return [...tree.entries.values()].slice(0, 2).map(({ keyPlace }) => keyPlace.line);
}

/** The automation that a comment stands in, or right above. */
function ownerOf(
  line: number,
  file: string,
  automations: readonly Automation[],
  sources: LoadedRules["sources"],
): string | null {
  const here = automations.flatMap(({ id, name }) => {
    const source = sources.get(id);
    return source?.file === file ? [{ name, line: source.tree.place.line }] : [];
  });
  return (here.findLast((one) => one.line <= line) ?? here[0])?.name ?? null;
}

/** Sorted as one reads; the same warning at the same place once. */
function inReadingOrder(warnings: readonly Warning[]): Warning[] {
  const unique = new Map(warnings.map((warning) => [formatWarning(warning), warning]));
  return [...unique.values()].sort(
    (a, b) =>
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) ||
      a.line - b.line ||
      a.column - b.column ||
      (a.code < b.code ? -1 : 1),
  );
}
