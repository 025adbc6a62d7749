/**
 * Generated from the schemas of the API's requests and answers by `npm run client-types`. Edit those instead.
 *
 * @module
 */

export type Action =
  | {
      readonly type: "do-nothing";
    }
  | {
      readonly type: "call-webhook";
      /** The URL to send to; may be a template. Alternatively, name a destination. */
      readonly url?: string | undefined;
      /** The id of the destination (in Prefect, of a block). */
      readonly block_document_id?: string | undefined;
      /** The name of the destination, instead of block_document_id. */
      readonly destination?: string | undefined;
      /** The HTTP method. Default: the destination's, or POST. */
      readonly method?: "POST" | "PUT" | "PATCH" | "GET" | "DELETE" | undefined;
      /** Additional headers; their values are templates. */
      readonly headers: { readonly [key: string]: string };
      /** A template string, sent as rendered; or a mapping whose strings are templates, sent as JSON. Default: the firing as JSON. */
      readonly payload?: string | { readonly [key: string]: unknown } | readonly unknown[] | undefined;
      /** The key that signs each request (Standard Webhooks): whsec_… or any text. */
      readonly secret?: string | undefined;
      /** The time limit of one attempt. Default: the destination's, or 15s. */
      readonly timeout?: number | undefined;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
    }
  | {
      readonly type: "send-notification";
      /** The id of the destination (in Prefect, of a block). */
      readonly block_document_id?: string | undefined;
      /** The name of the destination, instead of block_document_id. */
      readonly destination?: string | undefined;
      /** The subject, as a template. Default: the automation's name. */
      readonly subject: string;
      /** The text, as a template. */
      readonly body: string;
      readonly retry?: Retry | undefined;
    }
  | {
      readonly type: "emit-event";
      /** The new event's name. */
      readonly event: string;
      /** The new event's resource: labels, as templates. Default: the triggering event's resource. */
      readonly resource?: { readonly [key: string]: string } | undefined;
      /** The new event's related resources, as templates. */
      readonly related: readonly { readonly [key: string]: string }[];
      /** The new event's payload: a mapping whose strings are templates. */
      readonly payload: { readonly [key: string]: unknown };
    }
  | {
      readonly type: "pause-automation";
      /** selected: the automation named here. inferred: the one that the triggering event is about. */
      readonly source: "selected" | "inferred";
      /** The id of the automation. */
      readonly automation_id?: string | null | undefined;
      /** The name of the automation, instead of automation_id. */
      readonly automation?: string | undefined;
    }
  | {
      readonly type: "resume-automation";
      /** selected: the automation named here. inferred: the one that the triggering event is about. */
      readonly source: "selected" | "inferred";
      /** The id of the automation. */
      readonly automation_id?: string | null | undefined;
      /** The name of the automation, instead of automation_id. */
      readonly automation?: string | undefined;
    };

export interface Activity {
  /** The start of the first bucket. */
  readonly since: string;
  /** The end of the last bucket: the present. */
  readonly until: string;
  /** The length of a bucket. */
  readonly bucket_seconds: number;
  /** In the order of the request; all automations are in the order of their ids. */
  readonly automations: readonly AutomationActivity[];
}

export interface AllExplanations {
  readonly event: {
    readonly id: string;
    readonly event: string;
    readonly occurred: string;
    readonly received: string;
  };
  /** First the automations that cover the event, those that fired before the others; then up to 10 that ask for events of this name and come closest to covering it. */
  readonly explanations: readonly Explanation[];
  /** How many automations are not explained. */
  readonly not_listed: {
    /** Automations that cover the event, beyond `limit`. */
    readonly covering: number;
    /** Automations that do not cover the event. */
    readonly not_covering: number;
  };
}

export interface AllWindows {
  /** How far log time has been consumed, by the shard that is furthest behind; null if one never ran. */
  readonly as_of: string | null;
  /** How many windows are asked for in all, of which `windows` has the first. */
  readonly count: number;
  /** Whether there are more than `windows` has. */
  readonly truncated: boolean;
  readonly windows: readonly ListedWindow[];
}

/** An API key, without its secret. */
export interface ApiKeyView {
  /** The part of the key that names it: tripline_<id>_… */
  readonly id: string;
  /** Who or what uses it. */
  readonly name: string;
  /** The only workspace that it gives access to. */
  readonly workspace: string;
  /** What it may do. */
  readonly scopes: readonly (
    | "events:write"
    | "events:read"
    | "automations:read"
    | "automations:write"
    | "admin"
  )[];
  /** The limit on its requests and events, such as `100/s`; null if there is none. */
  readonly rate: string | null;
  readonly created: string;
  /** Null if it never expires. */
  readonly expires: string | null;
  /** When it was revoked; null if it was not. */
  readonly revoked: string | null;
  readonly state: "active" | "revoked" | "expired";
  /** `file`: the key file of a server names it. `command`: it was made by hand. */
  readonly source: "command" | "file";
  /** When it last let a request in, to the minute; null if that is not known. */
  readonly last_used: string | null;
}

export interface ApiKeys {
  /** The oldest first. */
  readonly keys: readonly ApiKeyView[];
}

export interface AppliedChange {
  readonly what: "automation" | "destination";
  readonly change: "create" | "change" | "delete" | "unchanged";
  readonly id: string;
  readonly name: string;
  readonly file: string | null;
  /** Which fields change. The values of `secrets` are never returned. */
  readonly fields: readonly string[];
  /** At most 50; secrets are masked. */
  readonly changes: readonly FieldChange[];
  /** The open windows of an automation that changes or goes, and whether each is kept. */
  readonly windows: readonly WindowChange[];
}

export interface AppliedRules {
  readonly dry_run: boolean;
  readonly changes: readonly AppliedChange[];
}

export interface AutomationActivity {
  readonly id: string;
  /** When it last fired or was resolved, however long ago; null if the history knows of no such time. */
  readonly last_fired: string | null;
  /** Which of the two that was. */
  readonly last_state: "Triggered" | "Resolved" | null;
  /** How often it fired, for each bucket. */
  readonly firings: readonly number[];
  /** How often it was resolved. */
  readonly resolutions: number;
  /** How many deliveries were made. A redelivery counts as another one. */
  readonly executed: number;
  /** How many deliveries failed for good. */
  readonly failed: number;
}

export interface AutomationChange {
  readonly at: string;
  /** The event that announced it. */
  readonly event_id: string;
  readonly change: "created" | "changed" | "paused" | "resumed" | "deleted";
  readonly automation: {
    readonly id: string;
    readonly name: string;
  };
  /** Null if the event does not say. */
  readonly by: ChangeActor | null;
  /** What differs, with secrets masked; at most 50. Empty for one that was created or deleted. */
  readonly fields: readonly FieldChange[];
}

export interface AutomationChanges {
  /** The latest first. */
  readonly changes: readonly AutomationChange[];
}

/** Which events set off which automations, and those which others. */
export interface AutomationMap {
  /** By name. */
  readonly automations: readonly MappedAutomation[];
  /** By pattern. */
  readonly events: readonly MappedEvent[];
  readonly links: readonly MappedLink[];
  /** Automations that set themselves off, directly or through others. Tripline cuts loops. */
  readonly loops: readonly (readonly string[])[];
  /** By name. Not restricted to a neighborhood. */
  readonly hooks: readonly MappedHook[];
  readonly dead: readonly IdleAutomation[];
  /** Whether there is more than one answer holds. */
  readonly truncated: boolean;
}

export interface AutomationName {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
}

export interface AutomationSummaries {
  readonly automations: readonly AutomationSummary[];
  /** How many automations match. */
  readonly matching: number;
  /** How many there are. */
  readonly total: number;
  /** The tags of all automations, the most frequent first; 100 at most. */
  readonly tags: readonly {
    readonly tag: string;
    readonly count: number;
  }[];
  /** The `offset` of the next page; null on the last. */
  readonly next_offset: number | null;
}

export interface AutomationSummary {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly tags: readonly string[];
  /** The rule file that defines it; null if none does. */
  readonly file: string | null;
  /** The line of the file on which it begins, if that is known. */
  readonly line: number | null;
  /** When it last fired or was resolved; null if the history knows of no such time. */
  readonly last_fired: string | null;
  /** Which of the two that was. */
  readonly last_state: "Triggered" | "Resolved" | null;
  /** How often it fired in each of the last 24 hours. */
  readonly firings: readonly number[];
  readonly resolutions: number;
  /** Deliveries that were made within 24 hours. */
  readonly executed: number;
  /** Deliveries that failed for good within 24 hours. */
  readonly failed: number;
  /** At most some seconds old. */
  readonly open_windows: number;
  /** How many of the windows are silent now. */
  readonly unresolved: number;
}

export interface AutomationUpdate {
  /** Unique in the workspace. An automation from a rule file is identified by its name. */
  readonly name: string;
  /** What it is for, in one sentence. */
  readonly description?: string | undefined;
  /** If false, the automation neither counts events nor fires. */
  readonly enabled?: boolean | undefined;
  /** Tags for filtering. */
  readonly tags?: readonly string[] | undefined;
  /** The events to watch for, or whose absence to watch for. */
  readonly trigger: NewTrigger;
  /** Run when the automation fires, after `actions`. */
  readonly actions_on_trigger?: readonly NewAction[] | undefined;
  /** Run when an absence that fired ends. */
  readonly actions_on_resolve?: readonly NewAction[] | undefined;
  readonly actions: readonly NewAction[];
}

/** An automation as it is stored, with secrets masked. */
export interface AutomationView {
  readonly id: string;
  readonly name: string;
  /** What it is for, in one sentence. */
  readonly description: string;
  /** If false, the automation neither counts events nor fires. */
  readonly enabled: boolean;
  /** Tags for filtering. */
  readonly tags: readonly string[];
  /** The events to watch for, or whose absence to watch for. */
  readonly trigger: Trigger;
  /** Run when the automation fires. */
  readonly actions: readonly Action[];
  /** Run when the automation fires, after `actions`. */
  readonly actions_on_trigger: readonly Action[];
  /** Run when an absence that fired ends. */
  readonly actions_on_resolve: readonly Action[];
  readonly source: Source;
  readonly created: string;
  readonly updated: string;
}

/** Who changed something. */
export interface ChangeActor {
  /** `api-key`, `no-key` (anyone, while the server needs no key), `rule-files`, `command`, or `action` (of an automation). */
  readonly type: string;
  /** Of the key, the automation or the person. */
  readonly name: string | null;
  /** Of the key or the automation. */
  readonly id: string | null;
}

/** For a composite: each of its triggers, in order. */
export type ChildTriggerWords = readonly TriggerWords[];

export interface CompoundTrigger {
  readonly type: "compound";
  /** Assigned by Tripline; ignored on input. */
  readonly id: string;
  readonly triggers: Triggers;
  /** How close together the children must fire; null means no limit. */
  readonly within: number | null;
  /** Labels to correlate the children by: each combination of values is evaluated separately. */
  readonly for_each?: readonly string[] | undefined;
  /** How many of the triggers must have fired. */
  readonly require: "any" | "all" | number;
}

export interface CreatedApiKey {
  readonly key: ApiKeyView;
  /** What requests are sent with: `Authorization: Bearer <token>`. It is shown this once. */
  readonly token: string;
}

export interface Decision {
  readonly at: string;
  readonly outcome: string;
  readonly labels: { readonly [key: string]: string };
  readonly before: Window | null;
  readonly after: Window | null;
}

/** One action of one firing, in any state. It holds no secrets. */
export interface Delivery {
  /** Also its `webhook-id`. */
  readonly id: string;
  /** `waiting`: a worker takes it next. `active`: an attempt is being made. `retrying`: the last attempt failed; the next one is made at `next_attempt`. `deferred`: nothing was sent, because the endpoint is busy or rests, or because an earlier delivery about the same thing comes first. `delivered`: done. `dead`: failed for good. `cancelled`: by a person. `unknown`: it started, and neither queue nor history knows more. */
  readonly state:
    | "waiting"
    | "active"
    | "retrying"
    | "deferred"
    | "delivered"
    | "dead"
    | "cancelled"
    | "unknown";
  readonly automation: {
    readonly id: string;
    readonly name: string;
  };
  readonly action_type: string;
  readonly action_index: number;
  /** The URL as the rule has it, without credentials, templates and references not filled in; or the name or id of the destination. Null for other actions. */
  readonly target: string | null;
  /** Null if only the history knows the delivery. */
  readonly firing_id: string | null;
  /** When it fired, if the queue knows that. */
  readonly fired?: string | undefined;
  /** The event about the firing. */
  readonly firing_event_id: string;
  /** The event that caused the firing; null if an absence did. */
  readonly triggering_event_id: string | null;
  /** Why the last attempt failed, or why nothing was sent. Without secrets. */
  readonly reason: string | null;
  /** Attempts made since the start, or since the last redelivery. */
  readonly attempt_count: number;
  /** How many of them failed before they were due, such as probes of an endpoint that is down; missing if none. */
  readonly early_count?: number | undefined;
  /** The latest attempts, oldest first. Empty if only the history knows the delivery. */
  readonly attempts: readonly DeliveryAttempt[];
  /** When a delivery that is `retrying` or `deferred` comes back to a worker. */
  readonly next_attempt: string | null;
  /** The status that the receiver last responded with. */
  readonly status_code: number | null;
  /** When it was delivered. */
  readonly delivered: string | null;
  /** When Tripline gave up. */
  readonly failed: string | null;
  readonly redeliveries: number;
  /** The templates of the action that failed. A plain message that says what fired and why it is plain was sent in their place. Missing if none failed, and until the delivery has ended. */
  readonly template_failures?: readonly TemplateFailure[] | undefined;
  /** `history`: the queue no longer keeps it, so it cannot be redelivered. */
  readonly source: "queue" | "history";
}

export interface DeliveryAttempt {
  /** When it ended. */
  readonly at: string;
  /** Why it failed; left out if it succeeded. */
  readonly reason?: string | undefined;
  readonly duration_ms: number;
  /** The status of the response, if there was one. */
  readonly status_code?: number | undefined;
  /** The beginning of the response, if it succeeded. The reason quotes any other. */
  readonly answer?: string | undefined;
  /** Why it was made before it was due; left out if it was due. `probe`: to find out whether an endpoint works again that is down. `recovered`: the endpoint had accepted others. `other`: a person asked for it, or it came back from waiting for something else. The `attempts` of a `retry` do not count it. */
  readonly early?: "probe" | "recovered" | "other" | undefined;
}

/** How many deliveries the queue has in each state. */
export interface DeliveryCounts {
  /** A worker takes them next. */
  readonly waiting: number;
  /** An attempt is being made. */
  readonly active: number;
  /** They come back later: the last attempt failed, or they are `deferred`, for an endpoint or an earlier delivery. */
  readonly retrying: number;
  /** Delivered within the last day. */
  readonly delivered: number;
  /** Failed for good within the last 30 days, or cancelled. */
  readonly dead: number;
}

/** What became of each delivery of a request. */
export interface DeliveryOutcomes {
  /** In the order of the ids. */
  readonly outcomes: readonly {
    /** The id as it was sent. */
    readonly id: string;
    /** Whether it was done. */
    readonly accepted: boolean;
    /** What the operation for a single delivery would answer: 202, 404 or 409. */
    readonly status: number;
    /** Why it was refused; null if it was done. */
    readonly reason: string | null;
  }[];
  readonly accepted_count: number;
  readonly refused_count: number;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
  /** How many deliveries there are in this state, whatever the filter. */
  readonly total: number;
  /** The `offset` of the next page; null if this is the last one. */
  readonly next_offset: number | null;
}

export interface DestinationHealth {
  readonly id: string;
  readonly name: string;
  readonly type: "webhook" | "slack" | "ms-teams" | "discord" | "pagerduty" | "email";
  /** Whether it responded 410 Gone, and is sent nothing. */
  readonly disabled: boolean;
  /** When a delivery is sent to find out whether it works again; null if it does not rest, or nothing waits for it. */
  readonly resting_until: string | null;
  /** Deliveries that a worker takes next, or has. */
  readonly waiting: number;
  /** Deliveries that come back later. */
  readonly retrying: number;
  /** Dead letters of the last 30 days. */
  readonly dead: number;
  /** What the present actions to it have delivered within a day; null without a history, or while it is unavailable. */
  readonly delivered_last_day: number | null;
  /** What they gave up, or someone cancelled, within a day; null as above. */
  readonly failed_last_day: number | null;
  /** When they last delivered anything; null if not within a day, or as above. */
  readonly last_delivered: string | null;
  /** The last failure that is known, of an attempt or for good; the reason holds no secrets. */
  readonly last_failed: {
    readonly at: string;
    readonly reason: string | null;
  } | null;
  /** The automations whose actions go there, 100 at most. */
  readonly used_by: readonly {
    readonly id: string;
    readonly name: string;
  }[];
  /** How many automations that are. */
  readonly used_by_count: number;
}

/** What became of a test message. */
export interface DestinationTest {
  /** Whether the receiver accepted it. */
  readonly ok: boolean;
  /** The status of its response, if there was one. */
  readonly status_code: number | null;
  /** Why it was not accepted, with the beginning of the response; null if it was. */
  readonly reason: string | null;
  /** The beginning of the response, if it was accepted and there was any. */
  readonly answer: string | null;
  readonly duration_ms: number;
  readonly sent: SentMessage;
}

/** A destination as it is stored, with secrets masked. */
export type DestinationView =
  | {
      readonly type: "webhook";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The URL to send to. Secret. */
      readonly url: string;
      /** The HTTP method. */
      readonly method: "POST" | "PUT" | "PATCH" | "GET" | "DELETE";
      /** Additional headers. Their values are secret. */
      readonly headers: { readonly [key: string]: string };
      /** The key that signs each request (Standard Webhooks): whsec_… or any text. */
      readonly secret?: string | undefined;
      /** The time limit of one attempt. Default: 15s. */
      readonly timeout: number;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    }
  | {
      readonly type: "slack";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    }
  | {
      readonly type: "ms-teams";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    }
  | {
      readonly type: "discord";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    }
  | {
      readonly type: "pagerduty";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The integration key of an Events API v2 integration. Secret. */
      readonly routing_key: string;
      /** The severity of the incidents. */
      readonly severity: "critical" | "error" | "warning" | "info";
      /** The Events API endpoint. PagerDuty's EU region has its own. */
      readonly url: string;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    }
  | {
      readonly type: "email";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description: string;
      readonly retry?: Retry | undefined;
      readonly limits?: RequestLimits | undefined;
      /** The recipients. */
      readonly to: readonly string[];
      /** The sender, such as `Tripline <tripline@example.org>`. */
      readonly from: string;
      /** The host name or IP address of the SMTP server. */
      readonly host: string;
      /** The port of the SMTP server. */
      readonly port: number;
      /** starttls (the server must support it), tls from the start (port 465), or none. */
      readonly security: "starttls" | "tls" | "none";
      /** For servers that require a login. */
      readonly username?: string | undefined;
      /** The password for the login. Secret. */
      readonly password?: string | undefined;
      readonly id: string;
      readonly source: Source;
      readonly created: string;
      readonly updated: string;
    };

/** How the targets of a workspace fare. */
export interface DestinationsHealth {
  /** All destinations, by name. */
  readonly destinations: readonly DestinationHealth[];
  /** URLs that automations name themselves, or that have deliveries: those with the most problems first, 100 at most. */
  readonly targets: readonly UrlHealth[];
  /** How many such URLs there are. */
  readonly target_count: number;
  /** False if not all deliveries in the queue were counted: of each state the first 1,000 are, and none above 64 KB. */
  readonly complete: boolean;
  /** As of when. An answer is used for some seconds. */
  readonly at: string;
}

/** An endpoint that responded 410 Gone, and is sent nothing. */
export interface DisabledEndpoint {
  /** A short hash over the destination's name and its address. */
  readonly id: string;
  /** The name of the destination; null for the URL of an action. */
  readonly destination: string | null;
  /** The URL of an action, without credentials and secrets; null for a destination. */
  readonly url: string | null;
  /** When it was disabled. */
  readonly since: string;
  /** What it responded. */
  readonly reason: string;
  /** The delivery that it refused. */
  readonly delivery: string;
  /** The automation of that delivery. */
  readonly automation: {
    readonly id: string;
    readonly name: string;
  };
}

export interface DoctorFinding {
  /** What was checked, in a word or two. */
  readonly check: string;
  /** `skipped`: it could not be checked, which says nothing. */
  readonly status: "ok" | "warning" | "problem" | "skipped";
  /** What was found, in a sentence. Without secrets. */
  readonly message: string;
  /** What to do; null if nothing needs to be done. */
  readonly remedy: string | null;
}

/** What the checks of a deployment found. */
export interface DoctorReport {
  /** The worst of all findings. */
  readonly status: "ok" | "warning" | "problem";
  readonly findings: readonly DoctorFinding[];
}

/** Something that happened. Never changes once posted. */
export interface EmittedEvent {
  /** RFC 3339. Without an offset, it is in UTC. */
  readonly occurred: string;
  readonly event: string;
  readonly resource: { readonly [key: string]: string };
  readonly related?: readonly { readonly [key: string]: string }[] | undefined;
  readonly payload?: { readonly [key: string]: unknown } | undefined;
  readonly id: string;
  readonly follows?: string | null | undefined;
}

/** An engine that is alive. */
export interface EngineMember {
  /** Host, process, thread, and a random part: unique. */
  readonly name: string;
  /** When it joined. */
  readonly since: string;
  /** When it counts as dead without a further beat. It beats a few times a second. */
  readonly alive_until: string;
  /** The shards that it owns. */
  readonly shards: readonly number[];
}

export interface EventChain {
  readonly event: ReceivedEvent;
  /** The event that it follows, the one that this follows, and so on: the oldest first. */
  readonly ancestors: readonly ReceivedEvent[];
  /** The events that follow it, then those that follow these, and so on. Events about firings follow the event that caused the firing; those about deliveries, and events that an action emitted, follow these. */
  readonly descendants: readonly EventDescendant[];
  /** Whether there is more: than 20 ancestors, than 200 descendants, or deeper than 6 steps. */
  readonly truncated: boolean;
}

/** A group of events and its size. */
export interface EventCount {
  readonly value: string;
  readonly label: string;
  readonly count: number;
  readonly start_time: string;
  readonly end_time: string;
}

export interface EventCountRequest {
  readonly filter: EventFilter;
  readonly time_unit?: "week" | "day" | "hour" | "minute" | "second" | undefined;
  readonly time_interval?: number | undefined;
}

export interface EventDescendant {
  readonly event: ReceivedEvent;
  /** The event that it follows. */
  readonly parent: string;
  /** How many steps it is away from the event asked about, from 1. */
  readonly depth: number;
}

/** Selects events. All conditions must hold. */
export interface EventFilter {
  readonly occurred?:
    | {
        readonly since?: string | null | undefined;
        readonly until?: string | null | undefined;
      }
    | null
    | undefined;
  readonly event?:
    | {
        readonly prefix?: readonly string[] | null | undefined;
        readonly exclude_prefix?: readonly string[] | null | undefined;
        readonly name?: readonly string[] | null | undefined;
        readonly exclude_name?: readonly string[] | null | undefined;
      }
    | null
    | undefined;
  readonly resource?:
    | {
        readonly id?: readonly string[] | null | undefined;
        readonly id_prefix?: readonly string[] | null | undefined;
        /** Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates. */
        readonly labels?: { readonly [key: string]: string | readonly string[] } | null | undefined;
        readonly distinct?: boolean | null | undefined;
      }
    | null
    | undefined;
  readonly related?:
    | {
        readonly id?: readonly string[] | null | undefined;
        readonly role?: readonly string[] | null | undefined;
        readonly resources_in_roles?: readonly (readonly [string, string])[] | null | undefined;
        /** Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates. */
        readonly labels?: { readonly [key: string]: string | readonly string[] } | null | undefined;
      }
    | readonly {
        readonly id?: readonly string[] | null | undefined;
        readonly role?: readonly string[] | null | undefined;
        readonly resources_in_roles?: readonly (readonly [string, string])[] | null | undefined;
        /** Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates. */
        readonly labels?: { readonly [key: string]: string | readonly string[] } | null | undefined;
      }[]
    | null
    | undefined;
  readonly any_resource?:
    | {
        readonly id?: readonly string[] | null | undefined;
        readonly id_prefix?: readonly string[] | null | undefined;
        /** Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates. */
        readonly labels?: { readonly [key: string]: string | readonly string[] } | null | undefined;
      }
    | readonly {
        readonly id?: readonly string[] | null | undefined;
        readonly id_prefix?: readonly string[] | null | undefined;
        /** Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates. */
        readonly labels?: { readonly [key: string]: string | readonly string[] } | null | undefined;
      }[]
    | null
    | undefined;
  readonly id?:
    | {
        readonly id?: readonly string[] | null | undefined;
      }
    | null
    | undefined;
  readonly text?:
    | {
        readonly query?: string | null | undefined;
      }
    | null
    | undefined;
  readonly order?: "ASC" | "DESC" | null | undefined;
}

export interface EventPage {
  readonly events: readonly ReceivedEvent[];
  /** How many events match in all; with `distinct`, how many resources. */
  readonly total: number;
  /** The URL of the next page; null on the last. */
  readonly next_page: string | null;
}

export interface EventTrigger {
  readonly type: "event";
  /** Assigned by Tripline; ignored on input. */
  readonly id: string;
  /** What the event's own resource must match. */
  readonly match: { readonly [key: string]: string | readonly string[] };
  /** What at least one related resource must match. With a list, each item must be matched. */
  readonly match_related:
    | { readonly [key: string]: string | readonly string[] }
    | readonly { readonly [key: string]: string | readonly string[] }[];
  /** Event names or glob patterns that open a window. */
  readonly after: readonly string[];
  /** Event names or glob patterns to count. Empty: every event. */
  readonly expect: readonly string[];
  /** Labels to group by: each combination of values is evaluated separately. */
  readonly for_each: readonly string[];
  /** Reactive: fires when events arrive. Proactive: fires when they do not. */
  readonly posture: "Reactive" | "Proactive";
  /** Reactive: the number of events needed to fire. Proactive: fewer events than this are an absence. */
  readonly threshold: number;
  /** The length of a window: seconds, or a duration such as 90s, 30m, 2h. Proactive: at least 10s, which is the default. */
  readonly within: number;
  /** How long to wait for delayed events after a window ends. */
  readonly lateness?: number | undefined;
  /** Opens a window at each tick, instead of an event named in `after`. */
  readonly schedule?:
    | {
        /** Five cron fields, or six with seconds first. */
        readonly cron: string;
        /** A time zone, such as America/New_York. */
        readonly timezone: string;
        /** How long a key is expected after it was last seen. Default: 7d. */
        readonly remember?: number | undefined;
        /** Instead of within: the time of day at which a window ends, such as "03:30", in the schedule's time zone; the next one after the tick. */
        readonly until?: string | undefined;
        /** Proactive only: how long before the tick an event already counts for it. Default: 0. */
        readonly early?: number | undefined;
      }
    | undefined;
  /** Proactive only. every-window fires for each window without events; once waits until the absence ends. Default: every-window. */
  readonly refire?: "every-window" | "once" | undefined;
  /** Proactive only. When nobody could post, because the API was down: extend does not count that time; fire counts it as any other. Default: extend. */
  readonly on_gap?: "extend" | "fire" | undefined;
}

export interface ExplainedTrigger {
  readonly path: string;
  readonly type: "event" | "compound" | "sequence";
  readonly covered: boolean | null;
  readonly failed: FailedCondition | null;
  readonly labels: { readonly [key: string]: string };
  readonly decisions: readonly Decision[];
  /** How many more events, or firings of child triggers, are needed. */
  readonly missing: number | null;
  /** How long they may take; null: no limit. */
  readonly until: string | null;
  /** For a composite: the paths of the triggers that have yet to fire. */
  readonly awaited: readonly string[];
  /** The trigger has fired, and events that occurred before this time do not count. */
  readonly quiet_until: string | null;
}

export interface Explanation {
  readonly automation: AutomationName;
  readonly event: {
    readonly id: string;
    readonly event: string;
    readonly occurred: string;
    readonly received: string;
  };
  readonly fired: boolean;
  /** What decided, in a sentence. */
  readonly summary: string;
  readonly triggers: readonly ExplainedTrigger[];
  /** False: what was read does not reach back to the automation's creation. */
  readonly complete: boolean;
  /** When the automation was changed after the event, if its definition at that time is not known anymore: the explanation is by its present definition. */
  readonly changed_since: string | null;
}

/** The condition of a trigger that an event did not meet. */
export interface FailedCondition {
  readonly condition: "name" | "match" | "match_related";
  readonly index: number | null;
  readonly label: string | null;
  readonly wanted: readonly string[];
  readonly found: string | null;
}

/** A field that differs; a side without it leaves its value out. */
export interface FieldChange {
  /** Such as `trigger.within` or `actions[0].url`. */
  readonly field: string;
  readonly old?: unknown | undefined;
  readonly new?: unknown | undefined;
}

/** How often something happened. */
export interface Frequency {
  /** How many have been counted. It only grows. */
  readonly total: number;
  /** The sum of `per_minute`. */
  readonly last_day: number;
  /** The last 300 seconds that are complete. */
  readonly per_second: Series;
  /** The last 1,440 minutes. The last of them is not complete. */
  readonly per_minute: Series;
}

/** An automation that does not fire as things are. */
export interface IdleAutomation {
  readonly id: string;
  /** `cannot_fire`: no event can make it fire. `never_seen`: it is enabled, and the history holds no event of a name that it needs. */
  readonly why: "cannot_fire" | "never_seen";
  /** In a sentence. */
  readonly reason: string;
}

/** A window, and the automation that it belongs to. */
export interface ListedWindow {
  /** The trigger's path from the root; empty for the root itself. */
  readonly trigger: string;
  /** The values of the window's key. */
  readonly labels: { readonly [key: string]: string };
  readonly start: string | null;
  readonly end: string | null;
  readonly count: number;
  readonly threshold: number;
  /** When the window is judged, if nothing happens before. */
  readonly deadline: string | null;
  readonly last_event: string | null;
  /** True: an absence has fired and has not ended. */
  readonly unresolved: boolean;
  /** The trigger has fired, and events that occur before this time do not count. */
  readonly quiet_until: string | null;
  /** For a composite: the paths of the triggers that have yet to fire. */
  readonly awaited: readonly string[];
  /** The times in which nobody could post, by which the end has moved. */
  readonly gaps: readonly {
    readonly from: string;
    readonly to: string;
  }[];
  /** The window is not judged, because nobody has been able to post since then; null if somebody can. */
  readonly unreachable_since: string | null;
  readonly automation: {
    readonly id: string;
    readonly name: string;
  };
}

export interface Lookup {
  readonly matches: readonly LookupMatch[];
  /** Whether more things have an id that begins so. */
  readonly truncated: boolean;
}

/** Something that has the id. */
export interface LookupMatch {
  readonly kind: "automation" | "event" | "firing" | "delivery";
  /** For a firing, the id of the event about it. */
  readonly id: string;
  /** The automation itself, or the one that fired; null for other events. */
  readonly automation: {
    readonly id: string;
    readonly name: string;
  } | null;
  /** The event about the firing; null for automations and other events. */
  readonly firing_event_id: string | null;
  /** The event that caused the firing; null if an absence did, and for automations and other events. */
  readonly triggering_event_id: string | null;
  /** The event, or the event about the firing; for a delivery, the event about it that has the id. Null for others, and when there are several matches. */
  readonly event: ReceivedEvent | null;
}

/** An automation of the map. */
export interface MappedAutomation {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  /** Null for a trigger that is made of several. */
  readonly posture: "Reactive" | "Proactive" | null;
  /** The patterns of `expect` in all its triggers; `*` for one that names none, and expects any event. */
  readonly expects: readonly string[];
  /** The patterns of `after` in all its triggers. */
  readonly after: readonly string[];
  /** How often it fired. In the last day; null if that is not known. */
  readonly firings_last_day: number | null;
  /** When it last fired, in the last 30 days; null if it did not, or if that is not known. */
  readonly last_fired: string | null;
  /** Why its trigger can never fire; null if it can, or if it has too many patterns to tell. */
  readonly never_fires: string | null;
  /** Where its actions go: names of destinations, and URLs as the rule has them, without credentials. */
  readonly destinations: readonly string[];
}

/** A pattern of events that automations wait for. */
export interface MappedEvent {
  /** As `expect` or `after` has it. */
  readonly pattern: string;
  /** `internal`: Tripline itself makes such events, or an automation emits them. */
  readonly kind: "external" | "internal";
  /** How many recorded events have a name that matches. In the last day; null if that is not known. */
  readonly seen_last_day: number | null;
  /** The automations that name the pattern. */
  readonly automations: readonly string[];
}

export interface MappedHook {
  readonly name: string;
  /** The names of the events that it makes, with `*` where a template fills something in; null if a template writes them all. */
  readonly events: readonly string[] | null;
}

/** One automation certainly reacts to an event that another causes. */
export interface MappedLink {
  /** The automation that causes the event. */
  readonly from: string;
  /** The automation that reacts to it. */
  readonly to: string;
  /** The event's name, or a pattern if a template makes it. */
  readonly event: string;
  /** How often it was caused, whether or not the other reacted. In the last day; null if that is not known. */
  readonly count_last_day: number | null;
}

export type NewAction =
  | {
      readonly type: "do-nothing";
    }
  | {
      readonly type: "call-webhook";
      /** The URL to send to; may be a template. Alternatively, name a destination. */
      readonly url?: string | undefined;
      /** The id of the destination (in Prefect, of a block). */
      readonly block_document_id?: string | undefined;
      /** The name of the destination, instead of block_document_id. */
      readonly destination?: string | undefined;
      /** The HTTP method. Default: the destination's, or POST. */
      readonly method?: "POST" | "PUT" | "PATCH" | "GET" | "DELETE" | undefined;
      /** Additional headers; their values are templates. */
      readonly headers?: { readonly [key: string]: string } | undefined;
      /** A template string, sent as rendered; or a mapping whose strings are templates, sent as JSON. Default: the firing as JSON. */
      readonly payload?: string | { readonly [key: string]: unknown } | readonly unknown[] | undefined;
      /** The key that signs each request (Standard Webhooks): whsec_… or any text. */
      readonly secret?: string | undefined;
      /** The time limit of one attempt. Default: the destination's, or 15s. */
      readonly timeout?: number | string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
    }
  | {
      readonly type: "send-notification";
      /** The id of the destination (in Prefect, of a block). */
      readonly block_document_id?: string | undefined;
      /** The name of the destination, instead of block_document_id. */
      readonly destination?: string | undefined;
      /** The subject, as a template. Default: the automation's name. */
      readonly subject?: string | undefined;
      /** The text, as a template. */
      readonly body: string;
      readonly retry?: NewRetry | undefined;
    }
  | {
      readonly type: "emit-event";
      /** The new event's name. */
      readonly event: string;
      /** The new event's resource: labels, as templates. Default: the triggering event's resource. */
      readonly resource?: { readonly [key: string]: string } | undefined;
      /** The new event's related resources, as templates. */
      readonly related?: readonly { readonly [key: string]: string }[] | undefined;
      /** The new event's payload: a mapping whose strings are templates. */
      readonly payload?: { readonly [key: string]: unknown } | undefined;
    }
  | {
      readonly type: "pause-automation";
      /** selected: the automation named here. inferred: the one that the triggering event is about. */
      readonly source?: "selected" | "inferred" | undefined;
      /** The id of the automation. */
      readonly automation_id?: string | null | undefined;
      /** The name of the automation, instead of automation_id. */
      readonly automation?: string | undefined;
    }
  | {
      readonly type: "resume-automation";
      /** selected: the automation named here. inferred: the one that the triggering event is about. */
      readonly source?: "selected" | "inferred" | undefined;
      /** The id of the automation. */
      readonly automation_id?: string | null | undefined;
      /** The name of the automation, instead of automation_id. */
      readonly automation?: string | undefined;
    };

export interface NewApiKey {
  /** Who or what will use it. */
  readonly name: string;
  /** What it may do. `admin` may do everything in its workspace. */
  readonly scopes: readonly (
    | "events:write"
    | "events:read"
    | "automations:read"
    | "automations:write"
    | "admin"
  )[];
  /** Until when it is valid, RFC 3339. Left out, it never expires. */
  readonly expires?: string | null | undefined;
  /** A limit on its requests and events, such as `100/s` or `5000/h`. */
  readonly rate?: string | null | undefined;
}

export interface NewAutomation {
  /** Unique in the workspace. An automation from a rule file is identified by its name. */
  readonly name: string;
  /** What it is for, in one sentence. */
  readonly description?: string | undefined;
  /** If false, the automation neither counts events nor fires. */
  readonly enabled?: boolean | undefined;
  /** Tags for filtering. */
  readonly tags?: readonly string[] | undefined;
  /** The events to watch for, or whose absence to watch for. */
  readonly trigger: NewTrigger;
  /** Run when the automation fires, after `actions`. */
  readonly actions_on_trigger?: readonly NewAction[] | undefined;
  /** Run when an absence that fired ends. */
  readonly actions_on_resolve?: readonly NewAction[] | undefined;
  readonly actions: readonly NewAction[];
  /** The id of the resource that owns it. Not returned. */
  readonly owner_resource?: string | null | undefined;
}

export interface NewCompoundTrigger {
  readonly type: "compound";
  /** Assigned by Tripline; ignored on input. */
  readonly id?: string | undefined;
  readonly triggers: NewTriggers;
  /** How close together the children must fire; null means no limit. */
  readonly within: number | string | null;
  /** Labels to correlate the children by: each combination of values is evaluated separately. */
  readonly for_each?: readonly string[] | undefined;
  /** How many of the triggers must have fired. */
  readonly require?: "any" | "all" | number | undefined;
}

export type NewDestination =
  | {
      readonly type: "webhook";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The URL to send to. Secret. */
      readonly url: string;
      /** The HTTP method. */
      readonly method?: "POST" | "PUT" | "PATCH" | "GET" | "DELETE" | undefined;
      /** Additional headers. Their values are secret. */
      readonly headers?: { readonly [key: string]: string } | undefined;
      /** The key that signs each request (Standard Webhooks): whsec_… or any text. */
      readonly secret?: string | undefined;
      /** The time limit of one attempt. Default: 15s. */
      readonly timeout?: number | string | undefined;
    }
  | {
      readonly type: "slack";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
    }
  | {
      readonly type: "ms-teams";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
    }
  | {
      readonly type: "discord";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The incoming-webhook URL from the chat service. Secret. */
      readonly url: string;
    }
  | {
      readonly type: "pagerduty";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The integration key of an Events API v2 integration. Secret. */
      readonly routing_key: string;
      /** The severity of the incidents. */
      readonly severity?: "critical" | "error" | "warning" | "info" | undefined;
      /** The Events API endpoint. PagerDuty's EU region has its own. */
      readonly url?: string | undefined;
    }
  | {
      readonly type: "email";
      /** Unique in the workspace; actions refer to it. */
      readonly name: string;
      /** What it is for, in one sentence. */
      readonly description?: string | undefined;
      readonly retry?: NewRetry | undefined;
      readonly limits?: NewRequestLimits | undefined;
      /** The recipients. */
      readonly to: readonly string[];
      /** The sender, such as `Tripline <tripline@example.org>`. */
      readonly from: string;
      /** The host name or IP address of the SMTP server. */
      readonly host: string;
      /** The port of the SMTP server. */
      readonly port?: number | undefined;
      /** starttls (the server must support it), tls from the start (port 465), or none. */
      readonly security?: "starttls" | "tls" | "none" | undefined;
      /** For servers that require a login. */
      readonly username?: string | undefined;
      /** The password for the login. Secret. */
      readonly password?: string | undefined;
    };

export interface NewEventTrigger {
  readonly type?: "event" | undefined;
  /** Assigned by Tripline; ignored on input. */
  readonly id?: string | undefined;
  /** What the event's own resource must match. */
  readonly match?: { readonly [key: string]: string | readonly string[] } | undefined;
  /** What at least one related resource must match. With a list, each item must be matched. */
  readonly match_related?:
    | { readonly [key: string]: string | readonly string[] }
    | readonly { readonly [key: string]: string | readonly string[] }[]
    | undefined;
  /** Event names or glob patterns that open a window. */
  readonly after?: readonly string[] | undefined;
  /** Event names or glob patterns to count. Empty: every event. */
  readonly expect?: readonly string[] | undefined;
  /** Labels to group by: each combination of values is evaluated separately. */
  readonly for_each?: readonly string[] | undefined;
  /** Reactive: fires when events arrive. Proactive: fires when they do not. */
  readonly posture?: "Reactive" | "Proactive" | undefined;
  /** Reactive: the number of events needed to fire. Proactive: fewer events than this are an absence. */
  readonly threshold?: number | undefined;
  /** The length of a window: seconds, or a duration such as 90s, 30m, 2h. Proactive: at least 10s, which is the default. */
  readonly within?: number | string | undefined;
  /** How long to wait for delayed events after a window ends. */
  readonly lateness?: number | string | undefined;
  /** Opens a window at each tick, instead of an event named in `after`. */
  readonly schedule?:
    | {
        /** Five cron fields, or six with seconds first. */
        readonly cron: string;
        /** A time zone, such as America/New_York. */
        readonly timezone?: string | undefined;
        /** How long a key is expected after it was last seen. Default: 7d. */
        readonly remember?: number | string | undefined;
        /** Instead of within: the time of day at which a window ends, such as "03:30", in the schedule's time zone; the next one after the tick. */
        readonly until?: string | undefined;
        /** Proactive only: how long before the tick an event already counts for it. Default: 0. */
        readonly early?: number | string | undefined;
      }
    | undefined;
  /** Proactive only. every-window fires for each window without events; once waits until the absence ends. Default: every-window. */
  readonly refire?: "every-window" | "once" | undefined;
  /** Proactive only. When nobody could post, because the API was down: extend does not count that time; fire counts it as any other. Default: extend. */
  readonly on_gap?: "extend" | "fire" | undefined;
}

/** Limits on requests, over all processes. Requests beyond them wait. */
export interface NewRequestLimits {
  /** How many requests may be in flight at a time, over all processes. */
  readonly concurrency?: number | undefined;
  /** How many requests may be sent in any period of that length, over all processes: 5/s, 30/m, 10/30s. */
  readonly rate?: string | undefined;
}

/** How long a delivery is tried, and which answers are final. */
export interface NewRetry {
  /** How long to keep trying. 0s: one attempt. Default: the server's --give-up-after (28h). */
  readonly for?: number | string | undefined;
  /** At most this many attempts, even if there is time left. Default: no limit. */
  readonly attempts?: number | undefined;
  /** Statuses that are final at once, such as [404, 4xx]. 410 always is, and disables the endpoint. */
  readonly give_up_on?: readonly (number | string)[] | undefined;
}

export interface NewSequenceTrigger {
  readonly type: "sequence";
  /** Assigned by Tripline; ignored on input. */
  readonly id?: string | undefined;
  readonly triggers: NewTriggers;
  /** How close together the children must fire; null means no limit. */
  readonly within: number | string | null;
  /** Labels to correlate the children by: each combination of values is evaluated separately. */
  readonly for_each?: readonly string[] | undefined;
}

export type NewTrigger = NewEventTrigger | NewCompoundTrigger | NewSequenceTrigger;

/** The child triggers, of any kind. */
export type NewTriggers = readonly NewTrigger[];

/** A workspace at a glance. */
export interface Overview {
  /** The time of Redis. */
  readonly as_of: string;
  /** Events that were posted or that Tripline emitted, by when they were received. An id counts once. They are counted when they are evaluated. */
  readonly events: Frequency;
  /** Firings, by when they became known: for an absence, the end of its window plus the lateness. */
  readonly firings: Frequency;
  /** Ends of absences that had fired. */
  readonly resolutions: Frequency;
  /** Of thousands, the numbers may be some seconds old. */
  readonly automations: {
    readonly enabled: number;
    readonly paused: number;
  };
  /** At most two seconds old. */
  readonly windows: {
    readonly open: number;
    /** How many of them have fired for an absence that has not ended: what is silent now. */
    readonly unresolved: number;
  };
  readonly deliveries: DeliveryCounts;
  readonly history: {
    readonly enabled: boolean;
    /** How long the oldest event that is not recorded has been in the log; null if there is no history, or its database does not answer. */
    readonly behind_ms: number | null;
  };
  readonly shards: {
    /** The number of shards; 0 if no engine has ever run. */
    readonly count: number;
    /** How many of them an engine owns. */
    readonly owned: number;
    /** How many entries of the log the shard has yet to consume that is furthest behind. */
    readonly entries_behind_max: number;
    /** How long the oldest event that is not evaluated, or the earliest window that is overdue, has been waiting. */
    readonly delay_ms_max: number;
  };
}

/** An event as it is stored. */
export interface ReceivedEvent {
  /** RFC 3339. Without an offset, it is in UTC. */
  readonly occurred: string;
  readonly event: string;
  readonly resource: { readonly [key: string]: string };
  readonly related: readonly { readonly [key: string]: string }[];
  readonly payload: { readonly [key: string]: unknown };
  readonly id: string;
  readonly follows: string | null;
  /** When Tripline received it. */
  readonly received: string;
}

/** Limits on requests, over all processes. Requests beyond them wait. */
export interface RequestLimits {
  /** How many requests may be in flight at a time, over all processes. */
  readonly concurrency?: number | undefined;
  /** How many requests may be sent in any period of that length, over all processes: 5/s, 30/m, 10/30s. */
  readonly rate?: string | undefined;
}

/** How long a delivery is tried, and which answers are final. */
export interface Retry {
  /** How long to keep trying. 0s: one attempt. Default: the server's --give-up-after (28h). */
  readonly for?: number | undefined;
  /** At most this many attempts, even if there is time left. Default: no limit. */
  readonly attempts?: number | undefined;
  /** Statuses that are final at once, such as [404, 4xx]. 410 always is, and disables the endpoint. */
  readonly give_up_on?: readonly (number | string)[] | undefined;
}

export interface RuleCase {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly passed: boolean;
  /** What `tripline test` prints about a case that failed; empty for one that passed. */
  readonly report: string;
}

export interface RuleFile {
  readonly file: string;
  readonly automations: number;
}

export interface RuleFileMistake {
  readonly file: string;
  /** From 1; 0 is the file as a whole. */
  readonly line: number;
  readonly column: number;
  /** What is wrong, what was found, and what to do. */
  readonly message: string;
}

/** The text of an automation, and what it says in plain words. */
export interface RuleSource {
  /** Its text. Secrets are masked; references such as `${env.NAME}` stay. */
  readonly yaml: string;
  /** file: as it is written in its rule file, with comments. definition: made from the stored definition, because no file defines it, or its text is not known. */
  readonly origin: "file" | "definition";
  /** The rule file that defines it. */
  readonly file: string | null;
  /** The line of the file with which `yaml` begins, for origin file. */
  readonly line: number | null;
  readonly words: RuleWords;
}

export interface RuleTests {
  readonly ran: string;
  readonly duration_ms: number;
  readonly files: number;
  readonly passed: number;
  readonly failed: number;
  /** Left out, because all cases together would take too long. */
  readonly not_run: number;
  /** In the case files themselves; a case with a mistake is not run. */
  readonly mistakes: readonly RuleFileMistake[];
  readonly cases: readonly RuleCase[];
}

/** Valid, but almost certainly a mistake. */
export interface RuleWarning {
  /** Null: no file is known, and the place is in the `yaml` that `GET /automations/{id}/rule` answers. */
  readonly file: string | null;
  readonly line: number;
  readonly column: number;
  /** Such as TL401: docs/rule-warnings.md lists them. */
  readonly code: string;
  readonly reason: string;
  readonly fix: string;
  readonly automation: {
    readonly id: string;
    readonly name: string;
  } | null;
}

/** An automation in plain words. They hold no secrets. */
export interface RuleWords {
  /** One sentence that says when it fires. */
  readonly summary: string;
  /** More sentences: what counts, what happens after a firing, how long it waits. */
  readonly details: readonly string[];
  readonly children?: ChildTriggerWords | undefined;
  /** What happens when it fires, one line for each action. */
  readonly actions: readonly string[];
  /** What happens when an absence that fired ends. */
  readonly actions_on_resolve: readonly string[];
}

/** What `tripline check` and `tripline test` say of the rules that run now. */
export interface Rules {
  /** When the watched files were last loaded; null if no server watches any. */
  readonly checked: string | null;
  /** False: the watched files have mistakes, so the rules that were applied before remain in effect. */
  readonly in_effect: boolean;
  /** True: the warnings and tests of the watched files are not known yet. */
  readonly pending: boolean;
  /** What the server watches. */
  readonly paths: readonly string[];
  readonly files: readonly RuleFile[];
  readonly mistakes: readonly RuleFileMistake[];
  /** Of the watched files, and of the automations that were applied or created over the API. */
  readonly warnings: readonly RuleWarning[];
  /** The cases (`*.test.yaml`) beside the watched files; null if there are none. */
  readonly tests: RuleTests | null;
  /** How many of each are left out, because there are very many. */
  readonly left_out: {
    readonly files: number;
    readonly mistakes: number;
    readonly warnings: number;
  };
}

/** What a delivery sends, put together by the code that sends it. It holds no secrets. */
export interface SentMessage {
  /** `http`: a request. `email`: an email. `event`: an event is emitted. `automation`: one is paused or resumed. `none`: nothing is sent; `note` says why. */
  readonly kind: "http" | "email" | "event" | "automation" | "none";
  /** The method of a request. */
  readonly method: string | null;
  /** Where it goes, without credentials. Of the URL of a destination, what follows the host is masked. References to the environment stand for their values. */
  readonly url: string | null;
  /** The headers. Secret ones are masked, as are all that come from a destination. */
  readonly headers: { readonly [key: string]: string };
  /** The body, with references in place of secrets. */
  readonly body: string | null;
  /** The media type of the body. */
  readonly body_type: string | null;
  /** Whether the body is longer than the 65,536 characters shown. */
  readonly truncated: boolean;
  /** `as_sent`: from the rule as it was when it fired. `now`: from the present rule. */
  readonly rendered: "as_sent" | "now";
  /** What else is to be known, such as why nothing is sent. */
  readonly note?: string | undefined;
  /** Templates that fail. A plain message takes their place. Missing if none does. */
  readonly template_failures?: readonly TemplateFailure[] | undefined;
}

export interface SequenceTrigger {
  readonly type: "sequence";
  /** Assigned by Tripline; ignored on input. */
  readonly id: string;
  readonly triggers: Triggers;
  /** How close together the children must fire; null means no limit. */
  readonly within: number | null;
  /** Labels to correlate the children by: each combination of values is evaluated separately. */
  readonly for_each?: readonly string[] | undefined;
}

/** Numbers for consecutive seconds or minutes. */
export interface Series {
  /** When the first second or minute begins. */
  readonly start: string;
  /** One number for each, oldest first. */
  readonly values: readonly number[];
}

/** What a server runs with. Nothing here is secret. */
export interface ServerSettings {
  readonly versions: {
    readonly tripline: string;
    readonly node: string;
    /** Null if it does not say. */
    readonly redis: string | null;
    /** Such as `sqlite 3.50.4` or `postgresql 17.2`; null if no history is kept. */
    readonly history: string | null;
  };
  /** That of the request. */
  readonly workspace: string;
  /** Those that the caller may see: its key's own, or all of the server while it needs no key. */
  readonly workspaces: readonly string[];
  /** What the process does. */
  readonly roles: readonly string[];
  /** When the process started. */
  readonly started: string;
  readonly retention: {
    /** How much of the log is kept behind its readers. In seconds. */
    readonly log_seconds: number;
    readonly history_seconds: number | null;
    /** How large the history may become; null if no size is too much. */
    readonly history_bytes: number | null;
    /** How long the queue knows a delivery that was made. In seconds. */
    readonly delivered_seconds: number;
    /** How long a dead letter is kept. In seconds. */
    readonly dead_letter_seconds: number;
  };
  readonly limits: {
    /** How long a window waits for late events, unless its trigger says otherwise. In seconds. */
    readonly lateness_seconds: number;
    /** How long a delivery is tried, unless its action says otherwise. In seconds. */
    readonly give_up_after_seconds: number;
    /** The size of the largest event. */
    readonly event_bytes: number;
    /** How many firings may follow from each other. */
    readonly chain_length: number;
    /** How often one automation may fire for the consequences of one event from outside. */
    readonly firings_per_cause: number;
  };
  readonly canary_seconds: number | null;
  /** What is exported to OpenTelemetry. */
  readonly telemetry: {
    readonly traces: boolean;
    readonly metrics: boolean;
  };
  /** Whether secrets are encrypted before they are stored. */
  readonly secrets_sealed: boolean;
  /** The settings of the process. They concern all workspaces, so only keys of the first one see them; null for others. */
  readonly settings: readonly ShownSetting[] | null;
}

/** Who the request comes from, and what it may do. */
export interface Session {
  /** Whether requests need an API key. */
  readonly key_required: boolean;
  /** Whether this request was allowed in. */
  readonly allowed: boolean;
  /** The API key of the request; null if it has none. */
  readonly key: {
    readonly id: string;
    readonly name: string;
  } | null;
  /** What the request may do. */
  readonly scopes: readonly (
    | "events:write"
    | "events:read"
    | "automations:read"
    | "automations:write"
    | "admin"
  )[];
  /** The workspace that the request is for. */
  readonly workspace: string | null;
  /** Those that the request could name. */
  readonly workspaces: readonly string[];
  /** What pages send as a bearer token beside the cookie; null without the cookie. */
  readonly page_token: string | null;
  /** The version of Tripline. */
  readonly version: string | null;
}

/** A part of the workspace's automations, which one engine evaluates. */
export interface Shard {
  readonly shard: number;
  /** The engine that owns it; null if none does. */
  readonly owner: string | null;
  readonly since: string | null;
  /** The number of its ownership, which grows with each; null if it had none. */
  readonly epoch: number | null;
  /** The last entry of the log that it has consumed. */
  readonly position: string;
  readonly watermark: string | null;
  /** How many entries of the log it has yet to consume. */
  readonly entries_behind: number;
  /** How long the oldest of those, or the earliest window that is overdue, has been waiting. */
  readonly delay_ms: number;
}

/** The engines and shards of a workspace. */
export interface Shards {
  /** The number of shards; 0 if no engine has ever run. */
  readonly count: number;
  /** How often the number was changed. */
  readonly generation: number;
  /** A change of the number that has not been made; null if there is none. */
  readonly change: {
    /** The number that was asked for. */
    readonly count: number;
    /** When it was asked for. */
    readonly since: string;
    /** Why it was given up; null while engines work on it. */
    readonly failure: string | null;
  } | null;
  readonly engines: readonly EngineMember[];
  readonly shards: readonly Shard[];
}

export interface ShownSetting {
  /** As an option, such as `--history-max-age`. */
  readonly name: string;
  /** As a variable of the environment. */
  readonly variable: string;
  readonly description: string;
  /** As it would be written. Passwords in URLs are masked. */
  readonly value: string;
  readonly default: string;
  /** Whether the value differs from the default. */
  readonly changed: boolean;
}

/** Where it is defined. What a file defines can only be changed in that file. */
export interface Source {
  readonly kind: "api" | "file";
  /** The rule file, for kind file. */
  readonly file?: string | undefined;
  /** The value of `enabled` in the file. */
  readonly enabled?: boolean | undefined;
  /** The rule file that `tripline apply` sent it from, for kind api. */
  readonly applied?:
    | {
        readonly file: string;
        readonly enabled: boolean;
      }
    | undefined;
}

export interface TemplateFailure {
  /** Where it is in the action, such as `payload.text`. */
  readonly field: string;
  /** Why it failed, without secrets. */
  readonly reason: string;
}

export interface Timeline {
  readonly since: string;
  readonly until: string;
  /** The events that the automation's present trigger covers, the newest first. */
  readonly events: readonly TimelineEvent[];
  /** From when on `events` is complete: `since`, or later if it is truncated. */
  readonly events_since: string;
  /** Whether there may be more events: beyond `limit`, or beyond what was looked through. */
  readonly events_truncated: boolean;
  /** The newest first. */
  readonly firings: readonly TimelineFiring[];
  /** Whether there may be more firings. */
  readonly firings_truncated: boolean;
  /** To when `windows` is true; null until an engine has taken up the automation. */
  readonly as_of: string | null;
  /** The windows that are open now, whatever the times asked about. The next to be judged comes first. */
  readonly windows: readonly Window[];
  /** Whether more windows are open. */
  readonly windows_truncated: boolean;
  readonly deliveries: TimelineDeliveries;
}

/** The deliveries of `firings`, as far as they have ended. */
export interface TimelineDeliveries {
  /** Made. A redelivery counts as another one. */
  readonly executed: number;
  /** Failed for good. */
  readonly failed: number;
}

export interface TimelineEvent {
  readonly id: string;
  readonly event: string;
  readonly occurred: string;
  readonly received: string;
  readonly resource_id: string;
  /** `expected`: it counts. `after`: it opens a window. */
  readonly role: "expected" | "after";
  /** The path of the first trigger that covers it; empty for the root itself. */
  readonly trigger: string;
  /** The values of the key that it belongs to. */
  readonly labels: { readonly [key: string]: string };
}

export interface TimelineFiring {
  /** Null if an older version recorded it. */
  readonly id: string | null;
  /** The event about the firing. */
  readonly event_id: string;
  readonly state: "Triggered" | "Resolved";
  readonly triggered: string;
  /** The values of the key. */
  readonly labels: { readonly [key: string]: string };
  /** Null for a composite. */
  readonly window: TracedWindow | null;
}

export interface Trace {
  /** One for a firing or a delivery; for an event, each firing that it caused. */
  readonly firings: readonly TracedFiring[];
  /** Whether the event caused more firings than are listed. */
  readonly truncated: boolean;
}

export interface TracedEvent {
  /** `expected`: it counted. `after`: it opened the window. `last`: the last event before an absence. */
  readonly role: "expected" | "after" | "last";
  readonly event: ReceivedEvent;
}

/** The path of one firing: what led to it, and what followed. */
export interface TracedFiring {
  /** Null if an older version recorded it. */
  readonly id: string | null;
  /** The event about the firing. */
  readonly event_id: string;
  readonly automation: {
    readonly id: string;
    readonly name: string;
  };
  readonly state: "Triggered" | "Resolved";
  readonly triggered: string;
  /** The event that caused it, or the last one before an absence; null if there was none. */
  readonly triggering_event_id: string | null;
  /** Of a resolution: whether the event had occurred in time. */
  readonly late: boolean | null;
  /** The trigger that fired first, then those below it whose firings it used. */
  readonly triggers: readonly TracedTrigger[];
  /** When the automation was changed after the firing: `events` are found by its present trigger. */
  readonly changed_since: string | null;
  readonly deliveries: readonly Delivery[];
  /** Events that its `emit-event` actions emitted. */
  readonly emitted: readonly ReceivedEvent[];
}

export interface TracedTrigger {
  /** The trigger's path from the root; empty for the root itself. */
  readonly trigger: string;
  readonly state: "Triggered" | "Resolved";
  readonly triggered: string;
  /** The values of the key. */
  readonly labels: { readonly [key: string]: string };
  /** Null for a composite. */
  readonly window: TracedWindow | null;
  /** Why it fired, in a sentence. */
  readonly summary: string;
  /** In the order in which they occurred. */
  readonly events: readonly TracedEvent[];
  /** Whether more events counted than are listed. */
  readonly more_events: boolean;
}

export interface TracedWindow {
  readonly start: string;
  readonly end: string | null;
  /** Expected events that were counted in it. */
  readonly count: number;
  readonly threshold: number;
}

export type Trigger = EventTrigger | CompoundTrigger | SequenceTrigger;

/** A trigger in plain words. */
export interface TriggerWords {
  /** One sentence that says when it fires. */
  readonly summary: string;
  /** More sentences: what counts, what happens after a firing, how long it waits. */
  readonly details: readonly string[];
  readonly children?: ChildTriggerWords | undefined;
}

/** The child triggers, of any kind. */
export type Triggers = readonly Trigger[];

export interface UrlHealth {
  /** As the rule has it, without credentials, templates and references not filled in. */
  readonly url: string;
  /** Whether it responded 410 Gone, and is sent nothing. */
  readonly disabled: boolean;
  /** When a delivery is sent to find out whether it works again; null if it does not rest, or nothing waits for it. */
  readonly resting_until: string | null;
  /** Deliveries that a worker takes next, or has. */
  readonly waiting: number;
  /** Deliveries that come back later. */
  readonly retrying: number;
  /** Dead letters of the last 30 days. */
  readonly dead: number;
  /** What the present actions to it have delivered within a day; null without a history, or while it is unavailable. */
  readonly delivered_last_day: number | null;
  /** What they gave up, or someone cancelled, within a day; null as above. */
  readonly failed_last_day: number | null;
  /** When they last delivered anything; null if not within a day, or as above. */
  readonly last_delivered: string | null;
  /** The last failure that is known, of an attempt or for good; the reason holds no secrets. */
  readonly last_failed: {
    readonly at: string;
    readonly reason: string | null;
  } | null;
  /** The automations whose actions go there, 100 at most. */
  readonly used_by: readonly {
    readonly id: string;
    readonly name: string;
  }[];
  /** How many automations that are. */
  readonly used_by_count: number;
}

export interface Window {
  /** The trigger's path from the root; empty for the root itself. */
  readonly trigger: string;
  /** The values of the window's key. */
  readonly labels: { readonly [key: string]: string };
  readonly start: string | null;
  readonly end: string | null;
  readonly count: number;
  readonly threshold: number;
  /** When the window is judged, if nothing happens before. */
  readonly deadline: string | null;
  readonly last_event: string | null;
  /** True: an absence has fired and has not ended. */
  readonly unresolved: boolean;
  /** The trigger has fired, and events that occur before this time do not count. */
  readonly quiet_until: string | null;
  /** Events of the key that have arrived and wait out the lateness before they are counted. */
  readonly settling: number;
  /** For a composite: the paths of the triggers that have yet to fire. */
  readonly awaited: readonly string[];
  /** The times in which nobody could post, by which the end has moved. */
  readonly gaps: readonly {
    readonly from: string;
    readonly to: string;
  }[];
  /** The window is not judged, because nobody has been able to post since then; null if somebody can. */
  readonly unreachable_since: string | null;
}

export interface WindowChange {
  /** The trigger's path from the root; empty for the root itself. */
  readonly trigger: string;
  /** The values of the window's key. */
  readonly labels: { readonly [key: string]: string };
  readonly start: string | null;
  readonly end: string | null;
  readonly count: number;
  readonly threshold: number;
  /** When the window is judged, if nothing happens before. */
  readonly deadline: string | null;
  readonly last_event: string | null;
  /** True: an absence has fired and has not ended. */
  readonly unresolved: boolean;
  /** The trigger has fired, and events that occur before this time do not count. */
  readonly quiet_until: string | null;
  /** Events of the key that have arrived and wait out the lateness before they are counted. */
  readonly settling: number;
  /** For a composite: the paths of the triggers that have yet to fire. */
  readonly awaited: readonly string[];
  /** The times in which nobody could post, by which the end has moved. */
  readonly gaps: readonly {
    readonly from: string;
    readonly to: string;
  }[];
  /** The window is not judged, because nobody has been able to post since then; null if somebody can. */
  readonly unreachable_since: string | null;
  readonly becomes: "kept" | "reset";
}

/** How many windows of an automation are open. */
export interface WindowCount {
  readonly automation_id: string;
  readonly open: number;
  /** How many of them have fired for an absence that has not ended. */
  readonly unresolved: number;
}

export interface Windows {
  readonly automation: AutomationName;
  /** How far log time has been consumed; null until an engine has taken up the automation. */
  readonly as_of: string | null;
  /** How many windows are open and asked for, of which `windows` has the first. */
  readonly count: number;
  readonly windows: readonly Window[];
}
