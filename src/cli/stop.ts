/** How a long-running command learns that it should stop. */

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Resolves with the first signal to stop. Later signals are ignored: Ctrl-C may reach a process twice, from the terminal
 * and from the program that started it, such as npm.
 */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) process.on(signal, resolve);
  });
}
