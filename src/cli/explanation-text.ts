/** An explanation in words. */

import type { Explanation } from "../client/index.ts";
import { sentenceOf } from "../core/machine/explain.ts";
import { formatDuration, parseTime } from "../core/model/time.ts";

type TriggerPart = Explanation["triggers"][number];
type Decision = TriggerPart["decisions"][number];

/** What is said of one event and one automation. */
export function explanationText({
  automation,
  event,
  summary,
  triggers,
}: Omit<Explanation, "complete">): string {
  const delay = (parseTime(event.received) ?? 0) - (parseTime(event.occurred) ?? 0);
  const lines = [
    `${automation.name}: ${summary}`,
    `  event    ${event.event} ${event.id}, occurred ${event.occurred}${delay === 0 ? "" : `, received ${formatDuration(delay)} later`}`,
  ];
  for (const trigger of triggers) lines.push(...linesOfTrigger(trigger, triggers.length > 1));
  return lines.join("\n");
}

function linesOfTrigger(
  { path, type, failed, decisions, missing, until, awaited, quiet_until }: TriggerPart,
  named: boolean,
): string[] {
  const name = named ? `${type} trigger ${path === "" ? "(root)" : path}` : "trigger";
  const lines: string[] = [];
  if (failed !== null) lines.push(`  ${name} does not cover it: ${sentenceOf(failed)}`);
  for (const decision of decisions) lines.push(...linesOfDecision(name, decision));
  if (missing !== null && missing > 0) {
    const which =
      awaited.length === 0 ? "" : ` of trigger${awaited.length === 1 ? "" : "s"} ${awaited.join(", ")}`;
    lines.push(
      `    still missing: ${missing}${which}${until === null ? ", with no end" : `, until ${until}`}`,
    );
  }
  if (quiet_until !== null) lines.push(`    quiet until ${quiet_until}`);
  return lines;
}

function linesOfDecision(name: string, { at, outcome, before, after, labels }: Decision): string[] {
  const key = Object.entries(labels).map(([label, value]) => ` ${label}=${value}`);
  return [
    `  ${at}  ${name}${key.join("")}: ${outcome}`,
    `    before  ${windowText(before)}`,
    `    after   ${windowText(after)}`,
  ];
}

function windowText(window: Decision["before"]): string {
  if (window === null) return "no window";
  const { start, end, count, threshold, unresolved } = window;
  const alarm = unresolved ? ", an alarm is unresolved" : "";
  if (start === null) return `no window${alarm}`;
  return `[${start}, ${end === null ? "no end" : end}) with ${count} of ${threshold}${alarm}`;
}
