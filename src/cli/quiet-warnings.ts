/**
 * Keeps Node's notes about experimental features out of the log, whose lines are JSON. Node 22 and 24 print one when they load
 * `node:sqlite`. Other warnings are printed as before.
 *
 * Call it in each thread, before anything loads that module.
 */
export function dropExperimentalWarnings(): void {
  const emitWarning = process.emitWarning.bind(process) as (...parameters: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...others: unknown[]): void => {
    const [given] = others;
    const type = typeof given === "object" && given !== null ? (given as { type?: unknown }).type : given;
    const name = warning instanceof Error ? warning.name : type;
    if (name !== "ExperimentalWarning") emitWarning(warning, ...others);
  };
}
