/** `emit-event`: appends an event to the log, with the firing as its cause. */

import { emittedEventIdOf } from "../../core/machine/consequence.ts";
import type { EmitEventDefinition } from "../../core/model/action.ts";
import { EventSchema, type WireEvent } from "../../core/model/event.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import { eventBytesMax } from "../../core/model/limits.ts";
import { formatTime, type Micros, millisecond } from "../../core/model/time.ts";
import { emitEventProblem } from "../../templates/action-checks.ts";
import type { Renderer } from "../../templates/renderer.ts";
import { TemplateError } from "../../templates/template.ts";
import type { RunAction } from "../attempt.ts";

export const emitEvent: RunAction<"emit-event"> = async (action, invocation, tools) => {
  const { log, renderer, clock } = tools;
  const rendered = renderEvent(action, invocation, renderer, clock.timeOfDay() * millisecond);
  if ("problem" in rendered) return { kind: "failed", reason: rendered.problem };
  const { event } = rendered;
  await log.appendEvents([{ event, lineage: invocation.lineage, trace: invocation.trace }]);
  return { kind: "executed", result: { event: event.event, event_id: event.id } };
};

/** The event that an action emits, or why it cannot. @throws TemplateError */
export function renderEvent(
  action: EmitEventDefinition,
  invocation: Invocation,
  renderer: Renderer,
  occurred: Micros,
): { readonly event: WireEvent } | { readonly problem: string } {
  const problem = emitEventProblem(action);
  if (problem !== null) return { problem };
  const { automation, firing } = invocation;
  const rendered = EventSchema.safeParse({
    id: emittedEventIdOf(invocation.id),
    occurred: formatTime(occurred),
    event: renderNeeded("event", () => renderer.text(action.event)),
    resource:
      action.resource !== undefined
        ? renderLabels(action.resource, "resource", ["prefect.resource.id"], renderer)
        : (firing.triggering_event?.resource ?? {
            "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
            "prefect-cloud.name": automation.name,
          }),
    related: action.related.map((labels, index) =>
      renderLabels(labels, `related.${index}`, ["prefect.resource.id", "prefect.resource.role"], renderer),
    ),
    payload: renderPayload(action.payload, renderer),
    follows: invocation.firingEventId,
  });
  if (!rendered.success) {
    const found = rendered.error.issues
      .map(({ path, message }) => `${path.join(".")}: ${message}`)
      .join("; ");
    return { problem: `invalid event: ${found}` };
  }
  const event = rendered.data;
  const bytes = Buffer.byteLength(JSON.stringify(event));
  if (bytes > eventBytesMax) {
    return { problem: `the event is too large: ${bytes} bytes (limit ${eventBytesMax})` };
  }
  return { event };
}

/** Nothing can take the place of an event's name or of an id: other automations match them. @throws TemplateError */
function renderNeeded(field: string, render: () => string): string {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new TemplateError(
      `no event was emitted, because the template of ${field} failed: ${error.message}`,
    );
  }
}

/** Renders labels. One that cannot be rendered is left out, unless it is needed. @throws TemplateError */
function renderLabels(
  labels: Readonly<Record<string, string>>,
  field: string,
  needed: readonly string[],
  renderer: Renderer,
): Record<string, string> {
  const rendered = Object.entries(labels).flatMap(([label, template]): [string, string][] => {
    const place = `${field}.${label}`;
    if (needed.includes(label)) return [[label, renderNeeded(place, () => renderer.whole(template))]];
    const text = renderer.textOr(place, template, () => null);
    return text === null ? [] : [[label, text]];
  });
  return Object.fromEntries(rendered);
}

/** A part that cannot be rendered is null, and the payload itself says why, for whoever reads the event. */
function renderPayload(payload: EmitEventDefinition["payload"], renderer: Renderer): object {
  const before = renderer.failures.length;
  const rendered = renderer.tree(payload, "payload", () => null) as object;
  const failures = renderer.failures.slice(before);
  return failures.length === 0 ? rendered : { ...rendered, template_failures: failures };
}
