/** Automations, what became of their actions, and where those go. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type {
  Application,
  AppliedRules,
  AutomationUpdate,
  AutomationView,
  Delivery,
  DeliveryPage,
  DestinationView,
  Explanation,
  ListedState,
  NewAutomation,
  NewDestination,
  NewEvent,
  Windows,
} from "./types.ts";

const once = { repeatable: false };
const repeatable = { repeatable: true };

export class Automations {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  create(automation: NewAutomation, options: CallOptions = {}): Promise<AutomationView> {
    return this.#http.request("POST", "/automations/", {
      body: automation,
      ...once,
      ...options,
    }) as Promise<AutomationView>;
  }

  /** @throws NotFound */
  get(id: string, options: CallOptions = {}): Promise<AutomationView> {
    return this.#http.request("GET", pathOf(id), { ...repeatable, ...options }) as Promise<AutomationView>;
  }

  /** All of them, by name; or those with any of these names. */
  list(options: CallOptions & { readonly names?: readonly string[] } = {}): Promise<AutomationView[]> {
    const { names, ...call } = options;
    if (names === undefined) {
      return this.#http.request("GET", "/automations/", { ...repeatable, ...call }) as Promise<
        AutomationView[]
      >;
    }
    const body = { automations: { name: { any_: names } } };
    return this.#http.request("POST", "/automations/filter", { body, ...repeatable, ...call }) as Promise<
      AutomationView[]
    >;
  }

  /** Windows are kept while the trigger means the same. @throws NotFound */
  async update(id: string, automation: AutomationUpdate, options: CallOptions = {}): Promise<void> {
    await this.#http.request("PUT", pathOf(id), { body: automation, ...repeatable, ...options });
  }

  /** @throws NotFound */
  async pause(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("PATCH", pathOf(id), { body: { enabled: false }, ...repeatable, ...options });
  }

  /** @throws NotFound */
  async resume(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("PATCH", pathOf(id), { body: { enabled: true }, ...repeatable, ...options });
  }

  /** @throws NotFound */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("DELETE", pathOf(id), { ...once, ...options });
  }

  /** The open windows. @throws NotFound */
  windows(id: string, options: CallOptions = {}): Promise<Windows> {
    return this.#http.request("GET", `${pathOf(id)}/windows`, {
      ...repeatable,
      ...options,
    }) as Promise<Windows>;
  }

  /**
   * What an event was to an automation; or would be, when it is given whole.
   *
   * @throws NotFound when there is no such automation, or the log does not hold the event any more
   */
  explain(id: string, event: string | NewEvent, options: CallOptions = {}): Promise<Explanation> {
    const now = new Date().toISOString();
    const body = {
      event: typeof event === "string" ? event : { id: crypto.randomUUID(), occurred: now, ...event },
    };
    return this.#http.request("POST", `${pathOf(id)}/explain`, {
      body,
      ...repeatable,
      ...options,
    }) as Promise<Explanation>;
  }

  /** Brings the workspace's automations to these rules, or says what would change. */
  apply(application: Application, options: CallOptions = {}): Promise<AppliedRules> {
    return this.#http.request("POST", "/automations/apply", {
      body: application,
      ...repeatable,
      ...options,
    }) as Promise<AppliedRules>;
  }
}

export class Deliveries {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Deliveries of one state; by default dead letters, the newest first. */
  list(
    options: CallOptions & {
      readonly state?: ListedState;
      readonly limit?: number;
      readonly offset?: number;
    } = {},
  ): Promise<DeliveryPage> {
    const { state, limit, offset, ...call } = options;
    return this.#http.request("GET", "/deliveries", {
      query: { state, limit, offset },
      ...repeatable,
      ...call,
    }) as Promise<DeliveryPage>;
  }

  /** A delivery in any state, by its `webhook-id`. @throws NotFound */
  get(id: string, options: CallOptions = {}): Promise<Delivery> {
    const path = `/deliveries/${encodeURIComponent(id)}`;
    return this.#http.request("GET", path, { ...repeatable, ...options }) as Promise<Delivery>;
  }

  /** Gives a dead letter all its attempts again, under the same webhook-id. @throws NotFound */
  async redeliver(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("POST", `/deliveries/${encodeURIComponent(id)}/redeliver`, {
      ...once,
      ...options,
    });
  }
}

/** Destinations, by id or name. Their secrets come back masked; a mask sent back keeps the stored secret. */
export class Destinations {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  list(options: CallOptions = {}): Promise<DestinationView[]> {
    return this.#http.request("GET", "/destinations", { ...repeatable, ...options }) as Promise<
      DestinationView[]
    >;
  }

  /** @throws NotFound */
  get(id: string, options: CallOptions = {}): Promise<DestinationView> {
    const path = `/destinations/${encodeURIComponent(id)}`;
    return this.#http.request("GET", path, { ...repeatable, ...options }) as Promise<DestinationView>;
  }

  create(destination: NewDestination, options: CallOptions = {}): Promise<DestinationView> {
    return this.#http.request("POST", "/destinations", {
      body: destination,
      ...once,
      ...options,
    }) as Promise<DestinationView>;
  }

  /** @throws NotFound */
  update(id: string, destination: NewDestination, options: CallOptions = {}): Promise<DestinationView> {
    return this.#http.request("PUT", `/destinations/${encodeURIComponent(id)}`, {
      body: destination,
      ...repeatable,
      ...options,
    }) as Promise<DestinationView>;
  }

  /** @throws NotFound */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("DELETE", `/destinations/${encodeURIComponent(id)}`, { ...once, ...options });
  }
}

function pathOf(id: string): string {
  return `/automations/${encodeURIComponent(id)}`;
}
