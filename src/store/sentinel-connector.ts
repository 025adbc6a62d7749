/**
 * Finds the master of a Redis by its Sentinels.
 *
 * Each Sentinel is asked once per attempt to connect. If none knows, the attempt has failed, as if a server had refused
 * it, and commands that wait for it are rejected. (ioredis alone would ask again and let them wait, or give up forever.)
 */

import { Socket } from "node:net";
import { SentinelConnector } from "ioredis";

type ConnectorOptions = ConstructorParameters<typeof SentinelConnector>[0];
type ErrorEmitter = Parameters<SentinelConnector["connect"]>[0];

/** How long to wait for one Sentinel. Several may be down, and commands wait no longer than five seconds for all. */
const sentinelTimeoutMs = 1_000;

export class MasterFinder extends SentinelConnector {
  constructor(options: unknown) {
    super({
      ...(options as ConnectorOptions),
      connectTimeout: sentinelTimeoutMs,
      sentinelCommandTimeout: sentinelTimeoutMs,
      sentinelRetryStrategy: () => null,
    });
  }

  override async connect(emit: ErrorEmitter): ReturnType<SentinelConnector["connect"]> {
    const problems: Error[] = [];
    try {
      return await super.connect((type, error) => {
        if (type === "sentinelError") problems.push(error);
        else emit(type, error);
      });
    } catch (error) {
      if (!this.connecting) throw error;
      this.firstError = this.#problemOf(problems);
      const failed = new Socket();
      failed.destroy();
      return failed;
    }
  }

  /** Why no Sentinel names a master. That one does not know its name says more than that others do not answer. */
  #problemOf(problems: readonly Error[]): Error {
    const name = this.options.name ?? "";
    if (problems.some(({ message }) => /invalid reply: null$|No such master/.test(message))) {
      return new Error(`The Sentinels know no master named ${name}`);
    }
    const [first] = problems;
    return new Error(first === undefined ? "No Sentinel answers" : `No Sentinel answers: ${first.message}`);
  }
}
