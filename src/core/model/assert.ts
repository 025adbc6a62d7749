/** The program contradicts itself. Never caused by input: stop, and let the next owner replay the log. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * States what must hold if the program is right; on in production too.
 *
 * @throws AssertionError with `sentence` when `condition` is false
 */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new AssertionError(sentence);
}
