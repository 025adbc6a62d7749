/** Automations: a trigger, and the actions to run when it fires. */

import { z } from "zod";
import { isRawJson } from "../json/exact-number.ts";
import { type ActionDefinition, ActionSchema, templatesLengthOf } from "./action.ts";
import { actionsMax, descriptionLengthMax, nameLengthMax, tagsMax, templatesLengthMax } from "./limits.ts";
import { isRecord } from "./record.ts";
import type { Micros } from "./time.ts";
import { type TriggerDefinition, TriggerSchema } from "./trigger.ts";

/** An automation as it is written, with every default filled in. */
export interface AutomationDefinition {
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly tags: readonly string[];
  readonly trigger: TriggerDefinition;
  readonly actions: readonly ActionDefinition[];
  readonly actions_on_trigger: readonly ActionDefinition[];
  readonly actions_on_resolve: readonly ActionDefinition[];
}

/** Where an automation is defined. An automation from a file can be changed only in that file. */
export type AutomationSource = FileSource | ApiSource;

export interface ApiSource {
  readonly kind: "api";
  /** The rule file that it was applied from (`tripline apply`), and the value of `enabled` in that file. */
  readonly applied?: { readonly file: string; readonly enabled: boolean };
}

export interface FileSource {
  readonly kind: "file";
  readonly file: string;
  /** The value in the file. The automation's own `enabled` differs after it was paused or resumed over the API. */
  readonly enabled: boolean;
}

/** An automation as the log carries it. */
export interface Automation extends AutomationDefinition {
  readonly id: string;
  readonly source: AutomationSource;
  /**
   * The values of `${env.NAME}` in its actions, by name. They go into the log and to the action workers, and nowhere
   * else: no API answer, event, metric or log line may show them.
   */
  readonly secrets: Readonly<Record<string, string>>;
  /** The id of the resource that owns it. Set at its creation over the API, and never shown. */
  readonly owner?: string;
  readonly created: Micros;
  readonly updated: Micros;
}

/** The fields of an automation that list actions. */
export const actionLists = ["actions", "actions_on_trigger", "actions_on_resolve"] as const;

const nameTooLong = `name should have at most ${nameLengthMax} characters`;

const ActionsSchema = z
  .array(ActionSchema)
  .max(actionsMax, `A list of actions should hold at most ${actionsMax} actions`)
  .superRefine((actions, context) => {
    const length = templatesLengthOf(actions);
    if (length <= templatesLengthMax) return;
    const message = `The templates of a list of actions should have at most ${templatesLengthMax} characters together; these have ${length}`;
    context.addIssue({ code: "custom", message });
  });

export const AutomationSchema = z
  .strictObject({
    name: z.string().min(1, "name should not be empty").max(nameLengthMax, nameTooLong).meta({
      description: "Unique in the workspace. An automation from a rule file is identified by its name.",
    }),
    description: z
      .string()
      .max(descriptionLengthMax, `description should have at most ${descriptionLengthMax} characters`)
      .default("")
      .meta({ description: "What it is for, in one sentence." }),
    enabled: z
      .boolean()
      .default(true)
      .meta({ description: "If false, the automation neither counts events nor fires." }),
    tags: z
      .array(z.string().max(nameLengthMax, `A tag should have at most ${nameLengthMax} characters`))
      .max(tagsMax, `tags should hold at most ${tagsMax} tags`)
      .default([])
      .transform((tags) => [...new Set(tags)])
      .meta({ description: "Tags for filtering." }),
    trigger: TriggerSchema.meta({ description: "The events to watch for, or whose absence to watch for." }),
    actions: ActionsSchema.default([]).meta({ description: "Run when the automation fires." }),
    actions_on_trigger: ActionsSchema.default([]).meta({
      description: "Run when the automation fires, after `actions`.",
    }),
    actions_on_resolve: ActionsSchema.default([]).meta({
      description: "Run when an absence that fired ends.",
    }),
  })
  .meta({ id: "Automation", title: "Tripline automation" });

/** True when two triggers differ at most in their ids. Then open windows survive the change from one to the other. */
export function sameTrigger(a: TriggerDefinition, b: TriggerDefinition): boolean {
  return canonicalJson(withoutTriggerIds(a)) === canonicalJson(withoutTriggerIds(b));
}

/** JSON with the keys of every object sorted, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (!isRecord(part) || isRawJson(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** The trigger without its ids, which follow from its place. */
export function withoutTriggerIds(trigger: TriggerDefinition): unknown {
  const { id: _id, ...rest } = trigger;
  return trigger.type === "event" ? rest : { ...rest, triggers: trigger.triggers.map(withoutTriggerIds) };
}
