/**
 * What people read about rules: their texts, and what was found in the watched files. None of it affects what fires, so it
 * is not part of the log.
 */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { RuleReport } from "../core/model/rule-report.ts";
import type { RuleText } from "../core/model/rule-text.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { type WorkspaceKeys, workspaceKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const putRuleTextsScript = new Script(scripts.putRuleTexts);

/** The text of an automation, and the definition that it was written for, as `definitionIdOf` returns it. */
export interface StoredRuleText extends RuleText {
  readonly definition: string;
}

/** How many texts are read or written in one step. */
const textsPerStep = 100;

/** Every method may throw RedisUnreachable. */
export class RuleNotes {
  readonly #redis: RedisConnection;
  readonly #keys: WorkspaceKeys;

  constructor(redis: RedisConnection, workspace: string) {
    this.#redis = redis;
    this.#keys = workspaceKeys(workspace);
  }

  /** The text of an automation; null if none is known. It may be outdated: compare the definition. */
  async text(id: string): Promise<StoredRuleText | null> {
    const body = await callRedis(() => this.#redis.hget(this.#keys.ruleTexts, id));
    return body === null ? null : (parseExactJson(body) as StoredRuleText);
  }

  /** The texts that are known of these automations, by id. */
  async texts(ids: readonly string[]): Promise<Map<string, StoredRuleText>> {
    const found = new Map<string, StoredRuleText>();
    for (const [id, body] of await this.#bodies(ids)) {
      await breathe();
      found.set(id, parseExactJson(body) as StoredRuleText);
    }
    return found;
  }

  /** Keeps the texts of automations that exist. Those that are known already are not written again. */
  async putTexts(texts: ReadonlyMap<string, StoredRuleText>): Promise<void> {
    for (const some of chunksOf([...texts], textsPerStep)) {
      await breathe();
      const known = await this.#bodies(some.map(([id]) => id));
      const changed = some.flatMap(([id, text]) => {
        const body = encodeJson(text);
        return known.get(id) === body ? [] : [id, body];
      });
      if (changed.length === 0) continue;
      const keys = [this.#keys.automations, this.#keys.ruleTexts];
      await callRedis(() => putRuleTextsScript.run(this.#redis, keys, changed));
    }
  }

  /** What was found in the rule files at the last load; null if no server has watched any. */
  async report(): Promise<RuleReport | null> {
    const body = await callRedis(() => this.#redis.get(this.#keys.ruleReport));
    return body === null ? null : (parseExactJson(body) as RuleReport);
  }

  /** Replaces the report. */
  async putReport(report: RuleReport): Promise<void> {
    const body = encodeJson(report);
    await callRedis(() => this.#redis.set(this.#keys.ruleReport, body));
  }

  async #bodies(ids: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const some of chunksOf(ids, textsPerStep)) {
      await breathe();
      const bodies = await callRedis(() => this.#redis.hmget(this.#keys.ruleTexts, ...some));
      for (const [index, body] of bodies.entries()) {
        if (body !== null) found.set(some[index] ?? "", body);
      }
    }
    return found;
  }
}
