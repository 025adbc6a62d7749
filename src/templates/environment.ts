/**
 * References to the environment in rule files: `${env.NAME}` and `${env.NAME:-default}`.
 *
 * As in a shell, the default also stands in for an empty value. `$${env.NAME}` is no reference: it stands for itself
 * with one dollar sign.
 */

/** Under this key an environment may hold what stands for every name that is not set, so that none is a mistake. */
export const standIn = Symbol("stand-in");

/**
 * Under this key an environment may hold what finds a name that is not set, such as in a file. An error that it throws
 * is a mistake of the reference, in the error's words.
 */
export const elsewhere = Symbol("elsewhere");

export type Environment = Readonly<Record<string, string | undefined>> & {
  readonly [standIn]?: string;
  readonly [elsewhere]?: (name: string) => string | undefined;
};

export interface Substituted {
  readonly text: string;
  /** What is wrong with its references; empty when nothing is. */
  readonly problems: readonly string[];
}

/** Replaces each reference by its value. */
export function substitute(text: string, env: Environment): Substituted {
  return replaceReferences(
    text,
    env,
    (_name, value) => value,
    (escaped) => escaped.slice(1),
  );
}

/**
 * Leaves each reference where it is, without its default, and puts its value into `secrets` by its name.
 * Escaped references stay escaped, so that they are told apart when the references are filled in.
 */
export function keepReferences(text: string, env: Environment, secrets: Map<string, string>): Substituted {
  const clashes: string[] = [];
  const keep = (name: string, value: string): string => {
    const other = secrets.get(name);
    if (other !== undefined && other !== value) {
      clashes.push(`\${env.${name}} has another default elsewhere in this automation; give it the same one`);
    }
    secrets.set(name, value);
    return `\${env.${name}}`;
  };
  const kept = replaceReferences(text, env, keep, (escaped) => escaped);
  return { text: kept.text, problems: [...kept.problems, ...clashes] };
}

/** True when the text is one reference and nothing else. */
export function isReference(text: string): boolean {
  return text.startsWith("${env.") && text.indexOf("}") === text.length - 1;
}

function replaceReferences(
  text: string,
  env: Environment,
  replace: (name: string, value: string) => string,
  unescaped: (escaped: string) => string,
): Substituted {
  const problems: string[] = [];
  const replaced = text.replaceAll(/\$?\$\{env\.[^}]*\}?/g, (found) => {
    if (found.startsWith("$$")) return unescaped(found);
    const [, name = "", fallback] = /^\$\{env\.([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}$/.exec(found) ?? [];
    if (name === "") {
      problems.push(
        `${found} is no reference to the environment; write \${env.NAME} or \${env.NAME:-default}`,
      );
      return found;
    }
    let set: string | undefined;
    try {
      set = Object.hasOwn(env, name) ? env[name] : env[elsewhere]?.(name);
    } catch (error) {
      problems.push((error as Error).message);
      return found;
    }
    const value = fallback !== undefined && (set ?? "") === "" ? fallback : (set ?? env[standIn]);
    if (value !== undefined) return replace(name, value);
    problems.push(`the environment has no ${name}; set it, or give a default: \${env.${name}:-default}`);
    return found;
  });
  return { text: replaced, problems };
}
