/** Why an automation fired, or did not: its open windows, and what a single event did to it. */

import { z } from "zod";
import { Core } from "../../core/machine/core.ts";
import { Explainer, type Explanation, showExplanation, showWindow } from "../../core/machine/explain.ts";
import type { Automation } from "../../core/model/automation.ts";
import { type Event, EventSchema, eventOf, UuidSchema } from "../../core/model/event.ts";
import { followerPatience } from "../../core/model/limits.ts";
import { formatTime, type Micros, millisecond, minute, second } from "../../core/model/time.ts";
import { walkTrigger } from "../../core/model/trigger.ts";
import type { Log } from "../../store/log.ts";
import { positionBefore } from "../../store/position.ts";
import { automationOf } from "../automations/automations.ts";
import { Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { ExplanationSchema, WindowsSchema } from "./explain-answers.ts";

export interface ExplainSettings {
  /** The lateness of triggers that set none; must be the engine's. */
  readonly latenessDefault: Micros;
}

const ExplainRequestSchema = z
  .strictObject({
    event: z
      .union([
        z.string("event should be the id of an event, or an event as it would be posted").pipe(UuidSchema),
        EventSchema,
      ])
      .meta({ description: "The id of an event in the log, or an event that might come now." }),
  })
  .meta({ id: "ExplainRequest" });

const byId = z.object({ id: z.string().meta({ description: "The automation's id." }) });

const entriesPerRead = 1_000;

export function explainRoutes(settings: ExplainSettings): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/automations/:id/windows",
        id: "automationWindows",
        summary: "List the open windows of an automation",
        tag: "explain",
        scope: "automations:read",
        params: byId,
        answers: { 200: { description: "The next window to be judged comes first.", schema: WindowsSchema } },
      },
      async ({ tenant: { log }, params }, context) => {
        const automation = await automationOf(log, params.id);
        const state = await log.automationState(automation.id);
        const core = state === null ? null : Core.restore(state, { ...settings, stored: false });
        const windows = core === null ? [] : [...core.windowsOf(automation.id)];
        const deadlineOf = ({ deadline }: (typeof windows)[number]) => deadline ?? Number.MAX_SAFE_INTEGER;
        windows.sort((a, b) => deadlineOf(a) - deadlineOf(b));
        return context.json({
          automation: { id: automation.id, name: automation.name, enabled: automation.enabled },
          as_of: core === null ? null : formatTime(core.watermark),
          windows: windows.map(showWindow),
        });
      },
    ),

    route(
      {
        method: "post",
        path: "/automations/:id/explain",
        id: "explainEvent",
        summary: "Explain what an event did, or would do, to an automation",
        tag: "explain",
        scope: "automations:read",
        params: byId,
        body: jsonBody(ExplainRequestSchema, {
          examples: {
            pastEvent: { event: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44" },
            possibleEvent: {
              event: {
                id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d45",
                occurred: "2026-03-01T09:30:00Z",
                event: "pump.stopped",
                resource: { "prefect.resource.id": "pump.1" },
              },
            },
          },
        }),
        answers: {
          200: { description: "What decided, and where every trigger stands.", schema: ExplanationSchema },
        },
      },
      async ({ tenant: { log }, params, body: { event } }, context) => {
        const automation = await automationOf(log, params.id);
        if (typeof event !== "string") {
          const supposed = await explainSupposed(log, automation, eventOf(event, now()), settings);
          return context.json({ ...showExplanation(supposed), complete: true });
        }
        const { explanation, complete } = await explainPast(log, automation, event, settings);
        if (explanation === null) {
          const message = `The log does not hold the event ${event} (it may have been trimmed). Send the event itself to see what it would do now`;
          throw new Refusal(404, "not_found", { exception_message: message });
        }
        return context.json({ ...showExplanation(explanation), complete });
      },
    ),
  ];
}

/** What an event would do to an automation if it came now. */
async function explainSupposed(
  source: Log,
  automation: Automation,
  event: Event,
  settings: ExplainSettings,
): Promise<Explanation> {
  const state = await source.automationState(automation.id);
  const explainer = new Explainer(automation.id, event.id, {
    ...settings,
    ...(state === null ? {} : { state }),
  });
  const position = "0-0";
  if (state === null)
    explainer.apply({ kind: "automation-put", position, received: event.received, automation });
  explainer.apply({ kind: "event", position: "supposed", received: event.received, event });
  explainer.advance(event.received + settlingTime(automation, event, settings));
  const explanation = explainer.explain(automation);
  if (explanation === null) throw new Error("the explainer did not find the event that it was given");
  return explanation;
}

/**
 * What an event of the log did to an automation, found by running the core over the log again.
 *
 * @returns complete: false when the log does not reach back to the automation's creation, so windows that were open
 *   before are unknown
 */
async function explainPast(
  source: Log,
  automation: Automation,
  eventId: string,
  settings: ExplainSettings,
): Promise<{ explanation: Explanation | null; complete: boolean }> {
  const explainer = new Explainer(automation.id, eventId, settings);
  let position = positionBefore(automation.created - minute);
  let complete = true;
  let started = false;
  let until = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const batch = await source.readBatch(position, { count: entriesPerRead });
    for (const entry of batch.entries) {
      if (!started && entry.received > automation.created + second) {
        complete = false;
        explainer.apply({ kind: "automation-put", position: "0-0", received: entry.received, automation });
      }
      started = true;
      if (entry.received > until) {
        explainer.advance(until);
        return { explanation: explainer.explain(automation), complete };
      }
      explainer.apply(entry);
      if (until === Number.MAX_SAFE_INTEGER && entry.kind === "event" && explainer.found) {
        until = entry.received + settlingTime(automation, entry.event, settings) + longestSilence(automation);
      }
    }
    position = batch.position;
    if (batch.readCount === 0) break;
  }
  explainer.advance(Math.min(until, now()));
  return { explanation: explainer.explain(automation), complete };
}

/** How long after its arrival an event may take to be evaluated. */
function settlingTime({ trigger }: Automation, event: Event, { latenessDefault }: ExplainSettings): Micros {
  let longest = latenessDefault;
  walkTrigger(trigger, (part) => {
    if (part.type === "event" && part.lateness !== undefined)
      longest = Math.max(longest, part.lateness * second);
  });
  return longest + (event.follows === null ? 0 : followerPatience);
}

/** How much longer a silence that begins with the event may take to fire. */
function longestSilence({ trigger }: Automation): Micros {
  let longest = 0;
  walkTrigger(trigger, (part) => {
    if (part.type === "event" && part.posture === "Proactive")
      longest = Math.max(longest, part.within * second);
  });
  return longest;
}

function now(): Micros {
  return Date.now() * millisecond;
}
