/** The log in memory, as deliveries use it. It has no destinations, and no limits are kept. */

import type { Automation } from "../../src/core/model/automation.ts";
import type { DisabledEndpoint } from "../../src/core/model/disabled-endpoint.ts";
import type { DeliveryLog } from "../../src/delivery/ports.ts";
import type { AnnounceChange } from "../../src/store/announce.ts";
import type { EndpointAddress } from "../../src/store/disabled-endpoints.ts";
import type { NewEvent } from "../../src/store/entry.ts";
import type { MemoryWorld } from "./memory-store.ts";

/** Endpoints that responded 410 Gone. A real process may notice some seconds later that others have disabled one. */
export class MemoryEndpoints {
  readonly disabled = new Map<string, DisabledEndpoint>();
  readonly #world: MemoryWorld;

  constructor(world: MemoryWorld) {
    this.#world = world;
  }

  async idOf({ destination, address }: EndpointAddress): Promise<string> {
    return JSON.stringify([destination, address]);
  }

  async find(address: EndpointAddress): Promise<DisabledEndpoint | null> {
    return this.disabled.get(await this.idOf(address)) ?? null;
  }

  async disable(endpoint: DisabledEndpoint, event: NewEvent): Promise<boolean> {
    if (this.disabled.has(endpoint.id)) return false;
    this.#world.appendEvents([event]);
    this.disabled.set(endpoint.id, endpoint);
    return true;
  }
}

export class MemoryLog implements DeliveryLog {
  readonly endpoints: DeliveryLog["endpoints"];
  readonly destinations: DeliveryLog["destinations"] = {
    get: async () => null,
    getByName: async () => null,
    requireSecrets: () => {},
  };
  readonly limits: DeliveryLog["limits"] = {
    slotMs: 60_000,
    enter: async () => null,
    keep: async () => {},
    leave: async () => null,
  };
  readonly #world: MemoryWorld;

  constructor(world: MemoryWorld, endpoints: DeliveryLog["endpoints"]) {
    this.#world = world;
    this.endpoints = endpoints;
  }

  async appendEvents(events: readonly NewEvent[]) {
    return this.#world.appendEvents(events);
  }

  async automations(): Promise<Automation[]> {
    return [...this.#world.automations.values()];
  }

  async sealedAutomation(id: string): Promise<Automation | null> {
    return this.#world.automations.get(id) ?? null;
  }

  openSecrets(_automationId: string, secrets: Readonly<Record<string, string>>) {
    return secrets;
  }

  async updateAutomation(
    id: string,
    change: (current: Automation) => Automation,
    announce?: AnnounceChange,
  ): Promise<Automation | null> {
    const current = this.#world.automations.get(id);
    if (current === undefined) return null;
    const automation = change(current);
    if (automation === current) return current;
    this.#world.refuseIfFull();
    this.#world.putAutomations([automation]);
    const event = announce?.(automation, current);
    if (event !== undefined) this.#world.appendEvents([event]);
    return automation;
  }
}
