/** What follows from a firing: the events that report it, and the actions to run. All ids are derived. */

import type { ActionDefinition } from "../model/action.ts";
import type { Automation } from "../model/automation.ts";
import { receivedEvent, type WireEvent, type WireResource } from "../model/event.ts";
import type { Invocation, ShownAutomation, ShownFiring } from "../model/invocation.ts";
import { referencesIn } from "../model/reference.ts";
import { formatTime, type Micros } from "../model/time.ts";
import type { TraceContext } from "../model/trace-context.ts";
import { triplineNamespace, uuid5 } from "../model/uuid.ts";
import type { Firing, LoopCut, TriggerFiring } from "./firing.ts";
import { automationsIn } from "./loop-guard.ts";
import { orderingOf, thingOf } from "./ordering.ts";

/** The event `prefect-cloud.automation.triggered` or `….resolved`. */
export function firingEvent(firing: Firing): WireEvent {
  const { triggered, triggering_labels, triggering_event, window, triggering_firings } = showFiring(firing);
  return {
    occurred: triggered,
    event: `prefect-cloud.automation.${firing.state === "Triggered" ? "triggered" : "resolved"}`,
    resource: automationResource(firing.automation),
    related: triggering_event === null ? [] : [eventResource(triggering_event.id, "triggering-event")],
    payload: {
      firing_id: firing.id,
      triggering_labels,
      triggering_event,
      window,
      ...(firing.state === "Resolved" ? { late: firing.late } : {}),
      ...(triggering_firings.length > 0 ? { triggering_firings } : {}),
    },
    id: firingEventIdOf(firing.id),
    follows: triggering_event?.id ?? null,
  };
}

/** The event `prefect-cloud.automation.loop-cut`: an automation did not react to what its own firing had caused. */
export function loopCutEvent({ id, automation, event, at }: LoopCut): WireEvent {
  return {
    occurred: formatTime(at),
    event: "prefect-cloud.automation.loop-cut",
    resource: automationResource(automation),
    related: [eventResource(event.id, "triggering-event")],
    payload: { event: event.name, caused_by_automations: automationsIn(event.lineage) },
    id,
    follows: event.id,
  };
}

/**
 * The actions to run, in order: `actions` and `actions_on_trigger` for a firing, `actions_on_resolve` for a resolution.
 *
 * @param trace the trace that the deliveries continue; by default the trace of the event that caused the firing
 */
export function invocationsOf(firing: Firing, trace = tracesOf(firing).parent): Invocation[] {
  const { automation } = firing;
  const onTrigger = [...automation.actions, ...automation.actions_on_trigger];
  const [actions, firstIndex] =
    firing.state === "Triggered" ? [onTrigger, 0] : [automation.actions_on_resolve, onTrigger.length];
  const shownFiring = showFiring(firing);
  const thing = thingOf(firing);
  return actions.map((action, index) => {
    const ordering = orderingOf(action, automation, thing);
    return {
      id: invocationIdAt(firing.id, firstIndex + index),
      actionIndex: firstIndex + index,
      action,
      secrets: secretsOf(action, automation),
      automation: showAutomation(automation),
      firing: shownFiring,
      lineage: firing.lineage,
      firingEventId: firingEventIdOf(firing.id),
      ...(ordering === null ? {} : { ordering }),
      ...(trace === null ? {} : { trace }),
    };
  });
}

export interface FiringTraces {
  /** The trace of the event that caused the firing; null for an absence, which no event causes. */
  readonly parent: TraceContext | null;
  /** The traces of other events involved: those of a composite's other children, and the last event before a silence. */
  readonly links: readonly TraceContext[];
}

/** The traces of the events behind a firing. */
export function tracesOf(firing: TriggerFiring): FiringTraces {
  const parent = parentTrace(firing);
  const links = new Set(allTraces(firing).filter((trace) => trace !== parent));
  return { parent, links: [...links] };
}

function parentTrace(firing: TriggerFiring): TraceContext | null {
  const { state, window, event, firings } = firing;
  // A composite fires because of the child that fired last.
  const last = firings.toSorted((a, b) => a.triggered - b.triggered).at(-1);
  if (last !== undefined) return parentTrace(last);
  const isAbsence = state === "Triggered" && window !== null && window.count < window.threshold;
  return isAbsence ? null : (event?.trace ?? null);
}

function allTraces({ event, firings }: TriggerFiring): TraceContext[] {
  const own = event?.trace ?? null;
  return [...firings.flatMap(allTraces), ...(own === null ? [] : [own])];
}

/** The steps of a delivery that events report. */
const actionEventKinds = ["triggered", "executed", "failed"] as const;

type ActionEventKind = (typeof actionEventKinds)[number];

/** The ids of the events that report the steps of a delivery, in order. Those of a redelivery differ. */
export function actionEventIdsOf(invocationId: string): string[] {
  return actionEventKinds.map((kind) => actionEventIdOf(invocationId, kind));
}

function actionEventIdOf(invocationId: string, kind: ActionEventKind): string {
  return uuid5(invocationId, kind);
}

/**
 * The event `prefect-cloud.automation.action.triggered`, `….executed` or `….failed`.
 *
 * @param at when it happened
 * @param result the action's result, for the payload: `status_code`, `attempts`, … or `reason`
 */
export function actionEvent(
  invocation: Invocation,
  kind: ActionEventKind,
  at: Micros,
  result: Readonly<Record<string, unknown>> = {},
): WireEvent {
  const { id, automation, action, actionIndex, firing, firingEventId } = invocation;
  const automationId = `prefect-cloud.automation.${automation.id}`;
  return {
    occurred: formatTime(at),
    event: `prefect-cloud.automation.action.${kind}`,
    resource: {
      "prefect.resource.id": `${automationId}.action.${actionIndex}`,
      "prefect.resource.name": automation.name,
      "prefect-cloud.action.type": action.type,
      // A label, because triggers can match it.
      ...(result["template_failures"] === undefined ? {} : { "prefect-cloud.action.template": "failed" }),
    },
    related: [
      {
        "prefect.resource.id": automationId,
        "prefect.resource.role": "automation",
        "prefect.resource.name": automation.name,
        "prefect-cloud.name": automation.name,
        ...(automation.posture === null ? {} : { "prefect-cloud.posture": automation.posture }),
      },
      ...(firing.triggering_event === null
        ? []
        : [eventResource(firing.triggering_event.id, "triggering-event")]),
      eventResource(firingEventId, "automation-triggered-event"),
    ],
    payload: { action_index: actionIndex, action_type: action.type, invocation: id, ...result },
    id: actionEventIdOf(id, kind),
    follows: kind === "triggered" ? firingEventId : actionEventIdOf(id, "triggered"),
  };
}

export function showFiring(firing: TriggerFiring): ShownFiring {
  const { window } = firing;
  return {
    id: firing.id,
    trigger_id: firing.triggerId,
    trigger_states: [firing.state],
    triggered: formatTime(firing.triggered),
    triggering_labels: firing.labels,
    triggering_event: firing.event === null ? null : receivedEvent(firing.event),
    window:
      window === null
        ? null
        : {
            ...window,
            start: formatTime(window.start),
            end: window.end === null ? null : formatTime(window.end),
          },
    late: firing.late,
    triggering_firings: firing.firings.map(showFiring),
  };
}

/** An automation as templates and webhooks show it. */
export function showAutomation({
  id,
  name,
  description,
  tags,
  enabled,
  trigger,
}: Automation): ShownAutomation {
  return { id, name, description, tags, enabled, posture: trigger.type === "event" ? trigger.posture : null };
}

/** The id of the invocation of an automation's action, by its index. */
export function invocationIdAt(firingId: string, actionIndex: number): string {
  return uuid5(firingId, `action ${actionIndex}`);
}

/** The id of the event that an `emit-event` action emits: a repeated attempt emits the same event. */
export function emittedEventIdOf(invocationId: string): string {
  return uuid5(triplineNamespace, `emitted ${invocationId}`);
}

/** The id of the event that reports a firing. */
export function firingEventIdOf(firingId: string): string {
  return uuid5(firingId, "event");
}

function automationResource(automation: Automation): WireResource {
  const { posture } = showAutomation(automation);
  return {
    "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
    "prefect.resource.name": automation.name,
    ...(posture === null ? {} : { "prefect.posture": posture }),
  };
}

/** How one of Tripline's own events relates to another event. */
type RelatedEventRole = "triggering-event" | "automation-triggered-event";

const eventIdPrefix = "prefect-cloud.event.";

function eventResource(id: string, role: RelatedEventRole): WireResource {
  return { "prefect.resource.id": `${eventIdPrefix}${id}`, "prefect.resource.role": role };
}

/** The id of the event that one of Tripline's own events relates to in a role; null if there is none. */
export function relatedEventIdOf(
  { related }: Pick<WireEvent, "related">,
  role: RelatedEventRole,
): string | null {
  const found = related.find((resource) => resource["prefect.resource.role"] === role);
  const id = found?.["prefect.resource.id"] ?? "";
  return id.startsWith(eventIdPrefix) && id !== eventIdPrefix ? id.slice(eventIdPrefix.length) : null;
}

/** What one of Tripline's own events reports. */
export interface Reported {
  readonly kind: "firing" | "delivery";
  /** Of the delivery, or of the event about the firing. */
  readonly id: string;
  readonly automation: { readonly id: string; readonly name: string };
  /** The event that caused the firing; null if an absence did. */
  readonly triggeringEventId: string | null;
  /** The event about the firing. */
  readonly firingEventId: string;
}

/** The firing or the delivery that `firingEvent` or `actionEvent` made an event about; null for any other event. */
export function reportedBy(event: WireEvent): Reported | null {
  const automationId = automationIdPattern.exec(event.resource["prefect.resource.id"] ?? "")?.[1];
  if (!reportNamePattern.test(event.event) || automationId === undefined) return null;
  const automation = { id: automationId, name: event.resource["prefect.resource.name"] ?? automationId };
  const triggeringEventId = relatedEventIdOf(event, "triggering-event");
  const invocationId = invocationIdOf(event);
  if (invocationId === null) {
    return { kind: "firing", id: event.id, automation, triggeringEventId, firingEventId: event.id };
  }
  const firingEventId = relatedEventIdOf(event, "automation-triggered-event") ?? event.id;
  return { kind: "delivery", id: invocationId, automation, triggeringEventId, firingEventId };
}

const reportNamePattern = /^prefect-cloud\.automation\.(?:action\.)?(?:triggered|resolved|executed|failed)$/;
const automationIdPattern = /^prefect-cloud\.automation\.([0-9a-f-]{36})/;

/** The delivery that an event of `actionEvent` is about; null for any other event. */
export function invocationIdOf({ payload }: Pick<WireEvent, "payload">): string | null {
  const { invocation } = payload;
  return typeof invocation === "string" ? invocation : null;
}

/** The secrets that the action refers to. A job should carry no others. */
export function secretsOf(action: ActionDefinition, { secrets }: Automation): Record<string, string> {
  const named = new Set(referencesIn(JSON.stringify(action)).map(({ name }) => name));
  return Object.fromEntries(Object.entries(secrets).filter(([name]) => named.has(name)));
}
