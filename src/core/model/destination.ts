/**
 * Destinations: named targets of webhooks and notifications, so that rules need not hold addresses and keys.
 *
 * Nothing in a destination is a template, and most of it is secret: anyone who knows the URL of a chat's incoming
 * webhook can post there.
 */

import { z } from "zod";
import { parseExactJson } from "../json/exact-json.ts";
import { RequestTimeoutSchema, SigningSecretSchema, webhookTimeoutDefault } from "./action.ts";
import type { AutomationSource } from "./automation.ts";
import { emailAddressProblem } from "./email-address.ts";
import { headersSchema, headerValueProblem, isHostHeader } from "./header.ts";
import { descriptionLengthMax, nameLengthMax } from "./limits.ts";
import { refusing } from "./problem.ts";
import { RequestLimitsSchema } from "./request-limits.ts";
import { RetrySchema } from "./retry.ts";
import { maskProblem, secretMask } from "./secret.ts";
import { formatTime, type Micros } from "./time.ts";
import { hostProblem, originOf, urlProblem } from "./url.ts";
import { triplineNamespace, uuid5 } from "./uuid.ts";

/**
 * What is wrong with a text of a destination that looks like a template; null when nothing is. An opening without its
 * end is left alone: a header may contain any characters. Secrets and passwords are not checked, because a random one
 * may look like anything.
 */
function templateInDestinationProblem(text: string): string | null {
  const has = (open: string, close: string) => {
    const start = text.indexOf(open);
    return start !== -1 && text.includes(close, start + open.length);
  };
  if (!has("{{", "}}") && !has("{%", "%}")) return null;
  return "a destination takes no templates; its texts are sent as they are. Use the template in the url, headers or payload of an action";
}

const refuseTemplate = refusing(templateInDestinationProblem, { abort: true });

const HttpUrl = z
  .string()
  .superRefine(refuseTemplate)
  .regex(/^https?:\/\/[^\s/]+/i, {
    error: "url should be an address that begins with http:// or https://",
    abort: true,
  })
  .superRefine(refusing(urlProblem));

const common = {
  name: z
    .string()
    .min(1, "name should not be empty")
    .max(nameLengthMax, `name should have at most ${nameLengthMax} characters`)
    .meta({ description: "Unique in the workspace; actions refer to it." }),
  description: z
    .string()
    .max(descriptionLengthMax, `description should have at most ${descriptionLengthMax} characters`)
    .default("")
    .meta({ description: "What it is for, in one sentence." }),
  retry: RetrySchema.optional(),
  limits: RequestLimitsSchema.optional(),
};

const chatUrl = HttpUrl.meta({
  description: "The incoming-webhook URL from the chat service. Secret.",
});

const WebhookDestinationSchema = z.strictObject({
  type: z.literal("webhook"),
  ...common,
  url: HttpUrl.meta({ description: "The URL to send to. Secret." }),
  method: z
    .enum(["POST", "PUT", "PATCH", "GET", "DELETE"])
    .default("POST")
    .meta({ description: "The HTTP method." }),
  headers: headersSchema(z.string().superRefine(refuseTemplate).superRefine(refusing(headerValueProblem)))
    .default({})
    .meta({ description: "Additional headers. Their values are secret." }),
  secret: SigningSecretSchema.optional(),
  timeout: RequestTimeoutSchema.default(webhookTimeoutDefault).meta({
    description: "The time limit of one attempt. Default: 15s.",
  }),
});

const SlackDestinationSchema = z.strictObject({
  type: z.literal("slack"),
  ...common,
  url: chatUrl,
});

const TeamsDestinationSchema = z.strictObject({
  type: z.literal("ms-teams"),
  ...common,
  url: chatUrl,
});

const DiscordDestinationSchema = z.strictObject({
  type: z.literal("discord"),
  ...common,
  url: chatUrl,
});

const PagerDutyDestinationSchema = z.strictObject({
  type: z.literal("pagerduty"),
  ...common,
  routing_key: z
    .string()
    .min(1, { error: "routing_key should not be empty", abort: true })
    .superRefine(refuseTemplate)
    .meta({ description: "The integration key of an Events API v2 integration. Secret." }),
  severity: z
    .enum(["critical", "error", "warning", "info"])
    .default("error")
    .meta({ description: "The severity of the incidents." }),
  url: HttpUrl.default("https://events.pagerduty.com/v2/enqueue").meta({
    description: "The Events API endpoint. PagerDuty's EU region has its own.",
  }),
});

const Address = z
  .string()
  .superRefine(refuseTemplate)
  .regex(/^[^\r\n]*[^\s@]@[^\s@]+$/, {
    error: "should be an e-mail address, such as ops@example.org",
    abort: true,
  })
  .superRefine(refusing(emailAddressProblem));

const EmailDestinationSchema = z.strictObject({
  type: z.literal("email"),
  ...common,
  to: z.array(Address).min(1, "to should have at least one address").meta({ description: "The recipients." }),
  from: Address.meta({ description: "The sender, such as `Tripline <tripline@example.org>`." }),
  host: z
    .string()
    .min(1, { error: "host should not be empty", abort: true })
    .superRefine(refuseTemplate)
    .superRefine(refusing(hostProblem))
    .meta({ description: "The host name or IP address of the SMTP server." }),
  port: z.int().min(1).max(65_535).default(587).meta({ description: "The port of the SMTP server." }),
  security: z
    .enum(["starttls", "tls", "none"])
    .default("starttls")
    .meta({ description: "starttls (the server must support it), tls from the start (port 465), or none." }),
  username: z
    .string()
    .min(1, "username should not be empty")
    .optional()
    .meta({ description: "For servers that require a login." }),
  password: z
    .string()
    .min(1, "password should not be empty")
    .optional()
    .meta({ description: "The password for the login. Secret." }),
});

export const DestinationSchema = z
  .discriminatedUnion(
    "type",
    [
      WebhookDestinationSchema,
      SlackDestinationSchema,
      TeamsDestinationSchema,
      DiscordDestinationSchema,
      PagerDutyDestinationSchema,
      EmailDestinationSchema,
    ],
    { error: "A destination's type should be webhook, slack, ms-teams, discord, pagerduty or email" },
  )
  .superRefine((definition, context) => {
    for (const { path, value } of destinationSecrets(definition)) {
      if (value === secretMask) context.addIssue({ code: "custom", path: [...path], message: maskProblem });
    }
  })
  .meta({ id: "Destination" });

export const destinationTypes: ReadonlySet<string> = new Set<DestinationDefinition["type"]>([
  "webhook",
  "slack",
  "ms-teams",
  "discord",
  "pagerduty",
  "email",
]);

/** A destination as it is written, with every default filled in. */
export type DestinationDefinition = z.infer<typeof DestinationSchema>;

/** A destination as it is stored, with its secrets. */
export interface Destination {
  readonly id: string;
  readonly definition: DestinationDefinition;
  /** Where it is defined. A destination from a file can be changed only in that file. */
  readonly source: DestinationSource;
  readonly created: Micros;
  readonly updated: Micros;
}

export type DestinationSource =
  | Pick<Extract<AutomationSource, { kind: "file" }>, "kind" | "file">
  | { readonly kind: "api" };

/** The id of the destination with this name, whether or not it exists yet. */
export function destinationIdOf(workspace: string, name: string): string {
  return uuid5(triplineNamespace, `destination ${JSON.stringify([workspace, name])}`);
}

/** Everything that decides where a destination's messages go, as one text. Secret. */
export function destinationAddress(definition: DestinationDefinition): string {
  switch (definition.type) {
    case "webhook":
    case "slack":
    case "ms-teams":
    case "discord":
      return definition.url;
    case "pagerduty":
      return `${definition.url} ${definition.routing_key}`;
    case "email":
      return `smtp://${definition.host}:${definition.port}`;
  }
}

/** The server that a destination's messages go to, as endpoints are named. Not secret. */
export function destinationOrigin(definition: DestinationDefinition): string | null {
  return definition.type === "email" ? destinationAddress(definition) : originOf(definition.url);
}

/** The secrets of a destination, each with its path. */
export function destinationSecrets(definition: DestinationDefinition): readonly DestinationSecret[] {
  switch (definition.type) {
    case "webhook":
      return [
        { path: ["url"], value: definition.url },
        ...Object.entries(definition.headers).map(([name, value]) => ({ path: ["headers", name], value })),
        ...(definition.secret === undefined ? [] : [{ path: ["secret"], value: definition.secret }]),
      ];
    case "slack":
    case "ms-teams":
    case "discord":
      return [{ path: ["url"], value: definition.url }];
    case "pagerduty":
      return [{ path: ["routing_key"], value: definition.routing_key }];
    case "email":
      return definition.password === undefined ? [] : [{ path: ["password"], value: definition.password }];
  }
}

/** Everything besides the type that decides where the secrets of a destination go, each with its path. */
export function secretsGoTo(definition: DestinationDefinition): readonly PartOfRoute[] {
  switch (definition.type) {
    case "webhook": {
      const hosts = Object.entries(definition.headers).filter(([name]) => isHostHeader(name));
      return [
        { path: ["url"], value: definition.url },
        ...hosts.map(([name, value]) => ({ path: ["headers", name], value })),
      ];
    }
    case "slack":
    case "ms-teams":
    case "discord":
    case "pagerduty":
      return [{ path: ["url"], value: definition.url }];
    case "email":
      return (["host", "port", "security"] as const).map((key) => ({ path: [key], value: definition[key] }));
  }
}

interface PartOfRoute {
  readonly path: readonly string[];
  readonly value: string | number;
}

export interface DestinationSecret {
  readonly path: readonly string[];
  readonly value: string;
}

/** A destination as readers see it. @param mask replaces each secret */
export function destinationView(destination: Destination, mask: string): Record<string, unknown> {
  const { id, definition, source, created, updated } = destination;
  return {
    id,
    ...withSecrets(definition, () => mask),
    source,
    created: formatTime(created),
    updated: formatTime(updated),
  };
}

/** The definition with each secret replaced. */
export function withSecrets(
  definition: DestinationDefinition,
  replace: (secret: DestinationSecret) => string,
): DestinationDefinition {
  // The core has no structuredClone.
  const changed = parseExactJson(JSON.stringify(definition)) as Record<string, unknown>;
  for (const secret of destinationSecrets(definition)) {
    const [key = "", inner] = secret.path;
    if (inner === undefined) changed[key] = replace(secret);
    else (changed[key] as Record<string, string>)[inner] = replace(secret);
  }
  return changed as DestinationDefinition;
}
