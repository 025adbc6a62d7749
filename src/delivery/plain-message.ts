/** What an alarm says when its template cannot be rendered: what fired, and why there is no more. */

import { cut } from "../core/model/cut.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { TemplateFailure } from "../templates/renderer.ts";

const nameLengthMax = 200;
const labelsLengthMax = 1_000;
const failuresLengthMax = 1_000;

/** A text for people: the automation, the key, the event, and which of the automation's own templates failed. */
export function plainMessage(
  { automation, firing }: Pick<Invocation, "automation" | "firing">,
  failures: readonly TemplateFailure[],
): string {
  const [state] = firing.trigger_states;
  const labels = Object.entries(firing.triggering_labels).map(([label, value]) => `${label}=${value}`);
  const key = labels.length === 0 ? "" : ` (${cut(labels.join(", "), labelsLengthMax)})`;
  const event = firing.triggering_event;
  const name = cut(automation.name, nameLengthMax);
  const subject = event?.resource["prefect.resource.name"] ?? event?.resource["prefect.resource.id"] ?? "";
  return [
    `${name} ${state === "Resolved" ? "is resolved" : "fired"}${key} at ${firing.triggered}.`,
    event === null
      ? "There was no event."
      : `Event: ${cut(event.event, nameLengthMax)} of ${cut(subject, nameLengthMax)} at ${event.occurred}, id ${event.id}.`,
    failureNote(failures),
  ].join("\n");
}

/** One sentence that says which templates failed, and why. */
export function failureNote(failures: readonly TemplateFailure[]): string {
  const found = failures.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return `The template of this message failed, so it is plain. ${cut(found, failuresLengthMax)}`;
}
