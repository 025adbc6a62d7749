/**
 * Hooks: requests of other services, turned into events by the templates in rule files.
 *
 * A request with a valid signature needs no API key. Once the sender is known, nothing is lost: when the template
 * cannot turn a request into events, it becomes an event that reports the failure. Runs in Node and in a Worker.
 */

import type { Context } from "hono";
import { z } from "zod";
import type { WireEvent } from "../../core/model/event.ts";
import { type Hook, HookSchema, hookView, SignatureSchema } from "../../core/model/hook.ts";
import { formatTime, millisecond } from "../../core/model/time.ts";
import { renderHook } from "../../templates/hook-template.ts";
import { TemplateError } from "../../templates/template.ts";
import { RefusalSchema, retryAfter } from "../http/answers.ts";
import { bodyBytesMax, readBytes, readEnd } from "../http/body.ts";
import { checkNotCrossSite } from "../http/origin.ts";
import { Refusal } from "../http/refusal.ts";
import { bodyForHandler } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { type ApiEnv, enter, nobody, requireScope, type Tenants } from "../http/tenant.ts";
import { traceOf } from "../http/trace.ts";
import {
  eventsOfHook,
  HookFailure,
  type HookPlace,
  hookFailedEvent,
  type MadeEvents,
} from "./hook-events.ts";
import { type HookRequest, readHookRequest } from "./hook-request.ts";
import { type CheckBody, checkSignature } from "./hook-signatures.ts";
import { type IngestMeter, ingest, type ReadEvents } from "./ingest.ts";
import { pingBytesMax, pingEvent, pingSignalOf, pingTemplate } from "./pings.ts";
import { UnverifiedBody } from "./unverified-bodies.ts";

/** One object, so that every client generator can express it. */
const HookAnswerSchema = z
  .object({
    events: z
      .array(z.string().meta({ format: "uuid" }))
      .optional()
      .meta({ description: "The ids of the events." }),
    reason: z
      .string()
      .optional()
      .meta({ description: "Why the template could not turn the request into events." }),
    challenge: z.string().optional().meta({ description: "What Slack asks a new address to send back." }),
  })
  .meta({ id: "HookAnswer" });

const HookViewSchema = HookSchema.extend({
  signature: z
    .object({
      type: z.enum(SignatureSchema.options.map((option) => option.shape.type.value)),
      header: z.string().optional(),
      tolerance: z.number().optional(),
    })
    .nullable(),
  source: z.object({ kind: z.literal("file"), file: z.string() }),
}).meta({ id: "HookView", description: "A hook, without its secret." });

const hookAnswers = {
  200: { description: "The events are stored.", schema: HookAnswerSchema },
  202: {
    description: "The template failed. The request is stored in an event that says why.",
    schema: HookAnswerSchema,
  },
  401: { description: "The signature or the key is missing or wrong.", schema: RefusalSchema },
  403: { description: "The key lacks the scope.", schema: RefusalSchema },
  404: { description: "There is no hook of that name.", schema: RefusalSchema },
  429: {
    description: "The key's rate limit is used up.",
    schema: RefusalSchema,
    headers: retryAfter,
  },
  503: {
    description: "Redis is unavailable; try again.",
    schema: RefusalSchema,
    headers: retryAfter,
  },
};

/** The routes of hooks. `POST` finds its tenant itself, because a signature can take the place of a key. */
export function hookRoutes(tenants: Tenants, meter: IngestMeter): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/hooks/:name",
        id: "callHook",
        summary: "Call a hook",
        description:
          "The hook's template turns the request into events. The body may also be a form or any text, which generated clients cannot express. A hook with a signature needs no key; one without needs a key with the scope `events:write`.",
        tag: "events",
        scope: null,
        body: bodyForHandler("application/json", z.unknown(), {
          optional: true,
          examples: { backup: { disks: [{ name: "sda", error: true }] } },
        }),
        answers: hookAnswers,
      },
      async ({ params }, context) => callHook(context, params["name"] ?? "", { tenants, meter }),
    ),

    ...(
      [
        ["get", "/hooks/:name", "pingHook", "Ping a hook"],
        [
          "get",
          "/hooks/:name/:signal",
          "pingHookWith",
          "Ping a hook with a start, a failure or an exit status",
        ],
        ["post", "/hooks/:name/:signal", "pingHookWithOutput", "Ping a hook with a signal and an output"],
      ] as const
    ).map(([method, path, id, summary]) =>
      route(
        {
          method,
          path,
          id,
          summary,
          description:
            "For hooks whose template is `ping`. The signal is `start`, `fail` or an exit status from 0 to 255; without one, the ping reports success. A body is kept, up to its last 10,000 characters.",
          tag: "events",
          scope: null,
          answers: hookAnswers,
        },
        async ({ params }, context) =>
          callHook(context, params["name"] ?? "", { tenants, meter }, params["signal"]),
      ),
    ),

    route(
      {
        method: "get",
        path: "/hooks",
        id: "readHooks",
        summary: "List the hooks",
        tag: "events",
        scope: "automations:read",
        answers: { 200: { description: "All hooks, by name.", schema: z.array(HookViewSchema) } },
      },
      async ({ tenant }, context) => context.json((await tenant.log.hooks.list()).map(hookView)),
    ),
  ];
}

const nothing: ReadEvents = { events: [], refused: null, refusedCount: 0 };

interface HookParts {
  readonly tenants: Tenants;
  readonly meter: IngestMeter;
}

async function callHook(
  context: Context<ApiEnv>,
  name: string,
  { tenants, meter }: HookParts,
  signalText?: string,
): Promise<Response> {
  const hook = await findHook(context, tenants, name);
  const ping = hook.template === pingTemplate ? pingSignalOf(signalText) : null;
  if (ping === null && (signalText !== undefined || context.req.raw.method !== "POST")) throw noPing(hook);
  const { workspace } = context.var.tenant;
  const now = Date.now();
  let reason: string | null = null;
  let challenge: string | null = null;
  const { events } = await ingest(context.var.tenant, meter, async (batch) => {
    const { signature } = hook;
    const { headers } = context.req.raw;
    const checkBody = signature === undefined ? null : await checkSignature(signature, headers, now);
    // A ping counts, however much its job has printed; unless all of it is signed.
    const isSigned = signature !== undefined && signature.type !== "shared-secret";
    const bytes =
      ping !== null && !isSigned
        ? await readEnd(context.req.raw, pingBytesMax)
        : await readVerified(context.req.raw, isSigned ? checkBody : null);
    const received = formatTime(now * millisecond);
    const request = await readHookRequest(context.req.raw, bytes, signature, received);
    if (ping !== null) return { ...nothing, events: [pingEvent(ping, { workspace, hook }, request)] };
    if (signature?.type === "slack") challenge = challengeIn(request);
    if (challenge !== null) return nothing;
    const made = await makeEvents({ workspace, hook }, request);
    reason = made.reason;
    batch.length = made.events.length;
    return { ...nothing, events: made.events };
  });
  if (challenge !== null) return context.json({ challenge });
  const ids = events.map(({ id }) => id);
  return reason === null ? context.json({ events: ids }) : context.json({ events: ids, reason }, 202);
}

/** Reads a body. @param checkBody for one that only its signature tells who sent it @throws Refusal */
async function readVerified(request: Request, checkBody: CheckBody | null): Promise<Uint8Array<ArrayBuffer>> {
  if (checkBody === null) return readBytes(request);
  const body = new UnverifiedBody();
  try {
    const bytes = await readBytes(request, bodyBytesMax, (byteCount) => body.take(byteCount));
    await checkBody(bytes);
    return bytes;
  } finally {
    body.release();
  }
}

/**
 * Finds the hook, and puts its tenant into the context: by the signature, which is checked later, or else by the key.
 *
 * @throws Refusal 404 when there is no such hook; 401, 403 and 429 as for any request with a key
 */
async function findHook(context: Context<ApiEnv>, tenants: Tenants, name: string): Promise<Hook> {
  const workspace = tenants.workspaceAt(context.req.param("workspace") ?? null);
  const signed = await workspace.log.hooks.get(name);
  if (signed?.signature !== undefined) {
    context.set("tenant", {
      ...workspace,
      scopes: new Set(),
      actor: nobody,
      allowance: null,
      trace: traceOf(context),
    });
    return signed;
  }
  const { headers, method } = context.req.raw;
  if (method !== "POST") {
    // A ping by GET changes something, which a page of another site could make a browser do with an image.
    await tenants.checkOrigin(headers, true);
    checkNotCrossSite(headers, true, new Set());
  }
  try {
    await enter(context, tenants, context.req.param("workspace") ?? null);
  } catch (error) {
    if (signed === null && error instanceof Refusal && error.status === 401) throw noSuchHook(name);
    throw error;
  }
  requireScope(context.var.tenant, "events:write");
  // In the key's workspace, which may be another than the one above.
  const hook = await context.var.tenant.log.hooks.get(name);
  if (hook === null) throw noSuchHook(name);
  return hook;
}

function noSuchHook(name: string): Refusal {
  const shown = JSON.stringify(name.slice(0, 100));
  return new Refusal(404, "not_found", { detail: `There is no hook ${shown}; add it to the rule files` });
}

function noPing({ name, template }: Hook): Refusal {
  const detail =
    template === pingTemplate
      ? "A ping ends with start, fail or an exit status from 0 to 255"
      : `The hook ${JSON.stringify(name)} takes POST requests; only hooks with template: ping take pings`;
  return new Refusal(404, "not_found", { detail });
}

/** The events that a template makes of a request, and one that reports what is wrong with the others, if there are any. */
async function makeEvents(
  place: HookPlace,
  request: HookRequest,
): Promise<{ events: WireEvent[]; reason: string | null }> {
  const { events, mistakes } = await madeOf(place, request);
  if (mistakes.length === 0) return { events: [...events], reason: null };
  const reason = mistakes.join("; ");
  return { events: [...events, hookFailedEvent(reason, place, request)], reason };
}

async function madeOf(place: HookPlace, request: HookRequest): Promise<MadeEvents> {
  try {
    if (request.problem !== null) throw new HookFailure(request.problem);
    return await eventsOfHook(renderHook(place.hook.template, request.context), place, request);
  } catch (error) {
    if (!(error instanceof HookFailure || error instanceof TemplateError)) throw error;
    return { events: [], mistakes: [error.message] };
  }
}

/** Slack asks a new address to send back a text before it sends events there. */
function challengeIn({ context }: HookRequest): string | null {
  const { type, challenge } = (context.body ?? {}) as Record<string, unknown>;
  return type === "url_verification" && typeof challenge === "string" ? challenge : null;
}
