/** A bug in the program, never caused by input. The process should stop, so that the next owner replays the log. */
class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * States a condition that always holds in a correct program. Also checked in production.
 *
 * @throws AssertionError with `sentence` when `condition` is false
 */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new AssertionError(sentence);
}
