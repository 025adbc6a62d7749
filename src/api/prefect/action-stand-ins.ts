/**
 * Automations in a form that Prefect's client can parse.
 *
 * Prefect's client knows only its own action types, and one unknown type makes it fail on a whole list. It also drops
 * fields that it does not know, so they are missing when it sends back what it read. Therefore each action that goes
 * beyond Prefect's types has a stand-in, from which the original action can be recovered.
 */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { type ActionDefinition, ActionSchema } from "../../core/model/action.ts";
import { canonicalJson } from "../../core/model/automation.ts";
import type { AutomationView } from "../../core/model/automation-view.ts";
import { destinationIdOf } from "../../core/model/destination.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";

/** True when a request comes from Prefect's own client or command line. */
export function isPrefectClient(headers: Headers): boolean {
  const agent = headers.get("user-agent") ?? "";
  return headers.has("x-prefect-api-version") || agent.toLowerCase().startsWith("prefect/");
}

/** An automation with stand-ins for the actions that Prefect's client does not know. */
export function prefectView(view: AutomationView, workspace: string): object {
  const withStandIns = (actions: readonly ActionDefinition[]) =>
    actions.map((action) => {
      const standIn = standInFor(action, workspace);
      return standIn === null ? action : { ...standIn, tripline: action };
    });
  return {
    ...view,
    actions: withStandIns(view.actions),
    actions_on_trigger: withStandIns(view.actions_on_trigger),
    actions_on_resolve: withStandIns(view.actions_on_resolve),
  };
}

/** The id of the block in stand-ins for actions that have no Prefect type. */
const standInId = uuid5(triplineNamespace, "stand-in");

/**
 * What Prefect's client sees in place of an action, with exactly the fields that it knows; null for an action that it
 * knows.
 */
function standInFor(action: ActionDefinition, workspace: string): Readonly<Record<string, unknown>> | null {
  const { type } = action;
  const destinationId = (name: string | undefined) =>
    name === undefined ? undefined : destinationIdOf(workspace, name);
  switch (type) {
    case "do-nothing":
      return null;
    case "pause-automation":
    case "resume-automation": {
      const { source, automation, automation_id: id } = action;
      if (automation === undefined) return null;
      return {
        type,
        source,
        automation_id: id ?? uuid5(triplineNamespace, `automation called ${automation}`),
      };
    }
    case "send-notification": {
      const { block_document_id: id, destination, subject, body } = action;
      return id !== undefined ? null : { type, block_document_id: destinationId(destination), subject, body };
    }
    case "call-webhook": {
      const { block_document_id: id, destination, payload, ...rest } = action;
      const { type: _type, headers, ...beyond } = rest;
      const isPlain = Object.keys(beyond).length === 0 && Object.keys(headers).length === 0;
      if (id !== undefined && isPlain && typeof payload === "string") return null;
      // Derived from everything except the payload, which the client may change without changing this id.
      const ownId = uuid5(triplineNamespace, `webhook ${canonicalJson(rest)}`);
      const text =
        typeof payload === "string" ? payload : payload === undefined ? "" : JSON.stringify(payload);
      return { type, block_document_id: id ?? destinationId(destination) ?? ownId, payload: text };
    }
    case "emit-event":
      // The body carries the whole action, so nothing is lost when a client sends it back.
      return {
        type: "send-notification",
        block_document_id: standInId,
        subject: `Tripline: ${type}`,
        body: JSON.stringify(action),
      };
  }
}

/**
 * Replaces a stand-in by the action that it stands for. Returns anything else unchanged.
 *
 * @param sent any JSON value
 * @param known the actions that the automation already has, with masked secrets
 */
export function actionMeant(sent: unknown, known: readonly ActionDefinition[], workspace: string): unknown {
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) return sent;
  const { tripline, ...rest } = sent as Record<string, unknown>;
  const carried = ActionSchema.safeParse(tripline ?? carriedBy(rest));
  for (const action of carried.success ? [carried.data] : known) {
    const standIn = standInFor(action, workspace);
    if (standIn === null) continue;
    if (canonicalJson(standIn) === canonicalJson(rest)) return action;
    // The client may change the payload. It does not see the rest of the webhook.
    const isSame =
      action.type === "call-webhook" &&
      rest["type"] === "call-webhook" &&
      rest["block_document_id"] === standIn["block_document_id"];
    if (isSame) return "payload" in rest ? { ...action, payload: rest["payload"] } : action;
  }
  return tripline ?? carriedBy(rest) ?? rest;
}

function carriedBy({ block_document_id: id, body }: Readonly<Record<string, unknown>>): unknown {
  if (id !== standInId || typeof body !== "string") return undefined;
  try {
    return parseExactJson(body) as unknown;
  } catch {
    return undefined;
  }
}
