/** Finds what is valid in loaded rules, but almost certainly a mistake. */

import type { Automation } from "../core/model/automation.ts";
import { latenessDefault } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import type { LoadedRules } from "../rules/load.ts";
import type { RuleMapping } from "../rules/rule-tree.ts";
import { findActionMistakes } from "./actions.ts";
import type { CompiledRule } from "./consequences.ts";
import { findDayMistakes } from "./days.ts";
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
  /** The server's lateness for triggers that set none. Default: the server's own default. */
  readonly latenessDefault?: Micros;
  /** How much may be compared to find loops. Beyond it, none are reported. Default: any amount. */
  readonly comparisonsMax?: number;
}

/**
 * Every warning, in reading order. If some rules have mistakes, only the others are checked. Automations without a source
 * are taken into account, and not warned about.
 */
export function lintRules(rules: LoadedRules, options: LintOptions = {}): Warning[] {
  const { automations, sources, diagnostics } = rules;
  const isComplete = diagnostics.length === 0;
  const lateness = options.latenessDefault ?? latenessDefault;
  const compiledRules: CompiledRule[] = automations.map((automation) => ({
    automation,
    part: partOf(automation.trigger, lateness),
  }));
  const reactions = reactionsAmong(compiledRules, options.comparisonsMax ?? Number.POSITIVE_INFINITY);
  const watched = reactions === null ? null : watchedIn(reactions);
  const context = {
    names: isComplete ? new Set(automations.map(({ name }) => name)) : null,
  };
  const findings: Finding[] = reactions === null ? [] : [...findLoops(reactions)];
  for (const { automation, part } of compiledRules) {
    const source = sources.get(automation.id);
    if (source === undefined) continue;
    const isWatched = watched === null || watched.has(automation.id) || !isComplete;
    const found: TriggerFinding[] = [
      ...findNeverFiring(part),
      ...partsOf(part).flatMap((inner) => [
        ...(inner.kind === "event"
          ? [...findMatchingMistakes(inner), ...findIdleSettings(inner, source), ...findDayMistakes(inner)]
          : []),
        ...findMemoryMistakes(inner),
      ]),
      ...findActionMistakes(automation, part, { ...context, isWatched }),
    ];
    findings.push(...found.map((finding) => ({ ...finding, automation })));
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
    const silencing = [automation, ...others].flatMap(({ id }) => {
      const involved = sources.get(id);
      if (involved === undefined) return [];
      const lines = [placeOf(involved.tree, path).line, ...firstLinesOf(involved.tree)];
      const comments = ignores.get(involved.file)?.comments ?? [];
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
    // An automation with mistakes is not checked, so it is unknown what its comments would silence.
    for (const comment of diagnostics.length === 0 ? comments : []) {
      if (used.has(comment)) continue;
      const { line, column, codes } = comment;
      const reason = `the comment silences nothing, because there is no warning ${codes.join(" or ")} here`;
      const fix = "remove the comment, or move it directly above the line of the warning";
      warnings.push({ file, line, column, code: "TL902", reason, fix, automation: owner({ line }) });
    }
  }
  return warnings;
}

/** Above these lines, a comment applies to the whole automation. */
function firstLinesOf(tree: RuleMapping): number[] {
  return [...tree.entries.values()].slice(0, 2).map(({ keyPlace }) => keyPlace.line);
}

/** The automation that contains a comment, or that follows directly after it. */
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
  return (here.findLast((source) => source.line <= line) ?? here[0])?.name ?? null;
}

/** The warnings in reading order, without duplicates. */
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
