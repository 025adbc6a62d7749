/** Triggers that wait for events of which none has a name that was ever recorded. */

import type { Glob } from "../core/model/glob.ts";
import type { TriggerPart } from "./triggers.ts";

/**
 * The patterns that keep a trigger from firing, because no recorded name matches one of them; none if it can fire without
 * other events than those that came.
 *
 * @param isRecorded whether the name of some recorded event matches one of the patterns
 */
export function unheardPatterns(
  part: TriggerPart,
  isRecorded: (patterns: readonly Glob[]) => boolean,
): readonly string[] {
  if (part.kind === "composite") {
    const missing = part.children.map((child) => unheardPatterns(child, isRecorded));
    const firingCount = missing.filter((patterns) => patterns.length === 0).length;
    return firingCount < part.requiredCount ? [...new Set(missing.flat())] : [];
  }
  const { definition, compiled, labels } = part;
  const { expect, after } = compiled;
  const needed: (readonly Glob[])[] = after.length > 0 ? [after] : [];
  // Absence fires without what is expected, unless only that shows for which keys it is expected.
  const needsExpected = definition.posture === "Reactive" || (after.length === 0 && labels.length > 0);
  if (needsExpected && expect.length > 0) needed.push(expect);
  return needed
    .filter((patterns) => !isRecorded(patterns))
    .flatMap((patterns) => patterns.map(({ pattern }) => pattern));
}
