/** An explanation in words. */

import type { Decision, ExplainedTrigger, Explanation } from "../client/index.ts";
import { sentenceOf } from "../core/machine/explain.ts";
import { formatDuration, parseTime } from "../core/model/time.ts";
import { heldText, movedText } from "./output/gap-text.ts";
import { paint } from "./output/style.ts";
import { keyText, printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

/** What is explained, whether by a server or over a timeline. */
export type AnyExplanation = Omit<Explanation, "complete" | "changed_since">;

/** What one event was to one automation. */
export function explanationText(
  { automation, summary, triggers, fired }: AnyExplanation,
  view: View,
): string {
  const name = paint(printable(automation.name), fired ? "green" : "bold", view.colored);
  const lines = [`${name}: ${printable(summary)}`];
  for (const trigger of triggers) lines.push(...triggerLines(trigger, triggers.length > 1, view));
  return lines.join("\n");
}

/** The event that is explained. */
export function explainedEventText({ event }: Pick<AnyExplanation, "event">, view: View): string {
  const delay = (parseTime(event.received) ?? 0) - (parseTime(event.occurred) ?? 0);
  const received = delay === 0 ? "" : `, received ${formatDuration(delay)} later`;
  return printable(`event ${event.event} ${event.id}, occurred ${timeText(event.occurred, view)}${received}`);
}

function triggerLines(trigger: ExplainedTrigger, named: boolean, view: View): string[] {
  const { path, type, failed, decisions, missing, until, awaited, quiet_until: quietUntil } = trigger;
  const name = named ? `${type} trigger ${path === "" ? "(root)" : path}` : "trigger";
  const lines: string[] = [];
  if (failed !== null) lines.push(`  ${name} does not cover the event: ${sentenceOf(failed)}`);
  for (const decision of decisions) lines.push(...decisionLines(name, decision, view));
  if (missing !== null && missing > 0) {
    const which =
      awaited.length === 0 ? "" : ` of trigger${awaited.length === 1 ? "" : "s"} ${awaited.join(", ")}`;
    const end = until === null ? ", with no end" : `, until ${timeText(until, view)}`;
    lines.push(`    still missing: ${missing}${which}${end}`);
  }
  if (quietUntil !== null) lines.push(`    quiet until ${timeText(quietUntil, view)}`);
  return lines.map(printable);
}

function decisionLines(name: string, decision: Decision, view: View): string[] {
  const { at, outcome, before, after, labels } = decision;
  const key = keyText(labels);
  const line = `  ${timeText(at, view)}  ${name}${key === "" ? "" : ` ${key}`}: ${outcome}`;
  if (before === null && after === null) return [line];
  return [line, `    before  ${windowText(before, view)}`, `    after   ${windowText(after, view)}`];
}

function windowText(window: Decision["before"], view: View): string {
  if (window === null) return "no window";
  const { start, end, count, threshold, unresolved, unreachable_since: since } = window;
  const alarm = [
    unresolved ? ", an alarm is unresolved" : "",
    movedText(window, view),
    since === null ? "" : `, ${heldText(since, view)}`,
  ].join("");
  if (start === null) return `no window${alarm}`;
  return `[${timeText(start, view)}, ${end === null ? "no end" : timeText(end, view)}) with ${count} of ${threshold}${alarm}`;
}
