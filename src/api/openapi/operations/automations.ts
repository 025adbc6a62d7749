/** Automations: what they are, why they fired, and what became of their actions. */

import { z } from "zod";
import { EventSchema } from "../../../core/model/event.ts";
import { ApplySchema } from "../../automations/apply.ts";
import { AutomationQuerySchema } from "../../automations/automation-filter.ts";
import { AutomationCreateSchema, AutomationUpdateSchema } from "../../automations/automation-input.ts";
import { AutomationPatchSchema } from "../../automations/automations.ts";
import { DeliveriesQuerySchema } from "../../automations/deliveries.ts";
import {
  AutomationViewSchema,
  DeadLetterPageSchema,
  DeadLetterSchema,
  DetailSchema,
  ExplanationSchema,
  WindowsSchema,
} from "./answers.ts";
import { AppliedRulesSchema } from "./applied.ts";
import type { Operation } from "./operation.ts";

const AutomationsSchema = z.array(AutomationViewSchema);
const CreateSchema = AutomationCreateSchema.meta({ id: "NewAutomation" });
const UpdateSchema = AutomationUpdateSchema.meta({ id: "AutomationUpdate" });

const fromFile = {
  description: "It is defined in a rule file, which the answer names.",
  schema: DetailSchema,
};

export const automationOperations: readonly Operation[] = [
  {
    method: "post",
    path: "/automations/",
    id: "createAutomation",
    summary: "Create an automation",
    description:
      "An event that is posted after the answer meets it. The path without the slash does the same.",
    tag: "automations",
    scope: "automations:write",
    body: CreateSchema,
    answers: { 201: { description: "As it is stored.", schema: AutomationViewSchema } },
  },
  {
    method: "get",
    path: "/automations/",
    id: "listAutomations",
    summary: "All automations, by name",
    description: "The path without the slash does the same.",
    tag: "automations",
    scope: "automations:read",
    answers: { 200: { description: "All of them.", schema: AutomationsSchema } },
  },
  {
    method: "post",
    path: "/automations",
    id: "createAutomationUnslashed",
    summary: "The same as POST /automations/",
    tag: "automations",
    scope: "automations:write",
    body: CreateSchema,
    answers: { 201: { description: "As it is stored.", schema: AutomationViewSchema } },
  },
  {
    method: "get",
    path: "/automations",
    id: "listAutomationsUnslashed",
    summary: "The same as GET /automations/",
    tag: "automations",
    scope: "automations:read",
    answers: { 200: { description: "All of them.", schema: AutomationsSchema } },
  },
  {
    method: "post",
    path: "/automations/filter",
    id: "filterAutomations",
    summary: "Find automations",
    tag: "automations",
    scope: "automations:read",
    body: AutomationQuerySchema.meta({ id: "AutomationQuery" }),
    bodyOptional: true,
    answers: { 200: { description: "At most 200 of them.", schema: AutomationsSchema } },
  },
  {
    method: "post",
    path: "/automations/count",
    id: "countAutomations",
    summary: "Count automations",
    tag: "automations",
    scope: "automations:read",
    body: AutomationQuerySchema,
    bodyOptional: true,
    answers: { 200: { description: "How many there are.", schema: z.int() } },
  },
  {
    method: "post",
    path: "/automations/apply",
    id: "applyAutomations",
    summary: "Apply rules: bring the automations to what is sent, or say what would change",
    description:
      "Each automation is known by its name. What differs is created or changed, and with `prune` what was applied before and is missing now is deleted. To apply the same again changes nothing.",
    tag: "automations",
    scope: "automations:write",
    body: ApplySchema,
    answers: {
      200: { description: "What was done, or would be.", schema: AppliedRulesSchema },
      409: {
        description: "A name belongs to another automation; nothing was changed.",
        schema: DetailSchema,
      },
    },
  },
  {
    method: "get",
    path: "/automations/{id}",
    id: "readAutomation",
    summary: "Read an automation",
    tag: "automations",
    scope: "automations:read",
    answers: { 200: { description: "As it is stored.", schema: AutomationViewSchema } },
  },
  {
    method: "put",
    path: "/automations/{id}",
    id: "updateAutomation",
    summary: "Change an automation",
    description: "What is left out keeps its value. Windows are kept while the trigger means the same.",
    tag: "automations",
    scope: "automations:write",
    body: UpdateSchema,
    answers: { 204: { description: "It is changed." }, 409: fromFile },
  },
  {
    method: "patch",
    path: "/automations/{id}",
    id: "pauseOrResumeAutomation",
    summary: "Pause or resume an automation",
    tag: "automations",
    scope: "automations:write",
    body: AutomationPatchSchema,
    answers: { 204: { description: "It is paused or resumed." } },
  },
  {
    method: "delete",
    path: "/automations/{id}",
    id: "deleteAutomation",
    summary: "Delete an automation",
    tag: "automations",
    scope: "automations:write",
    answers: { 204: { description: "It is gone." }, 409: fromFile },
  },
  {
    method: "get",
    path: "/automations/related-to/{resource}",
    id: "automationsRelatedTo",
    summary: "The automations that a resource owns, or that act on it",
    description: "The resource's id may hold slashes.",
    tag: "automations",
    scope: "automations:read",
    answers: { 200: { description: "Those automations.", schema: AutomationsSchema } },
  },
  {
    method: "delete",
    path: "/automations/owned-by/{resource}",
    id: "deleteAutomationsOwnedBy",
    summary: "Delete the automations that a resource owns",
    tag: "automations",
    scope: "automations:write",
    answers: { 202: { description: "They are gone." } },
  },
  {
    method: "get",
    path: "/automations/{id}/windows",
    id: "automationWindows",
    summary: "The open windows of an automation",
    tag: "why",
    scope: "automations:read",
    answers: { 200: { description: "The next to be judged first.", schema: WindowsSchema } },
  },
  {
    method: "post",
    path: "/automations/{id}/explain",
    id: "explainEvent",
    summary: "What an event was, or would be, to an automation",
    tag: "why",
    scope: "automations:read",
    body: z
      .strictObject({
        event: z.union([z.string().meta({ format: "uuid" }), EventSchema]).meta({
          description: "The id of an event of the log; or an event that might come now.",
        }),
      })
      .meta({ id: "ExplainRequest" }),
    answers: {
      200: { description: "What decided, and where every trigger stands.", schema: ExplanationSchema },
    },
  },
  {
    method: "get",
    path: "/deliveries",
    id: "listDeadLetters",
    summary: "Dead letters: deliveries that were given up",
    tag: "deliveries",
    scope: "automations:read",
    query: DeliveriesQuerySchema,
    answers: { 200: { description: "The newest first.", schema: DeadLetterPageSchema } },
  },
  {
    method: "get",
    path: "/deliveries/{id}",
    id: "readDeadLetter",
    summary: "Read a dead letter",
    tag: "deliveries",
    scope: "automations:read",
    answers: { 200: { description: "It, with its latest attempts.", schema: DeadLetterSchema } },
  },
  {
    method: "post",
    path: "/deliveries/{id}/redeliver",
    id: "redeliver",
    summary: "Give a dead letter all its attempts again",
    description: "Under the same webhook-id.",
    tag: "deliveries",
    scope: "automations:write",
    answers: { 202: { description: "It is on its way." } },
  },
];
