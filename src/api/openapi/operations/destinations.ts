/** Destinations. */

import { z } from "zod";
import { DestinationSchema } from "../../../core/model/destination.ts";
import { DestinationViewSchema, DetailSchema } from "./answers.ts";
import type { Operation } from "./operation.ts";

const tag = "destinations";
const byIdOrName = { id: z.string().meta({ description: "The destination's id, or its name." }) };
const fromFile = {
  description: "It is defined in a rule file, which the answer names.",
  schema: DetailSchema,
};
const stored = { description: "As it is stored, secrets masked.", schema: DestinationViewSchema };

export const destinationOperations: readonly Operation[] = [
  {
    method: "get",
    path: "/destinations",
    id: "listDestinations",
    summary: "All destinations",
    tag,
    scope: "automations:read",
    answers: { 200: { description: "All of them, secrets masked.", schema: z.array(DestinationViewSchema) } },
  },
  {
    method: "post",
    path: "/destinations",
    id: "createDestination",
    summary: "Create a destination",
    tag,
    scope: "automations:write",
    body: DestinationSchema,
    answers: { 201: stored, 409: { description: "There is one of that name.", schema: DetailSchema } },
  },
  {
    method: "get",
    path: "/destinations/{id}",
    id: "readDestination",
    summary: "Read a destination",
    tag,
    scope: "automations:read",
    parameters: byIdOrName,
    answers: { 200: stored },
  },
  {
    method: "put",
    path: "/destinations/{id}",
    id: "updateDestination",
    summary: "Change a destination",
    description: "A mask sent back keeps the stored secret. The name stays.",
    tag,
    scope: "automations:write",
    parameters: byIdOrName,
    body: DestinationSchema,
    answers: { 200: stored, 409: fromFile },
  },
  {
    method: "delete",
    path: "/destinations/{id}",
    id: "deleteDestination",
    summary: "Delete a destination",
    tag,
    scope: "automations:write",
    parameters: byIdOrName,
    answers: { 204: { description: "It is gone." }, 409: fromFile },
  },
];
