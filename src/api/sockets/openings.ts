/** Bounds the connections whose peers have not said yet who they are: anyone can open those. */

import type { IncomingMessage } from "node:http";
import { Refusal } from "../http/refusal.ts";

export interface OpeningsMax {
  readonly total: number;
  readonly perAddress: number;
}

/**
 * How many peers may be connected that have not said yet who they are; in all, and from one address. A proxy in front
 * makes all addresses one, unless it says where requests come from.
 */
const openingsMaxDefault: OpeningsMax = { total: 1_000, perAddress: 100 };

interface OpeningsOptions {
  readonly openingsMax?: OpeningsMax;
  readonly trustProxy?: boolean;
}

/** Counts the connections whose peers are not admitted yet. */
export class Openings {
  readonly #max: OpeningsMax;
  readonly #trustProxy: boolean;
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor({ openingsMax = openingsMaxDefault, trustProxy = false }: OpeningsOptions) {
    this.#max = openingsMax;
    this.#trustProxy = trustProxy;
  }

  /** @returns what to call once the peer is admitted or gone; again it does nothing. @throws Refusal 503 */
  enter(request: IncomingMessage): () => void {
    const address = addressOf(request, this.#trustProxy);
    const count = this.#counts.get(address) ?? 0;
    if (this.#total >= this.#max.total || count >= this.#max.perAddress) {
      const detail = "Too many connections wait for authentication; try again in a moment";
      throw new Refusal(503, "openings", { detail });
    }
    this.#total += 1;
    this.#counts.set(address, count + 1);
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#total -= 1;
      const left = (this.#counts.get(address) ?? 1) - 1;
      if (left === 0) this.#counts.delete(address);
      else this.#counts.set(address, left);
    };
  }
}

/** The address that a connection comes from; behind a proxy, the one that the proxy saw. */
function addressOf({ headers, socket }: IncomingMessage, trustProxy: boolean): string {
  const forwarded = trustProxy ? String(headers["x-forwarded-for"] ?? "") : "";
  return forwarded.split(",").at(-1)?.trim() || (socket.remoteAddress ?? "");
}
