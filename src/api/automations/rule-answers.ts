/** What the operations on rules answer: their text, their words, and what was found in their files. */

import { z } from "zod";
import type { TriggerWords } from "../../core/model/describe-trigger.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";

const wordsShape = {
  summary: z.string().meta({ description: "One sentence that says when it fires." }),
  details: z.array(z.string()).meta({
    description: "More sentences: what counts, what happens after a firing, how long it waits.",
  }),
};

const ChildTriggerWordsSchema = z
  .array(z.lazy((): z.ZodType<TriggerWords> => TriggerWordsSchema))
  .meta({ id: "ChildTriggerWords", description: "For a composite: each of its triggers, in order." });

const TriggerWordsSchema: z.ZodType<TriggerWords> = z
  .object({ ...wordsShape, children: ChildTriggerWordsSchema.optional() })
  .meta({ id: "TriggerWords", description: "A trigger in plain words." });

const RuleWordsSchema = z
  .object({
    ...wordsShape,
    children: ChildTriggerWordsSchema.optional(),
    actions: z
      .array(z.string())
      .meta({ description: "What happens when it fires, one line for each action." }),
    actions_on_resolve: z
      .array(z.string())
      .meta({ description: "What happens when an absence that fired ends." }),
  })
  .meta({ id: "RuleWords", description: "An automation in plain words. They hold no secrets." });

export const RuleSourceSchema = z
  .object({
    yaml: z
      .string()
      .meta({ description: "Its text. Secrets are masked; references such as `${env.NAME}` stay." }),
    origin: z.enum(["file", "definition"]).meta({
      description:
        "file: as it is written in its rule file, with comments. definition: made from the stored definition, because no file defines it, or its text is not known.",
    }),
    file: z.string().nullable().meta({ description: "The rule file that defines it." }),
    line: z
      .int()
      .nullable()
      .meta({ description: "The line of the file with which `yaml` begins, for origin file." }),
    words: RuleWordsSchema,
  })
  .meta({ id: "RuleSource", description: "The text of an automation, and what it says in plain words." });

const RuleFileMistakeSchema = z
  .object({
    file: z.string(),
    line: z.int().meta({ description: "From 1; 0 is the file as a whole." }),
    column: z.int(),
    message: z.string().meta({ description: "What is wrong, what was found, and what to do." }),
  })
  .meta({ id: "RuleFileMistake" });

const RuleWarningSchema = z
  .object({
    file: z.string().nullable().meta({
      description:
        "Null: no file is known, and the place is in the `yaml` that `GET /automations/{id}/rule` answers.",
    }),
    line: z.int(),
    column: z.int(),
    code: z.string().meta({ description: "Such as TL401: docs/rule-warnings.md lists them." }),
    reason: z.string(),
    fix: z.string(),
    automation: z.object({ id: IdSchema, name: z.string() }).nullable(),
  })
  .meta({ id: "RuleWarning", description: "Valid, but almost certainly a mistake." });

const RuleTestsSchema = z
  .object({
    ran: TimeSchema,
    duration_ms: z.int(),
    files: z.int(),
    passed: z.int(),
    failed: z.int(),
    not_run: z.int().meta({ description: "Left out, because all cases together would take too long." }),
    mistakes: z
      .array(RuleFileMistakeSchema)
      .meta({ description: "In the case files themselves; a case with a mistake is not run." }),
    cases: z.array(
      z
        .object({
          file: z.string(),
          line: z.int(),
          name: z.string(),
          passed: z.boolean(),
          report: z.string().meta({
            description: "What `tripline test` prints about a case that failed; empty for one that passed.",
          }),
        })
        .meta({ id: "RuleCase" }),
    ),
  })
  .meta({ id: "RuleTests" });

export const RulesSchema = z
  .object({
    checked: TimeSchema.nullable().meta({
      description: "When the watched files were last loaded; null if no server watches any.",
    }),
    in_effect: z.boolean().meta({
      description:
        "False: the watched files have mistakes, so the rules that were applied before remain in effect.",
    }),
    pending: z
      .boolean()
      .meta({ description: "True: the warnings and tests of the watched files are not known yet." }),
    paths: z.array(z.string()).meta({ description: "What the server watches." }),
    files: z.array(z.object({ file: z.string(), automations: z.int() }).meta({ id: "RuleFile" })),
    mistakes: z.array(RuleFileMistakeSchema),
    warnings: z.array(RuleWarningSchema).meta({
      description: "Of the watched files, and of the automations that were applied or created over the API.",
    }),
    tests: RuleTestsSchema.nullable().meta({
      description: "The cases (`*.test.yaml`) beside the watched files; null if there are none.",
    }),
    left_out: z
      .object({ files: z.int(), mistakes: z.int(), warnings: z.int() })
      .meta({ description: "How many of each are left out, because there are very many." }),
  })
  .meta({
    id: "Rules",
    description: "What `tripline check` and `tripline test` say of the rules that run now.",
  });
