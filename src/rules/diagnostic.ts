/** Mistakes in rule files as values, each with its place, what was found, and the remedy. */

/** A place in a text. Line and column count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic extends Place {
  readonly file: string;
  /** What is wrong, what was found, and what to do. Never holds the value of a secret. */
  readonly message: string;
}

/** The place of a mistake in a file or directory as a whole. It is not printed. */
export const wholeFile: Place = { line: 0, column: 0 };

export function diagnosticAt(file: string, { line, column }: Place, message: string): Diagnostic {
  return { file, line, column, message };
}

/** `file:line:column: message`, or `file: message` for a mistake in the whole file. */
export function formatDiagnostic({ file, line, column, message }: Diagnostic): string {
  return line === 0 ? `${file}: ${message}` : `${file}:${line}:${column}: ${message}`;
}

/** The diagnostics sorted by file and place, without duplicates. */
export function inReadingOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const unique = new Map(diagnostics.map((diagnostic) => [formatDiagnostic(diagnostic), diagnostic]));
  return [...unique.values()].sort(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  );
}
