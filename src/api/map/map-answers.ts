/** What the operation on the map answers. */

import { z } from "zod";
import { IdSchema, TimeSchema } from "../http/answers.ts";

const count = (description: string) =>
  z
    .int()
    .nullable()
    .meta({ description: `${description} In the last day; null if that is not known.` });
const ids = (description: string) => z.array(IdSchema).meta({ description });

const MappedAutomationSchema = z
  .object({
    id: IdSchema,
    name: z.string(),
    enabled: z.boolean(),
    posture: z.enum(["Reactive", "Proactive"]).nullable().meta({
      description: "Null for a trigger that is made of several.",
    }),
    expects: z.array(z.string()).meta({
      description:
        "The patterns of `expect` in all its triggers; `*` for one that names none, and expects any event.",
    }),
    after: z.array(z.string()).meta({ description: "The patterns of `after` in all its triggers." }),
    firings_last_day: count("How often it fired."),
    last_fired: TimeSchema.nullable().meta({
      description: "When it last fired, in the last 30 days; null if it did not, or if that is not known.",
    }),
    never_fires: z.string().nullable().meta({
      description: "Why its trigger can never fire; null if it can, or if it has too many patterns to tell.",
    }),
    destinations: z.array(z.string()).meta({
      description:
        "Where its actions go: names of destinations, and URLs as the rule has them, without credentials.",
    }),
  })
  .meta({ id: "MappedAutomation", description: "An automation of the map." });

const MappedEventSchema = z
  .object({
    pattern: z.string().meta({ description: "As `expect` or `after` has it." }),
    kind: z.enum(["external", "internal"]).meta({
      description: "`internal`: Tripline itself makes such events, or an automation emits them.",
    }),
    seen_last_day: count("How many recorded events have a name that matches."),
    automations: ids("The automations that name the pattern."),
  })
  .meta({ id: "MappedEvent", description: "A pattern of events that automations wait for." });

const MappedLinkSchema = z
  .object({
    from: IdSchema.meta({ description: "The automation that causes the event." }),
    to: IdSchema.meta({ description: "The automation that reacts to it." }),
    event: z.string().meta({ description: "The event's name, or a pattern if a template makes it." }),
    count_last_day: count("How often it was caused, whether or not the other reacted."),
  })
  .meta({
    id: "MappedLink",
    description: "One automation certainly reacts to an event that another causes.",
  });

const MappedHookSchema = z
  .object({
    name: z.string(),
    events: z.array(z.string()).nullable().meta({
      description:
        "The names of the events that it makes, with `*` where a template fills something in; null if a template writes them all.",
    }),
  })
  .meta({ id: "MappedHook" });

const IdleAutomationSchema = z
  .object({
    id: IdSchema,
    why: z.enum(["cannot_fire", "never_seen"]).meta({
      description:
        "`cannot_fire`: no event can make it fire. `never_seen`: it is enabled, and the history holds no event of a name that it needs.",
    }),
    reason: z.string().meta({ description: "In a sentence." }),
  })
  .meta({ id: "IdleAutomation", description: "An automation that does not fire as things are." });

export const AutomationMapSchema = z
  .object({
    automations: z.array(MappedAutomationSchema).meta({ description: "By name." }),
    events: z.array(MappedEventSchema).meta({ description: "By pattern." }),
    links: z.array(MappedLinkSchema),
    loops: z.array(z.array(IdSchema)).meta({
      description: "Automations that set themselves off, directly or through others. Tripline cuts loops.",
    }),
    hooks: z.array(MappedHookSchema).meta({ description: "By name. Not restricted to a neighborhood." }),
    dead: z.array(IdleAutomationSchema),
    truncated: z.boolean().meta({ description: "Whether there is more than one answer holds." }),
  })
  .meta({
    id: "AutomationMap",
    description: "Which events set off which automations, and those which others.",
  });

export type AutomationMap = z.input<typeof AutomationMapSchema>;
