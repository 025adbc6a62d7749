/** From what an action refers to, to where a request goes. */

import { webhookTimeoutDefault } from "../../core/model/action.ts";
import { type Destination, destinationSecrets } from "../../core/model/destination.ts";
import type { Log } from "../../store/log.ts";
import { TemplateError } from "../../templates/template.ts";
import type { Target } from "../actions/call-webhook.ts";

interface Reference {
  readonly block_document_id?: string | undefined;
  readonly destination?: string | undefined;
}

/**
 * The destination that an action refers to, as it is now; null when the action refers to none.
 *
 * @returns a reason when there is no such destination
 * @throws RedisUnreachable
 */
export async function destinationOf(
  { block_document_id: id, destination: name }: Reference,
  { destinations }: Pick<Log, "destinations">,
): Promise<Destination | string | null> {
  if (name !== undefined) {
    return (await destinations.named(name)) ?? `there is no destination called ${JSON.stringify(name)}`;
  }
  if (id === undefined) return null;
  return (await destinations.get(id)) ?? `there is no destination with the id ${id}`;
}

/**
 * Where a request to this destination goes.
 *
 * @throws TemplateError when it takes no such requests
 */
export function targetOf({ definition }: Destination, kind: "webhook" | "notification" = "webhook"): Target {
  const { name, type } = definition;
  const common = {
    method: "POST",
    headers: {},
    secret: undefined,
    timeout: webhookTimeoutDefault,
    shown: { destination: name },
    hidden: destinationSecrets(definition).flatMap(({ value }) => formsOf(value)),
  };
  if (type === "email" || (type === "pagerduty" && kind === "webhook")) {
    throw new TemplateError(`${name} is of type ${type}: use send-notification in place of call-webhook`);
  }
  if (type !== "webhook") return { ...common, url: definition.url };
  const { url, method, headers, secret, timeout } = definition;
  return { ...common, url, method: kind === "webhook" ? method : "POST", headers, secret, timeout };
}

/** An address may be told of by its path alone. */
function formsOf(secret: string): string[] {
  const path = URL.parse(secret)?.pathname ?? "";
  return path.length > 8 ? [secret, path] : [secret];
}
