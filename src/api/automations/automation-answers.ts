/** What the operations on automations answer. */

import { z } from "zod";
import { AutomationSchema } from "../../core/model/automation.ts";
import { WindowSchema } from "../explain/explain-answers.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";

export const SourceSchema = z
  .object({
    kind: z.enum(["api", "file"]),
    file: z.string().optional().meta({ description: "The rule file, for kind file." }),
    enabled: z.boolean().optional().meta({ description: "The value of `enabled` in the file." }),
    applied: z
      .object({ file: z.string(), enabled: z.boolean() })
      .optional()
      .meta({ description: "The rule file that `tripline apply` sent it from, for kind api." }),
  })
  .meta({
    id: "Source",
    description: "Where it is defined. What a file defines can only be changed in that file.",
  });

const { name: _name, ...definition } = AutomationSchema.shape;

export const AutomationViewSchema = z
  .object({
    id: IdSchema,
    name: z.string(),
    ...definition,
    source: SourceSchema,
    created: TimeSchema,
    updated: TimeSchema,
  })
  .meta({ id: "AutomationView", description: "An automation as it is stored, with secrets masked." });

export const FieldChangeSchema = z
  .object({
    field: z.string().meta({ description: "Such as `trigger.within` or `actions[0].url`." }),
    old: z.unknown().optional(),
    new: z.unknown().optional(),
  })
  .meta({ id: "FieldChange", description: "A field that differs; a side without it leaves its value out." });

export const AppliedChangeSchema = z
  .object({
    what: z.enum(["automation", "destination"]),
    change: z.enum(["create", "change", "delete", "unchanged"]),
    id: IdSchema,
    name: z.string(),
    file: z.string().nullable(),
    fields: z
      .array(z.string())
      .meta({ description: "Which fields change. The values of `secrets` are never returned." }),
    changes: z.array(FieldChangeSchema).meta({ description: "At most 50; secrets are masked." }),
    windows: z
      .array(WindowSchema.extend({ becomes: z.enum(["kept", "reset"]) }).meta({ id: "WindowChange" }))
      .meta({
        description: "The open windows of an automation that changes or goes, and whether each is kept.",
      }),
  })
  .meta({ id: "AppliedChange" });

export const AppliedRulesSchema = z
  .object({ dry_run: z.boolean(), changes: z.array(AppliedChangeSchema) })
  .meta({ id: "AppliedRules" });

export type AppliedChange = z.infer<typeof AppliedChangeSchema>;
export type AppliedRules = z.infer<typeof AppliedRulesSchema>;
