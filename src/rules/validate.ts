/**
 * Validates a tree with a zod schema and finds all its mistakes at once.
 *
 * A schema stops at the first layer that does not fit: an unknown key hides that the value next to it is out of range.
 * So each mistake is repaired as well as possible (a misspelled key is renamed, an invalid value is removed) and the tree
 * is validated again, until there is nothing new to find. Mistakes that a repair may have caused are not reported.
 */

import { parseDocument } from "yaml";
import type { z } from "zod";
import { nearMiss } from "../core/model/near-miss.ts";
import { soleReferenceIn } from "../core/model/reference.ts";
import type { Place } from "./diagnostic.ts";
import { listed, messageOf, type SchemaIssue, suggestionFor, unknownKeyMessage } from "./mistake-message.ts";
import {
  plainValueOf,
  type RuleMapping,
  type RuleMistake,
  type RuleNode,
  type RuleScalar,
} from "./rule-tree.ts";
import { keysAt, typesWith } from "./schema-walk.ts";

export interface Validated<T> {
  /** Null when there are mistakes. */
  readonly value: T | null;
  readonly mistakes: readonly RuleMistake[];
}

/**
 * @param root is repaired in place: do not use it afterward
 * @param known scalars whose mistakes have been reported already
 */
export function validate<T>(
  schema: z.ZodType<T>,
  root: RuleNode,
  known: ReadonlySet<RuleNode> = new Set(),
): Validated<T> {
  const mistakes: RuleMistake[] = [];
  const report = (place: Place, message: string): void => {
    const isRepeated = mistakes.some((known) => known.place === place && known.message === message);
    if (!isRepeated) mistakes.push({ place, message });
  };
  let wasCut = false;
  for (let round = 0; round < roundCountMax; round++) {
    const value = plainValueOf(root);
    const parsed = schema.safeParse(value);
    if (parsed.success) return { value: mistakes.length === 0 ? parsed.data : null, mistakes };
    const { issues } = parsed.error;

    const misspelling = nearestMisspelling(schema, root, value, issues);
    if (misspelling !== null) {
      const { mapping, key, near, known: keys } = misspelling;
      report(mapping.entries.get(key)!.keyPlace, unknownKeyMessage(key, near, keys));
      renameKey(mapping, key, near);
      continue;
    }

    let wasRepaired = false;
    const cuts: (() => boolean)[] = [];
    for (const issue of issues) {
      if (issue.code === "unrecognized_keys") {
        const { mapping, keys } = unknownKeysOf(schema, root, value, issue);
        for (const key of issue.keys) {
          const entry = mapping.entries.get(key);
          if (entry === undefined) continue;
          report(
            entry.keyPlace,
            misplacedMessage(schema, key, value, issue) ??
              unknownKeyMessage(key, nearMiss(key, keys)?.word ?? null, keys),
          );
          cuts.push(() => mapping.entries.delete(key));
        }
        continue;
      }
      const steps = locate(root, issue.path);
      const found = steps.length === issue.path.length + 1 ? steps.at(-1)! : null;
      if (found === null && wasCut) {
        // A required value was removed in an earlier round. Remove what requires it, so that the rest can be validated.
        cuts.push(() => cut(steps, steps.length - 1));
        continue;
      }
      if (found !== null && reread(found)) {
        wasRepaired = true;
        continue;
      }
      if (found === null || !known.has(found)) {
        report((found ?? steps.at(-1)!).place, messageOf(issue, found));
      }
      const suggestion = found === null ? null : suggestionFor(issue, found);
      if (suggestion !== null && found?.kind === "scalar") {
        found.value = suggestion;
        wasRepaired = true;
      } else {
        // Without its type, or a similar field, a mapping cannot be validated. Then the whole mapping is removed.
        const decides = issue.code === "invalid_value" || "discriminator" in issue;
        cuts.push(() => cut(steps, decides ? issue.path.length - 1 : issue.path.length));
      }
    }
    if (wasRepaired) continue; // before anything is removed: the repaired value may solve the other issues
    if (!cuts.map((apply) => apply()).includes(true)) break;
    wasCut = true;
  }
  return { value: null, mistakes };
}

/** More rounds than a rule can have layers of mistakes that hide each other. */
const roundCountMax = 100;

interface Misspelling {
  readonly mapping: RuleMapping;
  readonly key: string;
  readonly near: string;
  readonly known: readonly string[];
}

/** The unknown key most similar to a known one. Only one at a time, because renaming a key to `type` changes the known keys. */
function nearestMisspelling(
  schema: z.ZodType,
  root: RuleNode,
  value: unknown,
  issues: readonly SchemaIssue[],
): Misspelling | null {
  let best: (Misspelling & { readonly distance: number }) | null = null;
  const consider = (mapping: RuleMapping, key: string, candidates: readonly string[]): void => {
    if (!mapping.entries.has(key)) return;
    const near = nearMiss(
      key,
      candidates.filter((candidate) => !mapping.entries.has(candidate)),
    );
    if (near === null) return;
    const { word, distance } = near;
    if (best === null || distance < best.distance)
      best = { mapping, key, near: word, known: candidates, distance };
  };
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") {
      const { mapping, keys } = unknownKeysOf(schema, root, value, issue);
      for (const key of issue.keys)
        if (misplacedMessage(schema, key, value, issue) === null) consider(mapping, key, keys);
    }
    if (issue.code === "invalid_union" && "discriminator" in issue) {
      const mapping = locate(root, issue.path.slice(0, -1)).at(-1);
      if (mapping?.kind !== "mapping") continue;
      for (const key of mapping.entries.keys()) consider(mapping, key, [String(issue.discriminator)]);
    }
  }
  return best;
}

function unknownKeysOf(
  schema: z.ZodType,
  root: RuleNode,
  value: unknown,
  issue: SchemaIssue,
): { mapping: RuleMapping; keys: string[] } {
  return {
    mapping: locate(root, issue.path).at(-1) as RuleMapping,
    keys: keysAt(schema, issue.path, value) ?? [],
  };
}

/** The message for a key that is valid elsewhere. The most common mistake in YAML is lost indentation. */
function misplacedMessage(
  schema: z.ZodType,
  key: string,
  value: unknown,
  { path }: SchemaIssue,
): string | null {
  const isKeyAt = (place: readonly PropertyKey[]): boolean =>
    keysAt(schema, place, value)?.includes(key) ?? false;
  if (path.length === 0)
    return isKeyAt(["trigger"]) ? `\`${key}\` belongs to the trigger; indent it under trigger:` : null;
  if (isKeyAt([...path, "schedule"]))
    return `\`${key}\` belongs to the schedule; write schedule: {${key}: …}`;
  const types = typesWith(schema, path, value, key);
  if (types.length === 0) return null;
  return `\`${key}\` belongs to type: ${listed(types, "or")}; give the trigger that type`;
}

/** The nodes from the root along the path, as far as it exists. */
function locate(root: RuleNode, path: readonly PropertyKey[]): RuleNode[] {
  const steps = [root];
  for (const step of path) {
    const last = steps.at(-1)!;
    const child =
      last.kind === "list"
        ? last.items[Number(step)]
        : last.kind === "mapping"
          ? last.entries.get(String(step))?.node
          : undefined;
    if (child === undefined) break;
    steps.push(child);
  }
  return steps;
}

/** Removes the entry whose value is `depth` steps from the root, or the nearest entry around it. */
function cut(steps: readonly RuleNode[], depth: number): boolean {
  for (let index = Math.min(depth, steps.length - 1); index > 0; index--) {
    const owner = steps[index - 1]!;
    if (owner.kind !== "mapping") continue;
    for (const [key, { node }] of owner.entries) {
      if (node === steps[index]) return owner.entries.delete(key);
    }
  }
  return false;
}

function renameKey(mapping: RuleMapping, from: string, to: string): void {
  mapping.entries = new Map([...mapping.entries].map(([key, entry]) => [key === from ? to : key, entry]));
}

/** Rereads text from the environment as YAML, where a number or a boolean is expected. @returns true if it became one */
function reread(node: RuleNode): boolean {
  if (node.kind !== "scalar" || node.written === undefined || soleReferenceIn(node.written) === null)
    return false;
  if (typeof node.value !== "string") return false;
  const scalar: RuleScalar["value"] = parseScalar(node.value);
  if (typeof scalar === "string" || scalar === null) return false;
  node.value = scalar;
  return true;
}

function parseScalar(text: string): RuleScalar["value"] {
  if (!/^[-+.\w]{1,40}$/.test(text)) return text;
  const value: unknown = parseDocument(text).toJS();
  return typeof value === "number" || typeof value === "boolean" ? value : text;
}
