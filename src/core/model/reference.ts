/**
 * References to the environment in texts that people write: `${env.NAME}`, and `${env.NAME:-default}`.
 *
 * A name is letters, digits and underscores, and does not begin with a digit. A default ends at the first `}`. As in a
 * shell, it also stands in for an empty value. A dollar sign in front escapes: `$${env.` is the text `${env.`.
 */

export interface Reference {
  readonly name: string;
  readonly fallback: string | undefined;
}

const opening = "${env.";
const complete = /^\$\{env\.([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}$/;

/** Returns the replacement for each part of a text. A part without a handler stays as it is. */
export interface ReferenceHandlers {
  readonly reference?: (reference: Reference, written: string) => string;
  /** For `$${env.`. The text after it is ordinary text. */
  readonly escaped?: (written: string) => string;
  /** For a text that begins like a reference but is not one. */
  readonly malformed?: (written: string) => string;
}

/** The text with its references replaced. */
export function replaceReferences(text: string, handlers: ReferenceHandlers): string {
  const { reference, escaped, malformed } = handlers;
  return text.replaceAll(/\$\$\{env\.|\$\{env\.[^}]*\}?/g, (written) => {
    if (written.startsWith("$$")) return escaped?.(written) ?? written;
    const [, name, fallback] = complete.exec(written) ?? [];
    if (name === undefined) return malformed?.(written) ?? written;
    return reference?.({ name, fallback }, written) ?? written;
  });
}

/** The literal text that an escape stands for. */
export function unescapeReference(written: string): string {
  return written.slice(1);
}

/** Every reference in a text, in order. */
export function referencesIn(text: string): Reference[] {
  const found: Reference[] = [];
  replaceReferences(text, {
    reference: (reference, written) => {
      found.push(reference);
      return written;
    },
  });
  return found;
}

/** The first reference in a text as it is written, complete or not; null when there is none. */
export function firstReferenceIn(text: string): string | null {
  let first: string | null = null;
  const note = (written: string): string => {
    first ??= written;
    return written;
  };
  replaceReferences(text, { reference: (_, written) => note(written), malformed: note });
  return first;
}

/** The first text that begins like a reference but is not one; null when there is none. */
export function malformedReferenceIn(text: string): string | null {
  let first: string | null = null;
  replaceReferences(text, { malformed: (written) => (first ??= written) });
  return first;
}

/** The reference, if the text is nothing but one reference; otherwise null. */
export function soleReferenceIn(text: string): Reference | null {
  const [, name, fallback] = complete.exec(text) ?? [];
  return name === undefined ? null : { name, fallback };
}

/** False when a text has neither references nor escapes. */
export function mentionsReferences(text: string): boolean {
  return text.includes(opening);
}

/** `${env.NAME}` */
export function referenceTo(name: string): string {
  return `${opening}${name}}`;
}

/** The value of a reference; undefined when it has neither a value nor a default. */
export function referencedValue(
  { name, fallback }: Reference,
  values: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  return fallback !== undefined && (value ?? "") === "" ? fallback : value;
}

/** The message for a text that begins like a reference but is not one. */
export function malformedReferenceProblem(written: string): string {
  return `${written} is not a reference to the environment; write \${env.NAME} or \${env.NAME:-default}`;
}
