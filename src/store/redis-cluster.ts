/**
 * A connection to a Redis Cluster that fails fast, as those to a single server do.
 *
 * Redirected commands are sent again by ioredis: MOVED, ASK, TRYAGAIN and CLUSTERDOWN say that a command has not run. One
 * that was lost with its connection is not, because it may have run.
 */

import { Cluster, type ClusterNode, type ClusterOptions, type Command } from "ioredis";

/**
 * A node that is silent may have been replaced. One that redirects has been, or its slot has moved; of a pipeline, ioredis
 * follows that only if every command of it was redirected.
 */
const staleNodes = /^(?:MOVED|CLUSTERDOWN|Command timed out)/;

export interface FailFastClusterOptions extends Omit<ClusterOptions, "redisOptions"> {
  /** Of the connections to the nodes. */
  readonly redisOptions?: Omit<NonNullable<ClusterOptions["redisOptions"]>, "replyMapping">;
  /** For how long a command may wait, for the cluster to be found as well; undefined: without a limit. */
  readonly patienceMs?: number | undefined;
}

export class FailFastCluster extends Cluster {
  readonly #patienceMs: number | undefined;
  /** Commands that wait until the nodes of the cluster are known. ioredis would let them wait forever. */
  readonly #waiting = new Set<Command>();
  #lastError: Error | null = null;

  constructor(nodes: ClusterNode[], { patienceMs, ...options }: FailFastClusterOptions) {
    super(nodes, options);
    this.#patienceMs = patienceMs;
    this.on("node error", (error: Error) => {
      this.#lastError = error;
    });
    this.on("ready", () => {
      this.#lastError = null;
    });
    this.on("close", () => this.#rejectWaiting());
    this.on("-node", () => this.#findNodes());
  }

  override sendCommand(command: Command, stream?: never, node?: unknown): unknown {
    if (command.isSettled) return command.promise; // it was rejected while it waited
    if (this.#patienceMs !== undefined) command.setTimeout(this.#patienceMs);
    if (this.status !== "ready" && this.status !== "end") this.#waiting.add(command);
    command.promise.then(
      () => this.#waiting.delete(command),
      (error: Error) => {
        this.#waiting.delete(command);
        if (staleNodes.test(error.message)) this.#findNodes();
      },
    );
    return super.sendCommand(command, stream, node);
  }

  override disconnect(reconnect = false): void {
    super.disconnect(reconnect);
    if (!reconnect) this.#rejectWaiting();
  }

  /** The same cluster over its own connections, with some options replaced. BullMQ calls it, too. */
  override duplicate(
    nodes: ClusterNode[] = [],
    { redisOptions, ...options }: FailFastClusterOptions = {},
  ): never {
    const startNodes =
      nodes.length > 0 ? nodes : (this as unknown as { startupNodes: ClusterNode[] }).startupNodes;
    return new FailFastCluster(startNodes, {
      ...this.options,
      patienceMs: this.#patienceMs,
      ...options,
      redisOptions: { ...this.options.redisOptions, ...redisOptions },
    }) as never;
  }

  #findNodes(): void {
    if (this.status === "ready") this.refreshSlotsCache();
  }

  #rejectWaiting(): void {
    const reason = this.#lastError ?? new Error("No node of the cluster is available");
    for (const command of this.#waiting) command.reject(reason);
    this.#waiting.clear();
  }
}
