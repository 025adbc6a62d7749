/**
 * Finds out what an id belongs to: an event, a firing, a delivery, or an automation, whose name will do as well.
 *
 * Ids of firings and deliveries are not stored anywhere by themselves. The events about them have ids derived from
 * theirs, so the history finds those.
 */

import type { AutomationView, ReceivedEvent, Tripline } from "../client/index.ts";
import { Refused } from "../client/index.ts";
import { actionEventIdsOf, firingEventIdOf, relatedEventIdOf } from "../core/machine/consequence.ts";
import { isUuid, normalizeUuid } from "../core/model/event.ts";
import { CommandFailure } from "./failure.ts";

export interface FoundFiring {
  readonly kind: "firing" | "delivery";
  /** Of the delivery, or of the event about the firing. */
  readonly id: string;
  readonly automation: { readonly id: string; readonly name: string };
  /** The event that caused the firing; null when a silence did. */
  readonly triggeringEventId: string | null;
  /** The event about the firing: `prefect-cloud.automation.triggered` or `….resolved`. */
  readonly firingEventId: string;
}

export type FoundId =
  | { readonly kind: "automation"; readonly automation: AutomationView }
  /** `event` is null where the history does not hold it; the log still may. */
  | { readonly kind: "event"; readonly id: string; readonly event: ReceivedEvent | null }
  | FoundFiring;

/** How many of the newest events are searched for an id of which only the beginning is given. */
const searchedCountMax = 1_000;

const idBeginning = /^[0-9a-f][0-9a-f-]{3,35}$/i;

/** @throws CommandFailure when nothing has this id, or when its beginning fits several */
export async function findId(tripline: Tripline, idOrName: string): Promise<FoundId> {
  const [automation, ...others] = await tripline.automations.list({ names: [idOrName] });
  if (automation !== undefined && others.length === 0) return { kind: "automation", automation };
  if (isUuid(idOrName)) return findWholeId(tripline, normalizeUuid(idOrName));
  if (!idBeginning.test(idOrName)) throw unknown(idOrName);
  const ids = await idsBeginning(tripline, idOrName.toLowerCase());
  const [id, ...more] = ids;
  if (id === undefined) {
    throw new CommandFailure(
      `Nothing has an id that begins with ${idOrName} among the automations, the dead letters and the newest ` +
        `${searchedCountMax} events. Give the whole id.`,
    );
  }
  if (more.length === 0) return findWholeId(tripline, id);
  const listed = ids.slice(0, 10).map((each) => `  ${each}`);
  throw new CommandFailure(
    `${ids.length} ids begin with ${idOrName}. Give more of one:\n${listed.join("\n")}`,
  );
}

async function findWholeId(tripline: Tripline, id: string): Promise<FoundId> {
  const automation = (await tripline.automations.list()).find((each) => each.id === id);
  if (automation !== undefined) return { kind: "automation", automation };
  const aboutFiring = firingEventIdOf(id);
  const events = await eventsWithIds(tripline, [id, aboutFiring, ...actionEventIdsOf(id)]);
  const itself = events.find((event) => event.id === id);
  const about = itself ?? events.find((event) => event.id === aboutFiring) ?? events[0];
  return (
    (about === undefined ? null : firingOrDelivery(about)) ?? { kind: "event", id, event: itself ?? null }
  );
}

/** The firing or delivery that one of Tripline's own events is about; null for any other event. */
function firingOrDelivery(event: ReceivedEvent): FoundFiring | null {
  const name = /^prefect-cloud\.automation\.(?:action\.)?(?:triggered|resolved|executed|failed)$/;
  const automationId = /^prefect-cloud\.automation\.([0-9a-f-]{36})/.exec(
    event.resource["prefect.resource.id"] ?? "",
  )?.[1];
  if (!name.test(event.event) || automationId === undefined) return null;
  const automation = { id: automationId, name: event.resource["prefect.resource.name"] ?? automationId };
  const triggeringEventId = relatedEventIdOf(event, "triggering-event");
  const { invocation } = event.payload;
  if (typeof invocation === "string") {
    const firingEventId = relatedEventIdOf(event, "automation-triggered-event") ?? event.id;
    return { kind: "delivery", id: invocation, automation, triggeringEventId, firingEventId };
  }
  return { kind: "firing", id: event.id, automation, triggeringEventId, firingEventId: event.id };
}

/** Empty where the server keeps no history. */
export async function eventsWithIds(tripline: Tripline, ids: readonly string[]): Promise<ReceivedEvent[]> {
  return emptyWithoutHistory(async () => {
    const page = await tripline.events.page({ id: { id: ids } });
    return page.events as ReceivedEvent[];
  });
}

/** What Tripline itself did about an event or a firing, in order. Empty where the server keeps no history. */
export async function consequencesOf(tripline: Tripline, eventId: string): Promise<ReceivedEvent[]> {
  return emptyWithoutHistory(async () => {
    const related = { id: [`prefect-cloud.event.${eventId}`] };
    const filter = { related, event: { prefix: ["prefect-cloud.automation."] }, order: "ASC" } as const;
    return (await tripline.events.page(filter, { limit: 100 })).events as ReceivedEvent[];
  });
}

async function idsBeginning(tripline: Tripline, beginning: string): Promise<string[]> {
  const candidates: string[] = (await tripline.automations.list()).map(({ id }) => id);
  const { deliveries } = await tripline.deliveries.list({ limit: 200 });
  candidates.push(...deliveries.map(({ id }) => id));
  const found = new Set(candidates.filter((id) => id.startsWith(beginning)));
  await emptyWithoutHistory(async () => {
    let searchedCount = 0;
    for await (const { id, payload } of tripline.events.filter({}, { pageSize: 100 })) {
      const { invocation } = payload;
      if (id.startsWith(beginning)) found.add(id);
      if (typeof invocation === "string" && invocation.startsWith(beginning)) found.add(invocation);
      searchedCount += 1;
      if (searchedCount === searchedCountMax) break;
    }
    return [];
  });
  return [...found];
}

/** A server without a history answers 404 to queries for events. */
export async function emptyWithoutHistory<T>(ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return [];
    throw error;
  }
}

function unknown(idOrName: string): CommandFailure {
  return new CommandFailure(
    `${JSON.stringify(idOrName)} is neither an id nor the name of an automation. ` +
      "List them with: tripline events ls, tripline automations ls",
  );
}
