/** What a shell offers for the arguments and the values of options: files, or names that the server knows. */

import { Argument, type Option } from "commander";

/** Names that are asked for when they are needed; see complete-values.ts. */
export const valueKinds = [
  "automations",
  "deliveries",
  "endpoints",
  "event-names",
  "resources",
  "keys",
] as const;
export type ValueKind = (typeof valueKinds)[number];

export type Completable = ValueKind | "files" | "rule-files";

const kinds = new WeakMap<Argument | Option, Completable>();

/** Notes what completes an argument or an option. */
export function completeWith<T extends Argument | Option>(kind: Completable, target: T): T {
  kinds.set(target, kind);
  return target;
}

export function completableOf(target: Argument | Option): Completable | null {
  return kinds.get(target) ?? null;
}

/** The argument of commands that read rules. */
export function rulePathsArgument(description: string): Argument {
  return completeWith("rule-files", new Argument("[paths...]", `${description} (default: rules)`));
}
