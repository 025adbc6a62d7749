/**
 * An automation as the API shows it: whole to everybody, and to Prefect's client in a form that it can parse.
 *
 * Prefect's client knows its own types of actions and no others: one unknown type makes it fail on a whole list. Nor
 * does it keep fields that it does not know, so that a PUT of what it was given lacks them. Therefore each action
 * that goes beyond Prefect's types has a stand-in here, from which the action itself can be told again.
 */

import { type ActionDefinition, ActionSchema } from "../../core/model/action.ts";
import { type Automation, canonicalJson } from "../../core/model/automation.ts";
import { type AutomationView, automationView } from "../../core/model/automation-view.ts";
import { destinationIdOf } from "../../core/model/destination.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";

export { type AutomationView, automationView, secretMask } from "../../core/model/automation-view.ts";

/** True when a request comes from Prefect's own client or command line. */
export function isPrefectClient(headers: Headers): boolean {
  const agent = headers.get("user-agent") ?? "";
  return headers.has("x-prefect-api-version") || agent.toLowerCase().startsWith("prefect/");
}

/** What a client may see of an automation, in the form that it can read. */
export function shownAutomation(automation: Automation, workspace: string, headers: Headers): object {
  const view = automationView(automation);
  return isPrefectClient(headers) ? prefectView(view, workspace) : view;
}

function prefectView(view: AutomationView, workspace: string): object {
  const shown = (actions: readonly ActionDefinition[]) =>
    actions.map((action) => {
      const standIn = standInFor(action, workspace);
      return standIn === null ? action : { ...standIn, tripline: action };
    });
  return {
    ...view,
    actions: shown(view.actions),
    actions_on_trigger: shown(view.actions_on_trigger),
    actions_on_resolve: shown(view.actions_on_resolve),
  };
}

/** Where stand-ins for actions that Prefect has no type for seem to go. */
const standInId = uuid5(triplineNamespace, "stand-in");

/**
 * What stands for an action before Prefect's client, with exactly the fields that this client knows; null for an
 * action that it knows itself.
 */
export function standInFor(
  action: ActionDefinition,
  workspace: string,
): Readonly<Record<string, unknown>> | null {
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
      // From all but the payload, which may be changed under this id.
      const ownId = uuid5(triplineNamespace, `webhook ${canonicalJson(rest)}`);
      const text =
        typeof payload === "string" ? payload : payload === undefined ? "" : JSON.stringify(payload);
      return { type, block_document_id: id ?? destinationId(destination) ?? ownId, payload: text };
    }
    case "emit-event":
      // It carries the action itself, so that nothing is lost whatever a client does with it.
      return {
        type: "send-notification",
        block_document_id: standInId,
        subject: `Tripline: ${type}`,
        body: JSON.stringify(action),
      };
  }
}

/**
 * The action that is meant by one that a client sent: itself, or what it stands for.
 *
 * @param sent any JSON
 * @param known the actions that the automation has already, with masked secrets
 */
export function actionMeant(sent: unknown, known: readonly ActionDefinition[], workspace: string): unknown {
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) return sent;
  const { tripline, ...rest } = sent as Record<string, unknown>;
  const carried = ActionSchema.safeParse(tripline ?? carriedBy(rest));
  for (const action of carried.success ? [carried.data] : known) {
    const standIn = standInFor(action, workspace);
    if (standIn === null) continue;
    if (canonicalJson(standIn) === canonicalJson(rest)) return action;
    // The payload is Prefect's to change; the rest of the webhook is what it does not see.
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
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}
