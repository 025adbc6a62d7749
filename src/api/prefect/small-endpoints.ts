/** Small endpoints that Prefect's clients call before anything else. */

import { z } from "zod";
import { DetailSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import { apiVersion } from "./api-version.ts";

/**
 * Prefect's clients refuse a server of another major version, and warn about an older one at each start of a program;
 * so this has their major version and is newer than any of them.
 */
const serverVersion = "3.99.0";

export function smallEndpoints(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/hello",
        id: "hello",
        summary: "Say hello",
        tag: "server",
        scope: "any",
        answers: { 200: { description: "👋", schema: z.string() } },
      },
      (_input, context) => context.json("👋"),
    ),
    route(
      {
        method: "get",
        path: "/version",
        id: "apiVersion",
        summary: "Read the version of Prefect's API that this API follows",
        tag: "server",
        scope: "any",
        answers: { 200: { description: "A version such as 0.8.4.", schema: z.string() } },
      },
      (_input, context) => context.json(apiVersion),
    ),
    route(
      {
        method: "get",
        path: "/admin/version",
        id: "serverVersion",
        summary: "Read the version that Prefect's clients compare with their own",
        tag: "server",
        scope: "any",
        answers: { 200: { description: "A version newer than any client's.", schema: z.string() } },
      },
      (_input, context) => context.json(serverVersion),
    ),
    route(
      {
        method: "get",
        path: "/csrf-token",
        id: "csrfToken",
        summary: "Answer Prefect's clients that no CSRF token is needed",
        tag: "server",
        scope: "any",
        answers: { 422: { description: "CSRF protection by tokens is disabled.", schema: DetailSchema } },
      },
      () => {
        // Prefect's client sends no CSRF token once it has read exactly this sentence.
        throw new Refusal(422, "csrf", { detail: "CSRF protection is disabled." });
      },
    ),
  ];
}
