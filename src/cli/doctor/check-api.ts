/** Checks a server by its API. */

import { z } from "zod";
import { parseExactJson } from "../../core/json/exact-json.ts";
import { version } from "../../version.ts";
import { type CheckResult, clockFinding, ok, problem, skipped, warning } from "./check-result.ts";

const timeoutMs = 10_000;

const ReadySchema = z.object({
  message: z.string(),
  status: z.string(),
  problems: z.array(z.object({ part: z.string(), message: z.string() })).default([]),
});
const DocumentSchema = z.object({ info: z.object({ version: z.string() }) });

export interface CheckedApi {
  /** Ends with `/api`. */
  readonly url: string;
  readonly key: string | null;
  /** Whether someone named it. Otherwise no one may have meant that there is a server. */
  readonly isNamed: boolean;
}

export async function checkApi(api: CheckedApi): Promise<CheckResult[]> {
  const { url, isNamed } = api;
  const started = Date.now();
  const answer = await ask(`${url}/health`, null);
  const ended = Date.now();
  if (typeof answer === "string") {
    const message = `No API answers at ${url}: ${answer}.`;
    if (!isNamed) return [skipped("api", `${message} Name one with --url.`)];
    return [problem("api", message, "Start a server there (tripline serve), or correct --url.")];
  }
  if (answer.status !== 200 || (await readAnswer(answer)) !== true) {
    const remedy = "The address of an API ends with /api, as in http://127.0.0.1:4200/api.";
    return [problem("api", `What answers at ${url} is no Tripline (${answer.status}).`, remedy)];
  }
  return [
    ok("api", `A server answers at ${url}.`),
    ...checkClock(answer, started, ended),
    ...(await Promise.all([checkVersion(url), checkReady(url), checkKey(api)])).flat(),
  ];
}

/** The header `Date` has whole seconds only. */
const dateSkewMsBounds = { warning: 2_500, problem: 6_000 };

function checkClock(answer: Response, started: number, ended: number): CheckResult[] {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (Number.isNaN(date)) return [];
  return [clockFinding("the API", date + 500 - (started + ended) / 2, dateSkewMsBounds)];
}

async function checkVersion(url: string): Promise<CheckResult[]> {
  const document = DocumentSchema.safeParse(await readJson(`${url}/openapi.json`, null));
  if (!document.success) return [skipped("version", "The API does not say its version.")];
  const { version: served } = document.data.info;
  if (served === version) return [ok("version", `The API and this command are version ${served}.`)];
  const message = `The API is version ${served}, this command is ${version}.`;
  return [warning("version", message, "Use the same version on both sides.")];
}

async function checkReady(url: string): Promise<CheckResult[]> {
  const ready = ReadySchema.safeParse(await readJson(`${url}/ready?strict=true`, null));
  if (!ready.success) return [problem("ready", "/api/ready does not answer.", "See the log of the server.")];
  const { message, status, problems } = ready.data;
  if (status === "ok") return [ok("ready", "The server can do its work.")];
  const remedy = "See docs/observability.md#readiness, and the log of the server.";
  if (status === "unavailable") return [problem("ready", message, remedy)];
  const found = status === "stalled" ? problem : warning;
  return problems.map(({ part, message: what }) => found(`ready: ${part}`, what, remedy));
}

async function checkKey({ url, key }: CheckedApi): Promise<CheckResult[]> {
  const answer = await ask(`${url}/automations/count`, key, { method: "POST" });
  if (typeof answer === "string") return [problem("access", `The API fails: ${answer}.`, "See its log.")];
  await answer.body?.cancel();
  if (answer.status === 200)
    return [ok("access", key === null ? "No key is needed here." : "The key works.")];
  const said = `The API responds ${answer.status}`;
  if (answer.status === 401 && key === null)
    return [skipped("access", `${said} without a key; set TRIPLINE_API_KEY to check with one.`)];
  if (answer.status === 401 || answer.status === 403) {
    const remedy = "List keys with tripline keys ls; create one with tripline keys create.";
    return [warning("access", `${said} to the key in TRIPLINE_API_KEY.`, remedy)];
  }
  return [problem("access", `${said}.`, "See the log of the server.")];
}

async function readJson(url: string, key: string | null): Promise<unknown> {
  const answer = await ask(url, key);
  return typeof answer === "string" ? null : readAnswer(answer);
}

/** Null if it is not JSON. */
async function readAnswer(answer: Response): Promise<unknown> {
  try {
    return parseExactJson(await answer.text());
  } catch {
    return null;
  }
}

/** @returns why there is no answer */
async function ask(url: string, key: string | null, options: RequestInit = {}): Promise<Response | string> {
  const headers: Record<string, string> = key === null ? {} : { Authorization: `Bearer ${key}` };
  try {
    return await fetch(url, { ...options, headers, signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
    return String(cause?.code ?? cause?.message ?? (error as Error).message);
  }
}
