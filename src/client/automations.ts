/** Automations, their failed deliveries, and the destinations that they send to. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type {
  AllExplanations,
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

  /** Lists all automations, sorted by name; or only those with the given names. */
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

  /** Updates an automation. Its windows are kept unless the trigger's meaning changes. @throws NotFound */
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

  /** Lists the open windows of an automation. @throws NotFound */
  windows(id: string, options: CallOptions = {}): Promise<Windows> {
    return this.#http.request("GET", `${pathOf(id)}/windows`, {
      ...repeatable,
      ...options,
    }) as Promise<Windows>;
  }

  /**
   * Explains what an automation did with an event.
   *
   * @param event the id of a stored event, or a whole event to ask what would happen with it
   * @throws NotFound if the automation does not exist, or the log no longer holds the event
   */
  explain(id: string, event: string | NewEvent, options: CallOptions = {}): Promise<Explanation> {
    const body = { event: explainedEvent(event) };
    return this.#http.request("POST", `${pathOf(id)}/explain`, {
      body,
      ...repeatable,
      ...options,
    }) as Promise<Explanation>;
  }

  /**
   * Explains what all automations did with an event.
   *
   * @param event the id of a stored event, or a whole event to ask what would happen with it
   * @param options.limit how many automations that cover the event to explain; the others are counted
   * @throws NotFound if the log no longer holds the event
   */
  explainToAll(
    event: string | NewEvent,
    options: CallOptions & { readonly limit?: number } = {},
  ): Promise<AllExplanations> {
    const { limit, ...call } = options;
    const body = { event: explainedEvent(event), ...(limit === undefined ? {} : { limit }) };
    return this.#http.request("POST", "/explain", {
      body,
      ...repeatable,
      ...call,
    }) as Promise<AllExplanations>;
  }

  /** Makes the workspace's automations match these rules; with `dry_run`, only says what would change. */
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

  /** Lists deliveries in one state, newest first; dead letters by default. */
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

  /** Retries a dead letter with a full set of attempts and the same webhook-id. @throws NotFound */
  async redeliver(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("POST", `/deliveries/${encodeURIComponent(id)}/redeliver`, {
      ...once,
      ...options,
    });
  }
}

/** Destinations, by id or name. Secrets are returned masked. Sending a mask back keeps the stored secret while it goes where it went. */
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

/** An event that might come now needs an id and a time. */
function explainedEvent(event: string | NewEvent): unknown {
  if (typeof event === "string") return event;
  return { id: crypto.randomUUID(), occurred: new Date().toISOString(), ...event };
}

function pathOf(id: string): string {
  return `/automations/${encodeURIComponent(id)}`;
}
