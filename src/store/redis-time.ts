/** The clock of Redis, which all processes share. */

import { type Micros, millisecond, second } from "../core/model/time.ts";

/** What Redis answers to TIME. */
export type RedisTime = readonly [seconds: string, micros: string];

export function microsOf([seconds, micros]: RedisTime): Micros {
  return Number(seconds) * second + Number(micros);
}

/** Without the part of a millisecond: positions in the log have none either. */
export function wholeMilliseconds(answer: RedisTime): Micros {
  const time = microsOf(answer);
  return time - (time % millisecond);
}
