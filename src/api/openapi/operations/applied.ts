/** What became, or would become, of rules that were applied over the API. */

import { z } from "zod";
import { WindowSchema } from "./answers.ts";

export const AppliedChangeSchema = z
  .object({
    what: z.enum(["automation", "destination"]),
    change: z.enum(["create", "change", "delete", "unchanged"]),
    id: z.string().meta({ format: "uuid" }),
    name: z.string(),
    file: z.string().nullable(),
    fields: z.array(z.string()).meta({ description: "Which parts of it change. `secrets` are never shown." }),
    windows: z
      .array(WindowSchema.extend({ becomes: z.enum(["kept", "reset"]) }))
      .meta({ description: "The open windows of what changes or goes, and whether each is kept." }),
  })
  .meta({ id: "AppliedChange" });

export const AppliedRulesSchema = z
  .object({ dry_run: z.boolean(), changes: z.array(AppliedChangeSchema) })
  .meta({ id: "AppliedRules" });

export type AppliedChange = z.infer<typeof AppliedChangeSchema>;
export type AppliedRules = z.infer<typeof AppliedRulesSchema>;
