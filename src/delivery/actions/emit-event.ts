/** `emit-event`: appends an event to the log, with the firing as its cause. */

import { EventSchema } from "../../core/model/event.ts";
import { eventBytesMax } from "../../core/model/limits.ts";
import { formatTime, millisecond } from "../../core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";
import { emitEventProblem } from "../../templates/action-checks.ts";
import type { RunAction } from "../attempt.ts";

export const emitEvent: RunAction<"emit-event"> = async (action, invocation, { log, renderer }) => {
  const problem = emitEventProblem(action);
  if (problem !== null) return { kind: "failed", reason: problem };
  const { automation, firing } = invocation;
  const rendered = EventSchema.safeParse({
    // Derived from the invocation: a repeated attempt appends the same event, which counts once.
    id: uuid5(triplineNamespace, `emitted ${invocation.id}`),
    occurred: formatTime(Date.now() * millisecond),
    event: renderer.text(action.event),
    resource:
      action.resource !== undefined
        ? renderer.tree(action.resource)
        : (firing.triggering_event?.resource ?? {
            "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
            "prefect-cloud.name": automation.name,
          }),
    related: renderer.tree(action.related),
    payload: renderer.tree(action.payload),
    follows: invocation.firingEventId,
  });
  if (!rendered.success) {
    const found = rendered.error.issues
      .map(({ path, message }) => `${path.join(".")}: ${message}`)
      .join("; ");
    return { kind: "failed", reason: `invalid event: ${found}` };
  }
  const event = rendered.data;
  const bytes = Buffer.byteLength(JSON.stringify(event));
  if (bytes > eventBytesMax) {
    return { kind: "failed", reason: `the event is too large: ${bytes} bytes (limit ${eventBytesMax})` };
  }
  await log.appendEvents([{ event, lineage: invocation.lineage, trace: invocation.trace }]);
  return { kind: "executed", result: { event: event.event, event_id: event.id } };
};
