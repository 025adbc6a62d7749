/** Automations, their failed deliveries, and the destinations that they send to. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type {
  Activity,
  AllExplanations,
  AllWindows,
  Application,
  AppliedRules,
  AutomationChange,
  AutomationChanges,
  AutomationSummaries,
  AutomationUpdate,
  AutomationView,
  Delivery,
  DeliveryCounts,
  DeliveryOutcomes,
  DeliveryPage,
  DestinationsHealth,
  DestinationTest,
  DestinationView,
  Explanation,
  ListedState,
  NewAutomation,
  NewDestination,
  NewEvent,
  RuleSource,
  Rules,
  SentMessage,
  Timeline,
  WindowCount,
  WindowOptions,
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

  /**
   * Lists the open windows of an automation: of many, those that are judged next, and how many there are.
   *
   * @param options.limit how many to list at most; 1,000 by default, and no more than 10,000
   * @throws NotFound
   */
  windows(id: string, options: CallOptions & WindowOptions = {}): Promise<Windows> {
    const { limit, search, unresolved, ...call } = options;
    return this.#http.request("GET", `${pathOf(id)}/windows`, {
      query: { limit, search, unresolved: unresolved === undefined ? undefined : String(unresolved) },
      ...repeatable,
      ...call,
    }) as Promise<Windows>;
  }

  /**
   * Lists windows of all automations, by default those whose absence has fired and has not ended: what is silent now.
   *
   * @param options.limit how many to list at most; 100 by default, and no more than 1,000
   */
  allWindows(options: CallOptions & WindowOptions = {}): Promise<AllWindows> {
    const { limit, search, unresolved, ...call } = options;
    return this.#http.request("GET", "/windows", {
      query: { limit, search, unresolved: unresolved === undefined ? undefined : String(unresolved) },
      ...repeatable,
      ...call,
    }) as Promise<AllWindows>;
  }

  /** Counts the open windows of each automation that has some. */
  windowCounts(options: CallOptions = {}): Promise<WindowCount[]> {
    return this.#http.request("GET", "/windows/counts", { ...repeatable, ...options }) as Promise<
      WindowCount[]
    >;
  }

  /**
   * Counts what automations did lately, and says when each last fired.
   *
   * @param options.automations their ids, at most 500; all automations by default
   * @param options.hours how far back to count: 1 to 168, 24 by default
   * @param options.buckets into how many parts that time is divided: 1 to 168, 24 by default
   */
  activity(
    options: CallOptions & {
      readonly automations?: readonly string[];
      readonly hours?: number;
      readonly buckets?: number;
    } = {},
  ): Promise<Activity> {
    const { automations, hours, buckets, ...call } = options;
    return this.#http.request("POST", "/automations/activity", {
      body: { automations, hours, buckets },
      ...repeatable,
      ...call,
    }) as Promise<Activity>;
  }

  /**
   * Lists automations with what they did within a day and what they wait for, page by page.
   *
   * @param options.search a text in the name, description, file, or the events that an automation asks for
   * @param options.sort by name; or first those with the most that is `silent`, that `fired` last, with the most `firings`,
   *   `open` windows or `failed` deliveries
   * @param options.limit how many to list at most; 100 by default, and no more than 200
   */
  summaries(
    options: CallOptions & {
      readonly search?: string;
      readonly tag?: string;
      readonly state?: "enabled" | "paused";
      readonly sort?: "name" | "silent" | "fired" | "firings" | "open" | "failed";
      readonly limit?: number;
      readonly offset?: number;
    } = {},
  ): Promise<AutomationSummaries> {
    const { search, tag, state, sort, limit, offset, ...call } = options;
    return this.#http.request("GET", "/automations/summaries", {
      query: { search, tag, state, sort, limit, offset },
      ...repeatable,
      ...call,
    }) as Promise<AutomationSummaries>;
  }

  /**
   * Reads what an automation saw and did: the events that its trigger covers, its firings, and the windows open now.
   *
   * @param options.since RFC 3339; by default, an hour before `until`. At most 31 days before it
   * @param options.until RFC 3339; by default, now
   * @param options.key only this key: the values of some labels of `for_each`
   * @param options.limit how many events, and how many firings, to list at most; 200 by default, and no more than 1,000
   * @throws NotFound
   */
  timeline(
    id: string,
    options: CallOptions & {
      readonly since?: string;
      readonly until?: string;
      readonly key?: Readonly<Record<string, string>>;
      readonly limit?: number;
    } = {},
  ): Promise<Timeline> {
    const { since, until, key, limit, ...call } = options;
    return this.#http.request("GET", `${pathOf(id)}/timeline`, {
      query: { since, until, key: key === undefined ? undefined : JSON.stringify(key), limit },
      ...repeatable,
      ...call,
    }) as Promise<Timeline>;
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

  /** The text of an automation, as its rule file has it or made from its definition, and its words. @throws NotFound */
  rule(id: string, options: CallOptions = {}): Promise<RuleSource> {
    return this.#http.request("GET", `${pathOf(id)}/rule`, {
      ...repeatable,
      ...options,
    }) as Promise<RuleSource>;
  }

  /** What is wrong with the rules that run now: mistakes in watched files, warnings, and cases that fail. */
  rules(options: CallOptions = {}): Promise<Rules> {
    return this.#http.request("GET", "/rules", { ...repeatable, ...options }) as Promise<Rules>;
  }

  /**
   * Lists the latest changes of automations, the latest first.
   *
   * @param options.automation only those of the automation with this id
   * @param options.limit how many to list at most; 20 by default, and no more than 100
   */
  async changes(
    options: CallOptions & { readonly automation?: string; readonly limit?: number } = {},
  ): Promise<readonly AutomationChange[]> {
    const { automation, limit, ...call } = options;
    const answer = await this.#http.request("GET", "/changes", {
      query: { automation, limit },
      ...repeatable,
      ...call,
    });
    return (answer as AutomationChanges).changes;
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
      /** Only those of this automation: its id or its name. */
      readonly automation?: string;
      /** Only those whose target contains this text. */
      readonly target?: string;
      /** Only those that fired at this time or later, RFC 3339. */
      readonly since?: string;
      /** Only those that fired before this time, RFC 3339. */
      readonly until?: string;
    } = {},
  ): Promise<DeliveryPage> {
    const { state, limit, offset, automation, target, since, until, ...call } = options;
    return this.#http.request("GET", "/deliveries", {
      query: { state, limit, offset, automation, target, since, until },
      ...repeatable,
      ...call,
    }) as Promise<DeliveryPage>;
  }

  /** A delivery in any state, by its `webhook-id`. @throws NotFound */
  get(id: string, options: CallOptions = {}): Promise<Delivery> {
    const path = `/deliveries/${encodeURIComponent(id)}`;
    return this.#http.request("GET", path, { ...repeatable, ...options }) as Promise<Delivery>;
  }

  /** Counts the deliveries in each state. */
  counts(options: CallOptions = {}): Promise<DeliveryCounts> {
    return this.#http.request("GET", "/deliveries/counts", {
      ...repeatable,
      ...options,
    }) as Promise<DeliveryCounts>;
  }

  /**
   * What a delivery has sent or will send, with secrets masked.
   *
   * @param options.rendered from the rule as it was when it fired, or from the present one; by default, that of the last
   *   attempt or, if the delivery has not ended, of the next one
   * @throws NotFound; Refused with status 409 if that is not known any more, or the present rule does not say
   */
  request(
    id: string,
    options: CallOptions & { readonly rendered?: SentMessage["rendered"] } = {},
  ): Promise<SentMessage> {
    const { rendered, ...call } = options;
    return this.#http.request("GET", `/deliveries/${encodeURIComponent(id)}/request`, {
      query: { rendered },
      ...repeatable,
      ...call,
    }) as Promise<SentMessage>;
  }

  /**
   * Tries a delivery again, with all its attempts and the same webhook-id, as the present rule has it.
   *
   * @param options.asSent send what the rule said when it fired
   * @param options.evenIfOutdated send it even if its target has accepted a later delivery about the same thing
   * @throws NotFound; Refused with status 409 if it cannot be redelivered so
   */
  async redeliver(
    id: string,
    options: CallOptions & { readonly asSent?: boolean; readonly evenIfOutdated?: boolean } = {},
  ): Promise<void> {
    const { asSent, evenIfOutdated, ...call } = options;
    await this.#http.request("POST", `/deliveries/${encodeURIComponent(id)}/redeliver`, {
      query: {
        as_sent: asSent === true ? "true" : undefined,
        even_if_outdated: evenIfOutdated === true ? "true" : undefined,
      },
      ...once,
      ...call,
    });
  }

  /** Cancels a delivery that has not ended. @throws NotFound; Refused with status 409 if it has ended */
  async cancel(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("POST", `/deliveries/${encodeURIComponent(id)}/cancel`, { ...once, ...options });
  }

  /**
   * Redelivers up to 200 deliveries in one request, in this order: name the oldest first.
   *
   * @returns what became of each; the refusal of one does not keep the others from being redelivered
   */
  redeliverMany(
    ids: readonly string[],
    options: CallOptions & { readonly asSent?: boolean; readonly evenIfOutdated?: boolean } = {},
  ): Promise<DeliveryOutcomes> {
    const { asSent = false, evenIfOutdated = false, ...call } = options;
    return this.#http.request("POST", "/deliveries/redeliver", {
      body: { ids, as_sent: asSent, even_if_outdated: evenIfOutdated },
      ...once,
      ...call,
    }) as Promise<DeliveryOutcomes>;
  }

  /** Cancels up to 200 deliveries in one request, in this order: name the latest first. @returns what became of each */
  cancelMany(ids: readonly string[], options: CallOptions = {}): Promise<DeliveryOutcomes> {
    return this.#http.request("POST", "/deliveries/cancel", {
      body: { ids },
      ...once,
      ...options,
    }) as Promise<DeliveryOutcomes>;
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

  /** How each destination fares, and the URLs that automations name themselves. As of a few seconds ago. */
  health(options: CallOptions = {}): Promise<DestinationsHealth> {
    return this.#http.request("GET", "/destinations/health", {
      ...repeatable,
      ...options,
    }) as Promise<DestinationsHealth>;
  }

  /**
   * Sends a test message now, and waits for what becomes of it, for half a minute at most.
   *
   * @throws NotFound; Refused with status 409 if the destination is disabled
   */
  test(id: string, options: CallOptions = {}): Promise<DestinationTest> {
    return this.#http.request("POST", `/destinations/${encodeURIComponent(id)}/test`, {
      ...once,
      ...options,
    }) as Promise<DestinationTest>;
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
