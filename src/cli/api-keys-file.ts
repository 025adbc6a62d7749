/**
 * The key file of a deployment: the API keys that a server brings along, so that it can serve others from its first
 * start. docs/security.md describes it.
 */

import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { z } from "zod";
import { parseRate, rateProblem } from "../core/model/rate.ts";
import { scopes } from "../core/model/scope.ts";
import { formatTime, parseTime } from "../core/model/time.ts";
import {
  ApiKeyTaken,
  type AppliedApiKeys,
  applyApiKeys,
  type WantedApiKey,
} from "../reconcile/apply-api-keys.ts";
import { type Diagnostic, diagnosticAt, formatDiagnostic, wholeFile } from "../rules/diagnostic.ts";
import { parseRuleText, type RuleMapping, type RuleMistake, type RuleNode } from "../rules/rule-tree.ts";
import { validate } from "../rules/validate.ts";
import { announceKey } from "../store/announce-key.ts";
import type { ApiKey } from "../store/api-key.ts";
import { hashOf, readToken } from "../store/api-key.ts";
import { ApiKeyStore } from "../store/api-key-store.ts";
import type { RedisConnection } from "../store/connection.ts";
import { CommandFailure } from "./failure.ts";
import { isWorkspaceName } from "./settings.ts";

const missing = {
  error: ({ input }: { input: unknown }) => (input === undefined ? "Field required" : undefined),
};

const EntrySchema = z.strictObject({
  name: z.string(missing).min(1),
  scopes: z.array(z.enum(scopes), missing).min(1),
  /** Either the token, or its id and the SHA-256 of its secret. */
  token: z.string().optional(),
  id: z.string().optional(),
  sha256: z.string().optional(),
  workspace: z.string().optional(),
  rate: z.string().optional(),
  expires: z.string().optional(),
});

type Entry = z.infer<typeof EntrySchema>;

/** A key of the file, and the line that names it. */
export interface FileKey {
  readonly key: WantedApiKey;
  readonly line: number;
}

/**
 * Reads a key file: a YAML or JSON list of keys.
 *
 * @returns the keys, and every mistake with its place; no message quotes a token
 */
export function readApiKeys(file: string, text: string): { keys: FileKey[]; diagnostics: Diagnostic[] } {
  const { documents, mistakes } = parseRuleText(text);
  const report = ({ place, message }: RuleMistake): void => {
    diagnostics.push(diagnosticAt(file, place, message));
  };
  const diagnostics: Diagnostic[] = [];
  const keys: FileKey[] = [];
  mistakes.forEach(report);
  const [list, another] = documents;
  if (list === undefined) {
    if (mistakes.length === 0) report({ place: wholeFile, message: `is empty; ${listRemedy}` });
    return { keys, diagnostics };
  }
  if (another !== undefined) report({ place: another.place, message: "a second document; use one list" });
  if (list.kind !== "list") {
    report({ place: list.place, message: `should be a list of keys; ${listRemedy}` });
    return { keys, diagnostics };
  }
  const lines = new Map<string, number>();
  for (const item of list.items) {
    if (item.kind !== "mapping") {
      report({ place: item.place, message: `a key should be a mapping; ${entryRemedy}` });
      continue;
    }
    const placeOf = new Map([...item.entries].map(([key, { node }]) => [key, node.place]));
    const { value, mistakes: inShape } = validate<Entry>(EntrySchema, copyOf(item));
    inShape.forEach(report);
    if (value === null) continue;
    const { key, problems } = keyOf(value);
    for (const [at, message] of problems) report({ place: placeOf.get(at) ?? item.place, message });
    if (key === null) continue;
    const { line } = item.place;
    const other = lines.get(key.id);
    if (other !== undefined) {
      const message = `the key in line ${other} has the same id; make another with: tripline keys new-token`;
      report({ place: placeOf.get("token") ?? item.place, message });
    }
    lines.set(key.id, line);
    keys.push({ key, line });
  }
  return { keys, diagnostics };
}

const entryRemedy = "write - {name: admin, scopes: [admin], token: tripline_…}";
const listRemedy = `${entryRemedy}; tripline keys new-token prints a token`;

/** `validate` mends the tree that it judges; places are wanted afterwards. */
function copyOf(mapping: RuleMapping): RuleNode {
  return { ...mapping, entries: new Map(mapping.entries) };
}

type Problem = readonly [at: keyof Entry, message: string];

function keyOf(entry: Entry): { key: WantedApiKey | null; problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const problem = (at: keyof Entry, message: string) => void problems.push([at, message]);
  const { name, workspace = "default" } = entry;
  if (!isWorkspaceName(workspace)) {
    problem("workspace", "workspace should be letters, digits, dots, hyphens and underscores");
  }
  const rate = entry.rate === undefined ? null : parseRate(entry.rate);
  const mistake = entry.rate === undefined ? null : rateProblem(entry.rate);
  if (mistake !== null) problem("rate", mistake);
  const expires = entry.expires === undefined ? null : parseTime(entry.expires);
  if (entry.expires !== undefined && expires === null) {
    problem("expires", "expires should be a time with a time zone, such as 2027-01-01T00:00:00Z");
  }
  const secret = secretOf(entry, problem);
  if (secret === null || problems.length > 0) return { key: null, problems };
  const key: WantedApiKey = {
    ...secret,
    name,
    workspace,
    scopes: [...new Set(entry.scopes)],
    rate,
    expires: expires === null ? null : formatTime(expires),
  };
  return { key, problems };
}

/** Never quotes what it was given: a mistyped token is most of a token. */
function secretOf(
  { token, id, sha256 }: Entry,
  problem: (at: keyof Entry, message: string) => void,
): Pick<WantedApiKey, "id" | "hash"> | null {
  if (token !== undefined) {
    if (id !== undefined || sha256 !== undefined) {
      problem(id === undefined ? "sha256" : "id", "give either token, or id and sha256, not both");
    }
    const read = /:/.test(token) ? null : readToken(token);
    if (read !== null) return { id: read.id, hash: hashOf(read.secret) };
    problem("token", "token is not a valid key; print one with: tripline keys new-token");
    return null;
  }
  if (id === undefined || sha256 === undefined) {
    problem("name", "add token:, or id: and sha256:; tripline keys new-token prints both");
    return null;
  }
  if (!/^[0-9a-f]{12}$/.test(id)) problem("id", "id should be 12 hexadecimal digits, in quotes");
  if (!/^[0-9a-f]{64}$/.test(sha256)) problem("sha256", "sha256 should be 64 hexadecimal digits, in quotes");
  return { id, hash: sha256 };
}

/**
 * Reads a key file and applies it.
 *
 * @param workspaces those that this server serves
 * @throws CommandFailure with every mistake and its place; RedisUnreachable
 */
export async function serveApiKeys(
  file: string,
  { redis, workspaces, logger }: { redis: RedisConnection; workspaces: readonly string[]; logger: Logger },
): Promise<AppliedApiKeys> {
  const { keys, diagnostics } = readApiKeys(file, textOf(file));
  if (diagnostics.length > 0) {
    const lines = diagnostics.map(formatDiagnostic).join("\n");
    throw new CommandFailure(`${lines}\nThe API keys were not applied. Correct the file and start again.`);
  }
  const wanted = keys.map(({ key }) => key);
  try {
    const store = new ApiKeyStore(redis);
    const applied = await applyApiKeys(store, wanted, workspaces, new Date());
    await announceApplied(redis, await store.all(), applied, file);
    const { created, changed, revoked, stillRevoked } = applied;
    if (created.length + changed.length + revoked.length > 0) {
      logger.info({ created, changed, revoked }, "API keys applied");
    }
    if (stillRevoked.length > 0) {
      const remedy = "remove them from the file, or run tripline keys forget <id> and start again";
      logger.warn({ keys: stillRevoked, remedy }, "The key file names keys that were revoked by hand");
    }
    return applied;
  } catch (error) {
    if (!(error instanceof ApiKeyTaken)) throw error;
    const line = keys.find(({ key }) => key.id === error.id)?.line ?? 1;
    throw new CommandFailure(
      `${file}:${line}: the id ${error.id} belongs to a key made by tripline keys create, with another secret. ` +
        "Print a new token with: tripline keys new-token",
      1,
      { cause: error },
    );
  }
}

/** Appends an event about each key that the file has changed. */
async function announceApplied(
  redis: RedisConnection,
  keys: readonly ApiKey[],
  { created, changed, revoked }: AppliedApiKeys,
  file: string,
): Promise<void> {
  const actor = { type: "key-file", name: file, id: null } as const;
  const done = [
    ...created.map((id) => [id, "created"] as const),
    ...changed.map((id) => [id, "updated"] as const),
    ...revoked.map((id) => [id, "revoked"] as const),
  ];
  for (const [id, change] of done) {
    const key = keys.find((each) => each.id === id);
    if (key !== undefined) await announceKey(redis, key, change, actor);
  }
}

function textOf(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new CommandFailure(
      `TRIPLINE_API_KEYS_FILE (--api-keys-file) names ${file}, which cannot be read: ${(error as Error).message}`,
      1,
      { cause: error },
    );
  }
}
