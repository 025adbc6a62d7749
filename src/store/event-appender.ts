/** Appends events to a log. What many requests append at about the same time is one step for Redis. */

import { Buffer } from "node:buffer";
import type { LogPosition } from "../core/machine/log-entry.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { type EventGroup, eventsPerStep, stepLengthMax } from "./event-lines.ts";
import { JoinedSteps } from "./joined-steps.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const appendEventsScript = new Script(scripts.appendEvents);

export class EventAppender {
  readonly #steps: JoinedSteps<readonly EventGroup[], string>;

  /**
   * @param log the key of the stream
   * @param replicaCount how many replicas must have events before they count as appended
   */
  constructor(redis: RedisConnection, log: string, replicaCount = 0) {
    const run = async (items: readonly (readonly EventGroup[])[]) => {
      const parameters = parametersOf(items.flat());
      return (await callRedis(() =>
        appendEventsScript.run(redis, [log], parameters, replicaCount),
      )) as string;
    };
    this.#steps = new JoinedSteps(run, { countMax: eventsPerStep, lengthMax: stepLengthMax });
  }

  /**
   * Appends events in one step, all or none, after those of earlier calls.
   *
   * @param groups at most `eventsPerStep` events and about `stepLengthMax` bytes
   * @returns a function that returns the position of each event, in order
   * @throws RedisUnreachable; it is unknown then whether they were appended
   */
  async append(groups: readonly EventGroup[]): Promise<() => LogPosition[]> {
    let count = 0;
    let length = 0;
    for (const group of groups) {
      count += group.count;
      length += group.bytes.length;
    }
    const { reply, first } = await this.#steps.add(groups, { count, length });
    return () => reply.split(" ").slice(first, first + count);
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
