/** Long computations as steps, so that a server can do other things between two of them (src/retry/slices.ts). */

/** The result of a computation, without doing anything else in between. */
export function finishAtOnce<T>(steps: Iterator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
