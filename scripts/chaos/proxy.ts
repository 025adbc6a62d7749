/** A TCP proxy that fails on request: what stands between one process and its Redis. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type ProxyFault =
  /** Every chunk arrives this much later. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Connections stay open and new ones are accepted, but bytes in these directions stay on the way until it ends. */
  | { readonly kind: "half-open"; readonly requests: boolean; readonly answers: boolean }
  /** No one listens, and every connection is reset. */
  | { readonly kind: "refuse" };

type Direction = "requests" | "answers";

export class FaultyProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #fault: ProxyFault | null = null;
  #ended = Promise.withResolvers<void>();

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#join(client, targetPort));
  }

  static async start(targetPort: number): Promise<FaultyProxy> {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultyProxy(server, targetPort);
  }

  async begin(fault: ProxyFault): Promise<void> {
    this.#fault = fault;
    if (fault.kind !== "refuse") return;
    this.#server.close();
    this.cut();
  }

  /**
   * Ends the fault. What a half-open connection held back is delivered now, as TCP does after a partition, even if the
   * process that sent it is dead.
   *
   * @param options.cut resets the connections instead, and nothing that was held back arrives
   */
  async end(options: { readonly cut: boolean } = { cut: false }): Promise<void> {
    const fault = this.#fault;
    this.#fault = null;
    if (options.cut) this.cut();
    this.#ended.resolve();
    this.#ended = Promise.withResolvers();
    if (fault?.kind !== "refuse") return;
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop(): void {
    this.#server.close();
    this.cut();
    this.#ended.resolve();
  }

  #join(client: Socket, targetPort: number): void {
    const server = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, server]) {
      this.#sockets.add(socket.setNoDelay(true));
      socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
    }
    this.#pass(client, server, "requests");
    this.#pass(server, client, "answers");
  }

  #pass(from: Socket, to: Socket, direction: Direction): void {
    let passed = Promise.resolve();
    const later = (step: () => void) => {
      const arrived = performance.now();
      passed = passed.then(async () => {
        if (this.#fault?.kind === "delay") await pauseUntil(arrived + this.#fault.ms);
        while (this.#fault?.kind === "half-open" && this.#fault[direction]) await this.#ended.promise;
        step();
      });
    };
    from.on("data", (chunk) => later(() => void to.write(chunk)));
    from.once("end", () => later(() => to.end()));
    from.once("close", () => later(() => to.destroy()));
  }
}

function pauseUntil(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
}
