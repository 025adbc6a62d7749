/** Health, versions, metrics, and this document. */

import { z } from "zod";
import { DetailSchema } from "./answers.ts";
import type { Operation } from "./operation.ts";

const ReadySchema = z.object({ message: z.string() }).meta({ id: "Ready" });
const tag = "server";

export const smallOperations: readonly Operation[] = [
  {
    method: "get",
    path: "/health",
    id: "health",
    summary: "Whether the process answers",
    tag,
    scope: null,
    answers: { 200: { description: "It does.", schema: z.literal(true) } },
  },
  {
    method: "get",
    path: "/ready",
    id: "ready",
    summary: "Whether the process can do its work",
    tag,
    scope: null,
    answers: {
      200: { description: "It can.", schema: ReadySchema },
      503: { description: "Not now; the message says why.", schema: ReadySchema },
    },
  },
  {
    method: "get",
    path: "/hello",
    id: "hello",
    summary: "A greeting",
    tag,
    scope: "any",
    answers: { 200: { description: "👋", schema: z.string() } },
  },
  {
    method: "get",
    path: "/version",
    id: "apiVersion",
    summary: "The version of Prefect's API that this one follows",
    tag,
    scope: "any",
    answers: { 200: { description: "Such as 0.8.4.", schema: z.string() } },
  },
  {
    method: "get",
    path: "/admin/version",
    id: "serverVersion",
    summary: "The version that Prefect's clients compare with their own",
    tag,
    scope: "any",
    answers: { 200: { description: "Newer than any of them.", schema: z.string() } },
  },
  {
    method: "get",
    path: "/csrf-token",
    id: "csrfToken",
    summary: "Tells Prefect's clients that they need no CSRF token",
    tag,
    scope: "any",
    answers: { 422: { description: "There is no CSRF protection by tokens.", schema: DetailSchema } },
  },
  {
    method: "get",
    path: "/openapi.json",
    id: "openApi",
    summary: "This document",
    tag,
    scope: null,
    answers: { 200: { description: "OpenAPI 3.1.", schema: z.record(z.string(), z.unknown()) } },
  },
  {
    method: "get",
    path: "/docs",
    outside: true,
    id: "referencePage",
    summary: "This document, for people",
    tag,
    scope: null,
    answers: { 200: { description: "A page.", schema: z.string(), type: "text/html" } },
  },
  {
    method: "get",
    path: "/metrics",
    outside: true,
    id: "metrics",
    summary: "Metrics, for Prometheus",
    description: "Of all workspaces together, so it takes a key of the first one that the server serves.",
    tag,
    scope: "admin",
    answers: { 200: { description: "In Prometheus's text format.", schema: z.string(), type: "text/plain" } },
  },
];
