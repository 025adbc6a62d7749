/** Probes: whether the process answers, and whether it can do its work. Open to everyone: orchestrators have no key. */

import { z } from "zod";
import { type Route, route } from "./route.ts";

const parts = ["engine", "history", "canary"] as const;

/** A part of the system that does not work as it should, although requests are served. */
export interface PartProblem {
  readonly part: (typeof parts)[number];
  readonly message: string;
  /** Whether automations do not fire while it lasts. Otherwise something is late or missing, but alarms are raised. */
  readonly stopsAlarms?: boolean;
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
    status: z.enum(["ok", "degraded", "stalled", "unavailable"]),
    problems: z
      .array(z.object({ part: z.enum(parts), message: z.string() }))
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
        summary: "Check that the server can do its work",
        description:
          "It can do its work when it can accept events and an engine evaluates them. While only the engine is missing, every process still accepts events and loses none, so a load balancer must ask with `?role=api` and keep it.",
        tag: "server",
        scope: null,
        query: z.object({
          role: z.enum(["api"]).optional().meta({
            description:
              "`api`: answer 503 only if this process cannot accept events. For load balancers and readiness probes.",
          }),
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
        const { unready, problems: found = [] } = await readiness();
        const problems = found.map(({ part, message }) => ({ part, message }));
        if (unready !== null) {
          const body = { message: unready, status: "unavailable", problems };
          return context.json(body, 503, { "Retry-After": "1" });
        }
        if (problems.length === 0) return context.json({ message: "OK", status: "ok", problems });
        const isStalled = found.some(({ stopsAlarms }) => stopsAlarms);
        const messages = problems.map((problem) => problem.message).join(" ");
        const message = `${isStalled ? "Stalled" : "Degraded"}: ${messages}`;
        const isFailure = query.strict === "true" || (isStalled && query.role !== "api");
        const body = { message, status: isStalled ? "stalled" : "degraded", problems };
        return context.json(body, isFailure ? 503 : 200);
      },
    ),
  ];
}
