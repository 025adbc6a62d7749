/** What the client takes and returns: the types of the API, and those that are more convenient in a program. */

import type { Delivery, EmittedEvent } from "./wire-types.ts";

export type {
  Action,
  AppliedChange,
  AppliedRules,
  AutomationUpdate,
  AutomationView,
  Decision,
  Delivery,
  DeliveryPage,
  DestinationView,
  EmittedEvent,
  EventCount,
  EventFilter,
  EventPage,
  ExplainedTrigger,
  Explanation,
  NewAction,
  NewAutomation,
  NewDestination,
  NewTrigger,
  ReceivedEvent,
  Trigger,
  Window,
  Windows,
} from "./wire-types.ts";

/** An event to emit. Its id and its time are filled in where they are missing. */
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
    /** What `${env.NAME}` in its actions stands for, by NAME. */
    readonly secrets?: Readonly<Record<string, string>> | undefined;
  }[];
  /** Put before the automations, which may refer to them. None is ever deleted. */
  readonly destinations?: readonly unknown[] | undefined;
  /** Also delete what was applied to this workspace before and is not sent now. */
  readonly prune?: boolean | undefined;
  /** Only say what would be done. */
  readonly dry_run?: boolean | undefined;
}

/** The states by which deliveries are listed: deferred ones are among the `retrying`. */
export type ListedState = Exclude<Delivery["state"], "deferred" | "unknown">;
