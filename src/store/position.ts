/** Positions in the log: Redis stream ids, `<milliseconds>-<sequence>`. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { type Micros, millisecond } from "../core/model/time.ts";

export { receivedAt } from "../core/machine/log-entry.ts";

/** The position before the first entry. */
export const startOfLog: LogPosition = "0-0";

/** The position before every entry received at `time` or later. */
export function positionBefore(time: Micros): LogPosition {
  const milliseconds = Math.floor(time / millisecond);
  return milliseconds <= 0 ? startOfLog : `${milliseconds - 1}-18446744073709551615`;
}

/** Negative if `a` comes before `b`, zero if they are equal. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  const [aTime, aSequence] = partsOf(a);
  const [bTime, bSequence] = partsOf(b);
  return aTime - bTime || aSequence - bSequence;
}

function partsOf(position: LogPosition): [milliseconds: number, sequence: number] {
  const dash = position.indexOf("-");
  return [Number(position.slice(0, dash)), Number(position.slice(dash + 1))];
}
