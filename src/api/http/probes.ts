/** Probes: whether the process answers, and whether it can do its work. Open to everyone: orchestrators have no key. */

import { z } from "zod";
import { type Route, route } from "./route.ts";

/** A part of the system that does not work as it should, although requests are served. */
export interface PartProblem {
  readonly part: "engine" | "history";
  readonly message: string;
}

export interface ReadinessReport {
  /** Why the process cannot do its work now, in a sentence; null when it can. */
  readonly unready: string | null;
  /** What is wrong with parts that this process can do without. */
  readonly problems?: readonly PartProblem[];
}

export type Readiness = () => Promise<ReadinessReport>;

const ReadySchema = z
  .object({
    message: z.string().meta({ description: "`OK`, or what is wrong." }),
    status: z.enum(["ok", "degraded", "unavailable"]),
    problems: z
      .array(z.object({ part: z.enum(["engine", "history"]), message: z.string() }))
      .meta({ description: "The parts that do not work as they should." }),
  })
  .meta({ id: "Ready" });

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
        description:
          "A degraded server still accepts events and loses none, so it answers 200 and stays in a load balancer.",
        tag: "server",
        scope: null,
        query: z.object({
          strict: z
            .enum(["true", "false"])
            .optional()
            .meta({ description: "`true`: answer 503 when degraded, too. For monitors." }),
        }),
        answers: {
          200: { description: "It can, although parts may be degraded.", schema: ReadySchema },
          503: { description: "It cannot now; `message` says why.", schema: ReadySchema },
        },
      },
      async ({ query }, context) => {
        const { unready, problems = [] } = await readiness();
        if (unready !== null) {
          const body = { message: unready, status: "unavailable", problems };
          return context.json(body, 503, { "Retry-After": "1" });
        }
        if (problems.length === 0) return context.json({ message: "OK", status: "ok", problems });
        const message = `Degraded: ${problems.map((problem) => problem.message).join(" ")}`;
        const body = { message, status: "degraded", problems };
        return context.json(body, query.strict === "true" ? 503 : 200);
      },
    ),
  ];
}
