/** The client's types: those of the API, and more convenient ones for some arguments. */

import type { Delivery, EmittedEvent } from "./wire-types.ts";

export type {
  Action,
  Activity,
  AllExplanations,
  AllWindows,
  ApiKeys,
  ApiKeyView,
  AppliedChange,
  AppliedRules,
  AutomationActivity,
  AutomationChange,
  AutomationChanges,
  AutomationMap,
  AutomationSummaries,
  AutomationSummary,
  AutomationUpdate,
  AutomationView,
  CreatedApiKey,
  Decision,
  Delivery,
  DeliveryCounts,
  DeliveryOutcomes,
  DeliveryPage,
  DestinationHealth,
  DestinationsHealth,
  DestinationTest,
  DestinationView,
  DisabledEndpoint,
  DoctorReport,
  EmittedEvent,
  EventChain,
  EventCount,
  EventDescendant,
  EventFilter,
  EventPage,
  ExplainedTrigger,
  Explanation,
  FieldChange,
  Frequency,
  ListedWindow,
  Lookup,
  LookupMatch,
  NewAction,
  NewApiKey,
  NewAutomation,
  NewDestination,
  NewTrigger,
  Overview,
  ReceivedEvent,
  RuleCase,
  RuleFile,
  RuleFileMistake,
  RuleSource,
  Rules,
  RuleTests,
  RuleWarning,
  RuleWords,
  SentMessage,
  Series,
  ServerSettings,
  Session,
  Shards,
  Timeline,
  TimelineEvent,
  TimelineFiring,
  Trace,
  TracedFiring,
  TracedTrigger,
  Trigger,
  TriggerWords,
  UrlHealth,
  Window,
  WindowCount,
  Windows,
} from "./wire-types.ts";

/** An event to emit. A missing id or time is filled in. */
export type NewEvent = Omit<EmittedEvent, "id" | "occurred"> & {
  readonly id?: string;
  readonly occurred?: string | Date;
};

/** Rules to apply. The server checks the definitions. */
export interface Application {
  readonly automations: readonly {
    readonly definition: unknown;
    /** The rule file that defines it. */
    readonly file: string;
    /** The values of `${env.NAME}` in its actions, by NAME. */
    readonly secrets?: Readonly<Record<string, string>> | undefined;
    /** How the file writes it, for people; without secrets. */
    readonly text?: { readonly yaml: string; readonly line: number } | undefined;
  }[];
  /** Stored before the automations, which may refer to them. Never deleted. */
  readonly destinations?: readonly unknown[] | undefined;
  /** Whether to delete automations that were applied to this workspace before and are missing now. */
  readonly prune?: boolean | undefined;
  /** Whether to only report what would change. */
  readonly dry_run?: boolean | undefined;
}

/** Which windows to list. */
export interface WindowOptions {
  /** `true`: only those whose absence has fired and has not ended. `false`: only the others. `"any"`: both. */
  readonly unresolved?: boolean | "any";
  /** Only those with this text in a value of their key, in any case. */
  readonly search?: string;
  /** How many to list at most. */
  readonly limit?: number;
}

/** The states that deliveries can be listed by. Deferred ones are listed as `retrying`. */
export type ListedState = Exclude<Delivery["state"], "deferred" | "cancelled" | "unknown">;
