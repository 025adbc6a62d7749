/** All stored secrets of a workspace at once: how they are protected, and sealing them again after a key has changed. */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Destination } from "../core/model/destination.ts";
import type { Hook } from "../core/model/hook.ts";
import { callRedis, mastersOf, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { workspaceKeys } from "./keys.ts";
import { Log } from "./log.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import type { SecretBox, SecretState } from "./secret-box.ts";
import { type SecretChange, WorkspaceBox } from "./workspace-box.ts";

const replaceFieldScript = new Script(scripts.replaceField);

export const secretOwners = ["automations", "destinations", "hooks", "workspace", "deliveries"] as const;

export type SecretOwner = (typeof secretOwners)[number];

/** How many secrets of each owner are in each state. */
export type SecretCounts = Readonly<Record<SecretOwner, Record<SecretState, number>>>;

/** BullMQ's hash of each delivery is read and written as a whole. */
const jobField = "data";

/** What the job of a delivery holds of its secrets; the other fields stay as they are. */
interface JobWithSecrets {
  readonly invocation?: {
    readonly automation: { readonly id: string };
    readonly secrets: Readonly<Record<string, string>>;
  };
}

export interface StoredSecretsOptions {
  readonly box: SecretBox;
  /** What the keys of the workspace's deliveries begin with. Without it, deliveries are left out. */
  readonly jobKeyPrefix?: string;
}

/** Every method may throw RedisUnreachable. */
export class StoredSecrets {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  readonly #box: SecretBox;
  readonly #inWorkspace: WorkspaceBox;
  readonly #jobKeyPrefix: string | null;

  constructor(redis: RedisConnection, workspace: string, { box, jobKeyPrefix }: StoredSecretsOptions) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.#box = box;
    this.#inWorkspace = new WorkspaceBox(box, workspace);
    this.#jobKeyPrefix = jobKeyPrefix ?? null;
  }

  async count(): Promise<SecretCounts> {
    const counts = Object.fromEntries(
      secretOwners.map((owner) => [owner, { plain: 0, current: 0, older: 0, unreadable: 0 }]),
    ) as unknown as SecretCounts;
    for await (const { owner, change, body } of this.#fields()) {
      change(body, (text, place) => {
        counts[owner][this.#box.stateOf(text, place)] += 1;
        return text;
      });
    }
    return counts;
  }

  /** Seals everything with the first key that is not sealed with it yet. What no key opens stays as it is. */
  async reseal(): Promise<void> {
    const log = new Log(this.#redis, this.#workspace, { secretBox: this.#box });
    const reseal: SecretChange = (text, place) => this.#box.reseal(text, place);
    for await (const { owner, key, field, change, body } of this.#fields()) {
      const resealed = change(body, reseal);
      if (resealed === null) continue;
      // Over the log, so that the engine has it, too. Every write seals anew.
      if (owner === "automations") await log.updateAutomation(field, (automation) => ({ ...automation }));
      // If it has changed meanwhile, whoever changed it has sealed it.
      else await callRedis(() => replaceFieldScript.run(this.#redis, [key], [field, body, resealed]));
    }
  }

  async *#fields(): AsyncGenerator<StoredField> {
    const keys = workspaceKeys(this.#workspace);
    const box = this.#inWorkspace;
    const hashes: readonly [SecretOwner, string, (field: string) => StoredField["change"]][] = [
      [
        "automations",
        keys.automations,
        () => inJson<Automation>((a, change) => box.changeAutomation(a, change)),
      ],
      [
        "destinations",
        keys.destinations,
        () => inJson<Destination>((destination, change) => box.changeDestination(destination, change)),
      ],
      ["hooks", keys.hooks, () => inJson<Hook>((hook, change) => box.changeHook(hook, change))],
      [
        "workspace",
        keys.secrets,
        (purpose) => (text, change) => {
          const changed = change(text, box.ownPlace(purpose));
          return changed === text ? null : changed;
        },
      ],
    ];
    for (const [owner, key, changeOf] of hashes) {
      const fields = await callRedis(() => this.#redis.hgetall(key));
      for (const [field, body] of Object.entries(fields)) {
        yield { owner, key, field, body, change: changeOf(field) };
      }
    }
    if (this.#jobKeyPrefix === null) return;
    const change = inJson<JobWithSecrets>((job, changeSecret) => {
      if (job.invocation === undefined) return job;
      const { automation, secrets } = job.invocation;
      const changed = box.changeSecrets(automation.id, secrets, changeSecret);
      return { ...job, invocation: { ...job.invocation, secrets: changed } };
    });
    for await (const key of this.#jobKeys(this.#jobKeyPrefix)) {
      if ((await callRedis(() => this.#redis.type(key))) !== "hash") continue;
      const body = await callRedis(() => this.#redis.hget(key, jobField));
      if (body !== null) yield { owner: "deliveries", key, field: jobField, body, change };
    }
  }

  async *#jobKeys(prefix: string): AsyncGenerator<string> {
    const pattern = `${prefix.replace(/[\\*?[\]]/g, "\\$&")}*`;
    // The jobs of a workspace are on one node, but each node is asked: a slot may move meanwhile.
    for (const server of await mastersOf(this.#redis)) {
      for (let part = "0", done = false; !done; done = part === "0") {
        const [next, keys] = await callRedis(() => server.scan(part, "MATCH", pattern, "COUNT", 1_000));
        yield* keys;
        part = next;
      }
    }
  }
}

interface StoredField {
  readonly owner: SecretOwner;
  /** Of the hash. */
  readonly key: string;
  readonly field: string;
  readonly body: string;
  /** The body with each secret changed; null if none differs. */
  readonly change: (body: string, change: SecretChange) => string | null;
}

function inJson<T>(changeAll: (stored: T, change: SecretChange) => T): StoredField["change"] {
  return (body, change) => {
    let differs = false;
    const changed = changeAll(parseExactJson(body) as T, (text, place) => {
      const result = change(text, place);
      differs ||= result !== text;
      return result;
    });
    return differs ? encodeJson(changed) : null;
  };
}
