/** What the API says of rules. It is made here, because the API does not know rule files. */

import type { Logger } from "pino";
import type { RuleReader } from "../api/automations/rules.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Micros } from "../core/model/time.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import type { StoredRuleText } from "../store/rule-notes.ts";
import type { MoreAutomations } from "./threads/check-link.ts";
import { runCheckThread } from "./threads/run-check-thread.ts";

/** A request waits for it. */
const limitMs = 20_000;

const automationsPerMessage = 100;

/**
 * @param latenessDefault the server's lateness for triggers that set none
 * @returns the reader, and a function that ends what it has begun
 */
export function createRuleReader(
  latenessDefault: Micros,
  logger: Pick<Logger, "warn">,
): RuleReader & { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  const warningsOf: RuleReader["warningsOf"] = async (all, texts) => {
    let found: Awaited<ReturnType<RuleReader["warningsOf"]>> = { warnings: [], leftOut: 0 };
    await runCheckThread(
      { kind: "automations", lateness: latenessDefault },
      {
        onMessage: (message) => {
          if (message.kind === "warnings") found = message;
        },
        signal: stopping.signal,
        limitMs,
        logger,
        more: inMessages(all, texts),
      },
    );
    return { warnings: found.warnings, leftOut: found.leftOut };
  };
  return {
    async yamlOf(automation) {
      const { ruleYamlOf } = await import("../rules/write-rule.ts"); // many servers are never asked
      return ruleYamlOf(automation);
    },
    warningsOf(all, texts) {
      const result = warningsOf(all, texts);
      running.add(result);
      const forget = () => running.delete(result);
      result.then(forget, forget);
      return result;
    },
    async stop() {
      stopping.abort();
      await Promise.allSettled(running);
    },
  };
}

/** As JSON, which keeps all digits of numbers, and in parts, so that no message takes long. */
async function* inMessages(
  all: readonly Automation[],
  texts: ReadonlyMap<string, StoredRuleText>,
): AsyncGenerator<MoreAutomations> {
  for (const some of chunksOf(all, automationsPerMessage)) {
    const automations: string[] = [];
    for (const automation of some) {
      await breathe();
      automations.push(JSON.stringify({ ...automation, secrets: {} }));
    }
    const known = some.flatMap(({ id }) => {
      const text = texts.get(id);
      return text === undefined ? [] : [[id, text] as const];
    });
    yield { automations, texts: new Map(known) };
  }
  yield null;
}
