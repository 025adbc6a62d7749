/** Probes: whether the process answers, and whether it can do its work. Open to everyone: orchestrators have no key. */

import { z } from "zod";
import { type Route, route } from "./route.ts";

/** Why the process cannot do its work now, in a sentence; null when it can. */
export type Readiness = () => Promise<string | null>;

const ReadySchema = z.object({ message: z.string() }).meta({ id: "Ready" });

export function probes(readiness: Readiness): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/health",
        id: "health",
        summary: "Check that the process answers",
        tag: "server",
        scope: null,
        answers: { 200: { description: "It does.", schema: z.boolean() } },
      },
      (_input, context) => context.json(true),
    ),
    route(
      {
        method: "get",
        path: "/ready",
        id: "ready",
        summary: "Check that the process can do its work",
        tag: "server",
        scope: null,
        answers: {
          200: { description: "It can.", schema: ReadySchema },
          503: { description: "It cannot now; `message` says why.", schema: ReadySchema },
        },
      },
      async (_input, context) => {
        const reason = await readiness();
        if (reason === null) return context.json({ message: "OK" });
        return context.json({ message: reason }, 503, { "Retry-After": "1" });
      },
    ),
  ];
}
