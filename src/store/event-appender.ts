/**
 * Appends events to a log. What many requests append at about the same time is one step for Redis.
 *
 * A round trip costs as much as appending a dozen events. So while a step is under way, whatever else comes waits and
 * then goes together; the more there is to do, the larger the steps become. Each caller still learns only of its own
 * events, and only after the step that holds them.
 */

import { Buffer } from "node:buffer";
import type { LogPosition } from "../core/machine/log-entry.ts";
import { afterTurn } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { type EventGroup, eventsPerStep, stepLengthMax } from "./event-lines.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const appendEventsScript = new Script(scripts.appendEvents);

/** So many events go at once, because it gains little to wait for more; as long as so few steps are under way. */
const eventsWorthAStep = 50;
const stepsMax = 4;

interface Waiting {
  readonly groups: readonly EventGroup[];
  readonly count: number;
  readonly length: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Where events were appended: `positions` are those of the whole step. */
interface Appended {
  readonly positions: string;
  readonly first: number;
  readonly count: number;
}

/** The position of each event, in order. */
export function positionsOf({ positions, first, count }: Appended): LogPosition[] {
  return positions.split(" ").slice(first, first + count);
}

export class EventAppender {
  readonly #redis: RedisConnection;
  readonly #log: string;
  readonly #replicaCount: number;
  readonly #waiting: Waiting[] = [];
  #waitingCount = 0;
  #stepCount = 0;
  #isScheduled = false;

  /**
   * @param log the key of the stream
   * @param replicaCount how many replicas must have events before they count as appended
   */
  constructor(redis: RedisConnection, log: string, replicaCount = 0) {
    this.#redis = redis;
    this.#replicaCount = replicaCount;
    this.#log = log;
  }

  /**
   * Appends events in one step, all or none, after those of earlier calls.
   *
   * @param groups at most `eventsPerStep` events and about `stepLengthMax` bytes
   * @throws RedisUnreachable; it is unknown then whether they were appended
   */
  append(groups: readonly EventGroup[]): Promise<Appended> {
    let count = 0;
    let length = 0;
    for (const group of groups) {
      count += group.count;
      length += group.bytes.length;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ groups, count, length, resolve, reject });
      this.#waitingCount += count;
      this.#next();
    });
  }

  #next(): void {
    while (this.#waitingCount >= eventsWorthAStep && this.#stepCount < stepsMax) void this.#takeStep();
    if (this.#waiting.length === 0 || this.#stepCount > 0 || this.#isScheduled) return;
    // Other requests that have arrived by now are read in the same turn.
    this.#isScheduled = true;
    afterTurn(() => {
      this.#isScheduled = false;
      if (this.#waiting.length > 0 && this.#stepCount === 0) void this.#takeStep();
    });
  }

  async #takeStep(): Promise<void> {
    const step = this.#takeWaiting();
    this.#stepCount += 1;
    try {
      const parameters = parametersOf(step.flatMap(({ groups }) => groups));
      const positions = (await callRedis(() =>
        appendEventsScript.run(this.#redis, [this.#log], parameters, this.#replicaCount),
      )) as string;
      let first = 0;
      for (const { count, resolve } of step) {
        resolve({ positions, first, count });
        first += count;
      }
    } catch (error) {
      for (const { reject } of step) reject(error);
    } finally {
      this.#stepCount -= 1;
      this.#next();
    }
  }

  /** As many as fit into a step. */
  #takeWaiting(): Waiting[] {
    let count = 0;
    let length = 0;
    let taken = 0;
    for (const next of this.#waiting) {
      count += next.count;
      length += next.length;
      if (taken > 0 && (count > eventsPerStep || length > stepLengthMax)) break;
      taken += 1;
    }
    const step = this.#waiting.splice(0, taken);
    for (const each of step) this.#waitingCount -= each.count;
    return step;
  }
}

/** The parameters of the script: lines, lineage and trace of each group. Neighbors that share both become one. */
function parametersOf(groups: readonly EventGroup[]): (string | Buffer)[] {
  const parameters: (string | Buffer)[] = [];
  for (let start = 0, end = 0; start < groups.length; start = end) {
    const { lineage, trace } = groups[start] as EventGroup;
    for (end = start + 1; end < groups.length; end++) {
      if (groups[end]?.lineage !== lineage || groups[end]?.trace !== trace) break;
    }
    const [first, ...others] = groups.slice(start, end).map(({ bytes }) => bytes) as [
      Uint8Array<ArrayBuffer>,
    ];
    const lines =
      others.length === 0
        ? Buffer.from(first.buffer, first.byteOffset, first.byteLength)
        : Buffer.concat([first, ...others]);
    parameters.push(lines, lineage, trace);
  }
  return parameters;
}
