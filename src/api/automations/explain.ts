/** Why: the open windows of an automation, and what one event was to it. */

import { Hono } from "hono";
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
import { readJson } from "../http/body.ts";
import { invalidRequest, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import { automationOf } from "./automations.ts";

export interface ExplainSettings {
  /** The lateness of triggers that name none, as the engine has it. */
  readonly latenessDefault: Micros;
}

/** An event of the log by its id; or an event that might come, whole, whose mistakes are told of one by one. */
const PastSchema = z.strictObject({
  event: z.string("event should be the id of an event, or an event as it would be posted").pipe(UuidSchema),
});
const SupposedSchema = z.strictObject({ event: EventSchema });

function explainSchemaFor(body: unknown): typeof PastSchema | typeof SupposedSchema {
  const { event } = (body ?? {}) as { readonly event?: unknown };
  return typeof event === "object" && event !== null ? SupposedSchema : PastSchema;
}

const entriesPerRead = 1_000;

export function explainRoutes(settings: ExplainSettings): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.get("/automations/:id/windows", requireScope("automations:read"), async (context) => {
    const source = context.var.tenant.log;
    const automation = await automationOf(source, context.req.param("id"));
    const state = await source.automationState(automation.id);
    const core = state === null ? null : Core.restore(state, { ...settings, stored: false });
    const windows = core === null ? [] : [...core.windowsOf(automation.id)];
    windows.sort((a, b) => (a.deadline ?? Number.MAX_SAFE_INTEGER) - (b.deadline ?? Number.MAX_SAFE_INTEGER));
    return context.json({
      automation: { id: automation.id, name: automation.name, enabled: automation.enabled },
      as_of: core === null ? null : formatTime(core.watermark),
      windows: windows.map(showWindow),
    });
  });

  routes.post("/automations/:id/explain", requireScope("automations:read"), async (context) => {
    const source = context.var.tenant.log;
    const automation = await automationOf(source, context.req.param("id"));
    const { value } = await readJson(context.req.raw);
    const parsed = explainSchemaFor(value).safeParse(value);
    if (!parsed.success) throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], value), value);
    const { event } = parsed.data;
    if (typeof event !== "string") {
      const supposed = await explainSupposed(source, automation, eventOf(event, now()), settings);
      return context.json({ ...showExplanation(supposed), complete: true });
    }
    const { explanation, complete } = await explainPast(source, automation, event, settings);
    if (explanation === null) {
      const message = `The log holds no event ${event} (any more); send the event itself to see what it would be now`;
      throw new Refusal(404, "not_found", { exception_message: message });
    }
    return context.json({ ...showExplanation(explanation), complete });
  });

  return routes;
}

/** What an event would be to an automation if it came now. */
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
  if (explanation === null) throw new Error("an explainer finds the event that it was given");
  return explanation;
}

/**
 * What an event of the log was to an automation, by running the core over the log again.
 *
 * @returns complete: false when the log is not kept as far back as the automation's creation, so that windows which
 *   were open before are not known
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

/** How long after its arrival it may take until an event has been evaluated. */
function settlingTime({ trigger }: Automation, event: Event, { latenessDefault }: ExplainSettings): Micros {
  let longest = latenessDefault;
  walkTrigger(trigger, (part) => {
    if (part.type === "event" && part.lateness !== undefined)
      longest = Math.max(longest, part.lateness * second);
  });
  return longest + (event.follows === null ? 0 : followerPatience);
}

/** How much longer it may take until nothing came after the event, and a silence fires. */
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
