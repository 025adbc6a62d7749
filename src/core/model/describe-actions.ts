/** Actions in plain American English, one line each. They show no secrets. */

import type { ActionDefinition, DestinationReference } from "./action.ts";
import type { AutomationDefinition } from "./automation.ts";
import { cut } from "./cut.ts";
import { type DescribeOptions, describeTrigger, type TriggerWords } from "./describe-trigger.ts";
import { withoutCredentialsIn } from "./url.ts";
import { nameText } from "./words.ts";

/** What an automation does, in words. */
export interface RuleWords extends TriggerWords {
  /** What happens when it fires, one line for each action. */
  readonly actions: readonly string[];
  /** What happens when an absence that fired ends. */
  readonly actions_on_resolve: readonly string[];
}

/** What words say of an action. The rest may come in any form, as from the API. */
type ToldParts<Action> = Action extends unknown
  ? Omit<Action, "headers" | "payload" | "related" | "retry">
  : never;

export type DescribedAction = Readonly<ToldParts<ActionDefinition>>;

/** The parts of an automation that words are made of. */
export interface DescribedRule extends Pick<AutomationDefinition, "trigger"> {
  readonly actions: readonly DescribedAction[];
  readonly actions_on_trigger: readonly DescribedAction[];
  readonly actions_on_resolve: readonly DescribedAction[];
}

/** An automation in words. The same definition always reads the same. */
export function describeRule(
  { trigger, actions, actions_on_trigger, actions_on_resolve }: DescribedRule,
  options: DescribeOptions = {},
): RuleWords {
  return {
    ...describeTrigger(trigger, options),
    actions: [...actions, ...actions_on_trigger].map(describeAction),
    actions_on_resolve: actions_on_resolve.map(describeAction),
  };
}

/** An action in one line. Templates and references to the environment are shown as they are written. */
export function describeAction(action: DescribedAction): string {
  switch (action.type) {
    case "do-nothing":
      return "Does nothing but record the firing.";
    case "call-webhook": {
      const method = action.method === undefined || action.method === "POST" ? "" : ` with ${action.method}`;
      const signed = action.secret === undefined ? "" : ", with a signature";
      const target = action.url === undefined ? destinationText(action) : urlText(action.url);
      return `Calls ${target}${method}${signed}.`;
    }
    case "send-notification":
      return `Sends a notification to ${destinationText(action)}.`;
    case "emit-event":
      return `Emits the event ${nameText(action.event)}.`;
    case "pause-automation":
      return `Pauses ${automationText(action)}.`;
    case "resume-automation":
      return `Resumes ${automationText(action)}.`;
  }
}

const urlLengthMax = 300;

function urlText(url: string): string {
  const shown = cut(withoutCredentialsIn(url), urlLengthMax);
  return /^[^\s"]+$/.test(shown) ? shown : JSON.stringify(shown);
}

function destinationText({ destination, block_document_id }: DestinationReference): string {
  return destination === undefined
    ? `the destination with the id ${block_document_id ?? ""}`
    : `the destination ${nameText(destination)}`;
}

type PauseOrResumeAction = Extract<DescribedAction, { type: "pause-automation" | "resume-automation" }>;

function automationText({ source, automation, automation_id }: PauseOrResumeAction): string {
  if (source === "inferred") return "the automation that the event is about";
  return automation === undefined
    ? `the automation with the id ${automation_id ?? ""}`
    : `the automation ${JSON.stringify(cut(automation, 120))}`;
}
