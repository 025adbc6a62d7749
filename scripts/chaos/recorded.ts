/** What the history says at the end of a chaos run. */

import { Tripline } from "../../src/client/index.ts";

export interface RecordedFiring {
  readonly id: string;
  readonly rule: string;
  readonly resource: string;
  readonly state: "Triggered" | "Resolved";
  readonly eventId: string | null;
}

export interface RecordedRun {
  /** The id of each event of the load that the history holds, as often as it holds it. */
  readonly eventIds: readonly string[];
  readonly firings: readonly RecordedFiring[];
}

const firingNames = {
  "prefect-cloud.automation.triggered": "Triggered",
  "prefect-cloud.automation.resolved": "Resolved",
} as const;

interface FiringPayload {
  readonly firing_id: string;
  readonly triggering_labels: Record<string, string>;
  readonly triggering_event: { readonly id: string; readonly resource: Record<string, string> } | null;
}

/** Reads everything; the server first records what was acknowledged before. @throws if it cannot be reached */
export async function readHistory(api: string): Promise<RecordedRun> {
  const { events } = new Tripline({ url: api });
  const eventIds: string[] = [];
  const firings: RecordedFiring[] = [];
  for await (const { id } of events.filter(
    { event: { prefix: ["chaos."], exclude_name: ["chaos.linked"] } },
    page,
  )) {
    eventIds.push(id);
  }
  for await (const { event, resource, payload } of events.filter(
    { event: { name: Object.keys(firingNames) } },
    page,
  )) {
    const { firing_id, triggering_labels, triggering_event } = payload as unknown as FiringPayload;
    firings.push({
      id: firing_id,
      rule: resource["prefect.resource.name"] ?? "",
      resource:
        triggering_labels["prefect.resource.id"] ?? triggering_event?.resource["prefect.resource.id"] ?? "",
      state: firingNames[event as keyof typeof firingNames],
      eventId: triggering_event?.id ?? null,
    });
  }
  return { eventIds, firings };
}

const page = { pageSize: 100 };
