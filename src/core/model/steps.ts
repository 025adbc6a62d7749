/** Long computations in steps, between which a server can do something else (src/retry/slices.ts). */

/** Takes all steps at once. @returns the result */
export function finishAtOnce<T>(steps: Iterator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
