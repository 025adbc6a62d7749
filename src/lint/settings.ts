/** Warnings about settings of a trigger that have no effect. */

import type { RuleSource } from "../rules/load.ts";
import { isWritten } from "./places.ts";
import type { EventPart } from "./triggers.ts";
import type { TriggerFinding } from "./warning.ts";

export function findIdleSettings(
  { definition, compiled, path }: EventPart,
  source: Pick<RuleSource, "tree">,
): TriggerFinding[] {
  const found: TriggerFinding[] = [];
  if (definition.threshold === 0) {
    const reason = "threshold 0 means 1: nothing can be counted before it happens";
    const fix =
      "write 1, or remove it; to report something that should not happen, expect it, and to report an absence, use posture: Proactive";
    found.push({ code: "TL501", path: [...path, "threshold"], reason, fix });
  }
  const isTimeless =
    definition.posture === "Reactive" && compiled.within === 0 && definition.schedule === undefined;
  const mayBeWritten = isTimeless && definition.lateness !== undefined;
  // The tree may be made only when it is asked for.
  if (mayBeWritten && isWritten(source.tree, [...path, "lateness"])) {
    const reason = "without within, a Reactive trigger does not wait for events, so lateness has no effect";
    found.push({ code: "TL502", path: [...path, "lateness"], reason, fix: "remove it, or give within" });
  }
  return found;
}
