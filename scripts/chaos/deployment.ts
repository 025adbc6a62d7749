/** A whole deployment: Redis, processes in roles, receivers. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { type AcceptedDelivery, Receiver } from "./receivers.ts";
import { type ReceiverName, receiverNames, rulesFor } from "./rules.ts";
import { ServerProcess } from "./server-process.ts";
import { type ChaosStore, type StoreKind, startStore } from "./store.ts";

export const roles = ["api", "engine", "actions", "recorder"] as const;

export type ChaosRole = (typeof roles)[number];

export interface DeploymentOptions {
  readonly folder: string;
  readonly redis: StoreKind;
  readonly counts: Readonly<Record<ChaosRole, number>>;
  readonly shardCount: number;
  readonly onAccepted: (delivery: AcceptedDelivery) => void;
  readonly onRefused: () => void;
  readonly onCrash: (name: string, how: string) => void;
}

/** How long the leases of engines and workers last: short, so that a run sees many of them end. */
export const leaseMs = 5_000;
export const workerDeadMs = 8_000;

export class Deployment {
  readonly store: ChaosStore;
  readonly receivers: ReadonlyMap<ReceiverName, Receiver>;
  readonly processes: ReadonlyMap<ChaosRole, readonly ServerProcess[]>;
  /** Such as `http://127.0.0.1:4200/api`, one for each process with the role api. */
  readonly apis: readonly string[];

  private constructor(
    store: ChaosStore,
    receivers: ReadonlyMap<ReceiverName, Receiver>,
    processes: ReadonlyMap<ChaosRole, readonly ServerProcess[]>,
    apis: readonly string[],
  ) {
    this.store = store;
    this.receivers = receivers;
    this.processes = processes;
    this.apis = apis;
  }

  /** @param started is given each part as soon as it exists, so that a run that is interrupted leaves nothing behind */
  static async start(
    options: DeploymentOptions,
    started: (stop: () => unknown) => void,
  ): Promise<Deployment> {
    const { folder, counts } = options;
    await mkdir(folder, { recursive: true });
    const store = await startStore(options.redis);
    started(() => store.stop());
    const receivers = new Map<ReceiverName, Receiver>();
    for (const name of receiverNames) {
      const on = { accepted: options.onAccepted, refused: options.onRefused };
      const receiver = await Receiver.start(name, on);
      started(() => receiver.stop());
      receivers.set(name, receiver);
    }
    const rules = join(folder, "rules.yaml");
    const urls = Object.fromEntries([...receivers].map(([name, { url }]) => [name, url]));
    await writeFile(rules, rulesFor(urls as Record<ReceiverName, string>));

    const apis: string[] = [];
    const processes = new Map<ChaosRole, ServerProcess[]>();
    for (const role of roles) {
      const ofRole: ServerProcess[] = [];
      processes.set(role, ofRole);
      for (let index = 0; index < counts[role]; index += 1) {
        const name = `${role}-${index + 1}`;
        const words = [
          ...["--roles", role, "--redis", await store.urlFor(name)],
          ...["--history-url", `sqlite:${join(folder, "history.sqlite")}`],
          ...["--shards", String(options.shardCount), "--lease", `${leaseMs / 1_000}s`],
          ...["--worker-dead-after", `${workerDeadMs / 1_000}s`, "--allow-private-addresses", "loopback"],
          ...["--canary", "0", "--api-threads", "1", "--engine-threads", "1"],
        ];
        if (role === "api") {
          const port = await freePort();
          words.push("--port", String(port));
          // The rules of a workspace belong to one process.
          if (index === 0) words.push("--rules", rules);
          apis.push(`http://127.0.0.1:${port}/api`);
        }
        const server = new ServerProcess({ name, words, folder, onCrash: options.onCrash });
        started(() => server.destroy());
        ofRole.push(server);
      }
    }
    const [first, ...others] = [...processes.values()].flat();
    // The first creates the workspace.
    first?.start();
    await first?.running();
    for (const server of others) server.start();
    await Promise.all(others.map((server) => server.running()));
    return new Deployment(store, receivers, processes, apis);
  }

  ofRole(role: ChaosRole): readonly ServerProcess[] {
    return this.processes.get(role) ?? [];
  }

  all(): readonly ServerProcess[] {
    return [...this.processes.values()].flat();
  }
}
