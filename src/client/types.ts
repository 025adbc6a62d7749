/** What the client takes and gives, derived from the schemas with which the server checks requests. */

import type { z } from "zod";
import type { ApplySchema } from "../api/automations/apply.ts";
import type { AutomationCreateSchema, AutomationUpdateSchema } from "../api/automations/automation-input.ts";
import type { DestinationSchema } from "../core/model/destination.ts";
import type { EventSchema } from "../core/model/event.ts";
import type {
  CompoundTriggerSchema,
  EventTriggerSchema,
  SequenceTriggerSchema,
} from "../core/model/trigger.ts";
import type { EventFilterSchema } from "../history/filter.ts";

export type { AppliedChange, AppliedRules } from "../api/automations/automation-answers.ts";
export type { DeadLetter, DeadLetterPage } from "../api/deliveries/dead-letter.ts";
export type { DestinationView } from "../api/destinations/destinations.ts";
export type { EventCount, EventPage } from "../api/events/event-answers.ts";
export type { ShownExplanation as Explanation, Window, Windows } from "../api/explain/explain-answers.ts";
export type { AutomationView } from "../core/model/automation-view.ts";
export type { ReceivedEvent } from "../core/model/event.ts";

/** What a schema takes, never changed by this client: so lists and objects may be readonly. */
type Given<T> = T extends object ? { readonly [Key in keyof T]: Given<T[Key]> } : T;

/** An event to emit. Its id and its time are filled in where they are missing. */
export type NewEvent = Given<Omit<z.input<typeof EventSchema>, "id" | "occurred">> & {
  readonly id?: string;
  readonly occurred?: string | Date;
};

/** An event as it was sent: with these it is the same event, however often it is sent. */
export type EmittedEvent = NewEvent & { readonly id: string; readonly occurred: string };

/** Which events; all given parts must hold. */
export type EventFilter = Given<z.input<typeof EventFilterSchema>>;

export type NewTrigger =
  | Given<z.input<typeof EventTriggerSchema>>
  | (Given<Omit<z.input<typeof CompoundTriggerSchema>, "triggers">> & Children)
  | (Given<Omit<z.input<typeof SequenceTriggerSchema>, "triggers">> & Children);

interface Children {
  readonly triggers: readonly NewTrigger[];
}

interface Triggered {
  readonly trigger: NewTrigger;
}

export type NewAutomation = Given<Omit<z.input<typeof AutomationCreateSchema>, "trigger">> & Triggered;

/** What is left out keeps its value. */
export type AutomationUpdate = Given<Omit<z.input<typeof AutomationUpdateSchema>, "trigger">> & Triggered;

/** Rules to apply. The server checks the definitions. */
export type Application = Omit<z.input<typeof ApplySchema>, "automations" | "destinations"> & {
  readonly destinations?: readonly unknown[];
  readonly automations: readonly {
    readonly definition: unknown;
    readonly file: string;
    readonly secrets?: Readonly<Record<string, string>>;
  }[];
};

export type NewDestination = Given<z.input<typeof DestinationSchema>>;
