/** Where the webhook of the canary arrives. */

import { z } from "zod";
import { isRecord } from "../../core/model/record.ts";
import { RefusalSchema, retryAfter } from "../http/answers.ts";
import { parseJson, readBytes } from "../http/body.ts";
import { Refusal } from "../http/refusal.ts";
import { bodyForHandler } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenants } from "../http/tenant.ts";
import { checkSignature } from "../ingest/hook-signatures.ts";

/** The purpose of the workspace's secret that signs the canary. */
export const canarySecretPurpose = "canary";

/** As Standard Webhooks recommends. */
const toleranceSeconds = 300;

const bytesMax = 10_000;

/** `POST /canary`. Its signature takes the place of a key. */
export function canaryRoutes(tenants: Tenants): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/canary",
        id: "receiveCanary",
        summary: "Receive the webhook of the canary",
        description:
          "Only the server itself can send it: it is signed with a secret of the workspace. See docs/observability.md.",
        tag: "server",
        scope: null,
        body: bodyForHandler("application/json", z.object({ id: z.string() }), {
          examples: { canary: { id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44" } },
        }),
        answers: {
          204: { description: "The canary is back." },
          401: { description: "The signature is missing or wrong.", schema: RefusalSchema },
          404: { description: "There is no such workspace.", schema: RefusalSchema },
          503: {
            description: "Redis is unavailable; try again.",
            schema: RefusalSchema,
            headers: retryAfter,
          },
        },
      },
      async (_input, context) => {
        const { log } = tenants.workspaceAt(context.req.param("workspace") ?? null);
        const signature = {
          type: "standard-webhooks",
          secret: await log.secret(canarySecretPurpose),
          tolerance: toleranceSeconds,
        } as const;
        const checkBody = await checkSignature(signature, context.req.raw.headers, Date.now());
        const bytes = await readBytes(context.req.raw, bytesMax);
        await checkBody(bytes);
        const body = await parseJson(bytes);
        const id = isRecord(body) ? body["id"] : null;
        if (typeof id !== "string") throw new Refusal(422, "invalid", { detail: "The canary has no id" });
        await log.canary.returned(id);
        return context.body(null, 204);
      },
    ),
  ];
}
