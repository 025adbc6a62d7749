/**
 * Secrets from files, as Docker, Kubernetes and systemd pass them: where `NAME` may be set in the environment,
 * `NAME_FILE` may name a file that holds the value instead.
 */

import { readFileSync } from "node:fs";
import { type Environment, elsewhere } from "../templates/environment.ts";
import { CommandFailure } from "./failure.ts";

/** The variables that Tripline itself reads. Others, such as SSL_CERT_FILE, are not ours. */
const ours = /^(TRIPLINE_[A-Z0-9_]+|REDIS_URL|PREFECT_API_KEY)_FILE$/;

/** Their own names end in _FILE: the value is a path, not what the file holds. */
const paths = new Set(["TRIPLINE_API_KEYS_FILE"]);

/**
 * Sets each of Tripline's variables that `env` gives as a file: TRIPLINE_REDIS from TRIPLINE_REDIS_FILE, and so on.
 *
 * @throws CommandFailure when a file cannot be read, or the variable is set as well
 */
export function loadSecretFiles(env: NodeJS.ProcessEnv): void {
  for (const fileName of Object.keys(env)) {
    const name = ours.exec(fileName)?.[1];
    if (name === undefined || paths.has(fileName) || (env[fileName] ?? "") === "") continue;
    if ((env[name] ?? "") !== "") {
      throw new CommandFailure(`${name} and ${fileName} are both set. Unset one of them.`, misused);
    }
    try {
      env[name] = secretIn(env, name) ?? "";
    } catch (error) {
      throw new CommandFailure((error as Error).message, misused, { cause: error });
    }
  }
}

const misused = 2;

/** What `${env.NAME}` in rule files refers to: the environment, and files that it names as `NAME_FILE`. */
export function ruleEnvironment(env: NodeJS.ProcessEnv): Environment {
  return { ...env, [elsewhere]: (name: string) => secretIn(env, name) };
}

/** The content of the file that `NAME_FILE` names, without the line break at its end; undefined when none is named. */
function secretIn(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const path = env[`${name}_FILE`] ?? "";
  if (path === "") return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)).replace(/\r?\n$/, "");
  } catch (error) {
    throw new Error(`${name}_FILE names ${path}, which cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
