/** Makes one attempt at an action of any type. */

import type { ActionDefinition } from "../core/model/action.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { RedisUnreachable } from "../store/connection.ts";
import { SecretUnreadable } from "../store/secret-box.ts";
import type { TemplateFailure } from "../templates/renderer.ts";
import { TemplateError } from "../templates/template.ts";
import { callWebhook } from "./actions/call-webhook.ts";
import { doNothing } from "./actions/do-nothing.ts";
import { emitEvent } from "./actions/emit-event.ts";
import { pauseAutomation, resumeAutomation } from "./actions/pause-automation.ts";
import { sendNotification } from "./actions/send-notification.ts";
import type { AttemptOutcome, AttemptTools, RunAction } from "./attempt.ts";
import { JobLost } from "./held-job.ts";

const runners: { readonly [T in ActionDefinition["type"]]: RunAction<T> } = {
  "call-webhook": callWebhook,
  "do-nothing": doNothing,
  "emit-event": emitEvent,
  "pause-automation": pauseAutomation,
  "resume-automation": resumeAutomation,
  "send-notification": sendNotification,
};

/** In characters. Reasons are meant for people. */
const reasonLengthMax = 2_000;

/** Makes one attempt. @throws RedisUnreachable, JobLost; any error once the worker is being stopped */
export async function runAction(invocation: Invocation, tools: AttemptTools): Promise<AttemptOutcome> {
  const { action } = invocation;
  const run = runners[action.type] as RunAction<ActionDefinition["type"]> | undefined;
  if (run === undefined) {
    return { kind: "failed", reason: `unknown action type ${JSON.stringify(action.type)}` };
  }
  try {
    const outcome = withFailures(await run(action, invocation, tools), tools.renderer.failures);
    if (outcome.kind === "executed") return outcome;
    return { ...outcome, reason: outcome.reason.slice(0, reasonLengthMax) };
  } catch (error) {
    if (error instanceof RedisUnreachable || error instanceof JobLost || tools.signal.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const reason = (prefix: string) => tools.redact(prefix + message).slice(0, reasonLengthMax);
    if (error instanceof TemplateError) return { kind: "failed", reason: reason("") };
    // It is sent once the key is back.
    if (error instanceof SecretUnreadable) return { kind: "retry", reason: reason(""), afterMs: null };
    // It may come from the machine, such as a lack of memory or files. If it does not, the attempts run out.
    return { kind: "retry", reason: reason("unexpected error: "), afterMs: null };
  }
}

/** Marks what was sent although a template failed. */
function withFailures(outcome: AttemptOutcome, failures: readonly TemplateFailure[]): AttemptOutcome {
  if (failures.length === 0 || outcome.kind === "deferred") return outcome;
  return { ...outcome, result: { ...outcome.result, template_failures: failures } };
}
