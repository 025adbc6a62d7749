/** An API with a queue and a worker on demand, for tests of deliveries and destinations. */

import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { Tripline } from "../../../src/client/index.ts";
import { DestinationSchema, destinationIdOf } from "../../../src/core/model/destination.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { DeliveryQueue } from "../../../src/delivery/queue.ts";
import { type ActionWorker, startActionWorker } from "../../../src/delivery/worker.ts";
import type { WorkerSettings } from "../../../src/delivery/worker-settings.ts";
import { quick, recordingLogger } from "../../delivery/support-settings.ts";
import { startApi, type TestApi, type TestApiOptions } from "../support.ts";

/** Starts them for the tests of a file. Each test begins with an empty Redis. */
export function deliveriesInApi(options: TestApiOptions = { history: true }) {
  let api: TestApi;
  let queue: DeliveryQueue;
  let worker: ActionWorker | null = null;

  beforeAll(async () => {
    api = await startApi(options);
    queue = new DeliveryQueue(api.redis.url, "default");
  });
  afterEach(async () => {
    await worker?.close(0);
    worker = null;
    await api.connection.flushall();
  });
  afterAll(async () => {
    await queue?.close();
    await api?.stop();
  });

  return {
    api: () => api,
    queue: () => queue,
    client: () => new Tripline({ url: `${api.url}/api` }),
    work(settings: Partial<WorkerSettings> = {}): void {
      worker = startActionWorker({
        redisUrl: api.redis.url,
        workspace: "default",
        log: api.log,
        logger: recordingLogger(),
        settings: { ...quick, ...settings },
      });
    },
    /** Stores a destination, by default one named ops. @returns its id */
    async putDestination(fields: Record<string, unknown>): Promise<string> {
      const definition = DestinationSchema.parse({ name: "ops", ...fields });
      const id = destinationIdOf("default", definition.name);
      const updated = Date.now() * millisecond;
      await api.log.destinations.put([{ id, definition, source: { kind: "api" }, created: 0, updated }]);
      return id;
    },
    /** Resolves once a delivery is in a state. */
    async reached(id: string, state: string): Promise<void> {
      await expect.poll(async () => (await queue.delivery(id))?.state, { timeout: 10_000 }).toBe(state);
    },
  };
}
