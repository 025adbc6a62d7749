/** What a check of a deployment has found. */

/** `skipped`: it could not be checked, which says nothing about the deployment. */
export type CheckStatus = "ok" | "warning" | "problem" | "skipped";

export interface CheckResult {
  /** What was checked, in a word or two. */
  readonly check: string;
  readonly status: CheckStatus;
  /** What was found, in a sentence. */
  readonly message: string;
  /** What to do; null if nothing needs to be done. */
  readonly remedy: string | null;
}

export function ok(check: string, message: string): CheckResult {
  return { check, status: "ok", message, remedy: null };
}

export function warning(check: string, message: string, remedy: string): CheckResult {
  return { check, status: "warning", message, remedy };
}

export function problem(check: string, message: string, remedy: string): CheckResult {
  return { check, status: "problem", message, remedy };
}

export function skipped(check: string, message: string): CheckResult {
  return { check, status: "skipped", message, remedy: null };
}

/** A finding for each bound that a value exceeds: a problem, a warning, or all is well. */
export function judged(
  check: string,
  value: number,
  bounds: { readonly warning: number; readonly problem: number },
  texts: { readonly message: string; readonly remedy: string },
): CheckResult {
  const { message, remedy } = texts;
  if (value > bounds.problem) return problem(check, message, remedy);
  return value > bounds.warning ? warning(check, message, remedy) : ok(check, message);
}

/** The worst of all: 0 if nothing is wrong, 1 for warnings, 2 for problems. */
export function exitCodeOf(findings: readonly CheckResult[]): 0 | 1 | 2 {
  if (findings.some(({ status }) => status === "problem")) return 2;
  return findings.some(({ status }) => status === "warning") ? 1 : 0;
}

/** The worst of all findings. What could not be checked says nothing. */
export function statusOf(findings: readonly CheckResult[]): "ok" | "warning" | "problem" {
  return (["ok", "warning", "problem"] as const)[exitCodeOf(findings)];
}

/** A number of seconds as people read it. */
export function secondsText(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 600) return `${Math.round(seconds)} s`;
  return seconds < 36_000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** A number of bytes as people read it. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1_000 && unit < units.length - 1; unit += 1) value /= 1_000;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Senders' events may be late by 5 s by default; clocks that differ by as much make up late events, or future ones. */
const skewMsBounds = { warning: 1_000, problem: 5_000 };

/** @param aheadMs how much the other clock is ahead */
export function clockFinding(whose: string, aheadMs: number, bounds = skewMsBounds): CheckResult {
  const off = Math.abs(aheadMs);
  const message =
    off <= bounds.warning
      ? `The clock of ${whose} agrees with this machine's (within ${secondsText(Math.max(off, 100))}).`
      : `The clock of ${whose} is ${secondsText(off)} ${aheadMs > 0 ? "ahead of" : "behind"} this machine's.`;
  const remedy =
    "Synchronize both with NTP (timedatectl set-ntp true): events would seem late, or from the future.";
  return judged("clock", off, bounds, { message, remedy });
}
