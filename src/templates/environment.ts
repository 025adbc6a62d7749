/** Fills in references to the environment while rules are loaded. Their grammar is in core/model/reference.ts. */

import {
  malformedReferenceProblem,
  type Reference,
  referencedValue,
  referenceTo,
  replaceReferences,
  unescapeReference,
} from "../core/model/reference.ts";

/** An environment may hold, under this key, a value for every name that is not set. Then no name is a mistake. */
export const standIn = Symbol("stand-in");

/**
 * An environment may hold, under this key, a function that finds a name that is not set, such as in a file. If it throws,
 * the error's message is reported as a mistake at the reference.
 */
export const elsewhere = Symbol("elsewhere");

export type Environment = Readonly<Record<string, string | undefined>> & {
  readonly [standIn]?: string | ((name: string) => string);
  readonly [elsewhere]?: (name: string) => string | undefined;
};

export interface Substituted {
  readonly text: string;
  /** What is wrong with its references; empty when nothing is. */
  readonly problems: readonly string[];
}

function standInFor({ [standIn]: value }: Environment, name: string): string | undefined {
  return typeof value === "function" ? value(name) : value;
}

/** Replaces each reference with its value. */
export function substitute(text: string, env: Environment): Substituted {
  return substituteWith(text, env, (_reference, value) => value, unescapeReference);
}

/**
 * Keeps each reference in its place, without its default, and puts its value into `secrets` under its name. Escaped
 * references stay escaped, so that they can be recognized when the references are filled in.
 */
export function keepReferences(text: string, env: Environment, secrets: Map<string, string>): Substituted {
  const clashes: string[] = [];
  const keep = ({ name }: Reference, value: string): string => {
    const other = secrets.get(name);
    if (other !== undefined && other !== value) {
      clashes.push(
        `${referenceTo(name)} has a different default elsewhere in this automation; use the same one in both places`,
      );
    }
    secrets.set(name, value);
    return referenceTo(name);
  };
  const kept = substituteWith(text, env, keep, (written) => written);
  return { text: kept.text, problems: [...kept.problems, ...clashes] };
}

function substituteWith(
  text: string,
  env: Environment,
  replace: (reference: Reference, value: string) => string,
  escaped: (written: string) => string,
): Substituted {
  const problems: string[] = [];
  const replaced = replaceReferences(text, {
    escaped,
    malformed(written) {
      problems.push(malformedReferenceProblem(written));
      return written;
    },
    reference(reference, written) {
      const { name } = reference;
      let value: string | undefined;
      try {
        const found = Object.hasOwn(env, name) ? env[name] : env[elsewhere]?.(name);
        value = referencedValue(reference, { [name]: found }) ?? standInFor(env, name);
      } catch (error) {
        problems.push((error as Error).message);
        return written;
      }
      if (value !== undefined) return replace(reference, value);
      problems.push(`the environment has no ${name}; set it, or give a default: \${env.${name}:-default}`);
      return written;
    },
  });
  return { text: replaced, problems };
}
