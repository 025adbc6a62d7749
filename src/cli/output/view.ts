/** For whom something is printed: a person at a terminal of some width, or a program that reads every character. */

import { type Micros, millisecond } from "../../core/model/time.ts";

export interface View {
  /** In columns; null: nothing is cut. */
  readonly width: number | null;
  /** Short ids and times, for a terminal. */
  readonly brief: boolean;
  readonly utc: boolean;
  readonly colored: boolean;
  readonly now: Micros;
}

export interface ViewOptions {
  readonly wide?: true;
  readonly utc?: true;
}

const widthDefault = 80;

/**
 * Says how to print. What is not a terminal gets everything in full, so that what a script reads does not depend on a
 * window's size.
 */
export function viewOf(
  { wide = false, utc = false }: { readonly wide?: boolean; readonly utc?: boolean },
  colored: boolean,
  stream: { readonly isTTY?: boolean; readonly columns?: number } = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): View {
  const brief = stream.isTTY === true && !wide;
  const columns = Number(env["COLUMNS"]) || stream.columns || widthDefault;
  return { width: brief ? columns : null, brief, utc, colored, now: Date.now() * millisecond };
}
