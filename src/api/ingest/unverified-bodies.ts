/**
 * Bounds the memory for bodies whose signature is not checked yet: anyone can send those, and a signature can be checked
 * only once a body is complete. Runs in Node and in a Worker.
 */

import { Refusal } from "../http/refusal.ts";

/** The first part of each body is always read, so that a few that never end keep no ordinary one out. */
const freeBytes = 256 * 1024;

/** What all others together may have. */
export const unverifiedBytesMax = 256 * 1024 * 1024;

let heldBytes = 0;

/** What one request holds. */
export class UnverifiedBody {
  #ownBytes = 0;

  /** Call this before a part of the body is kept. @throws Refusal 503 */
  take(byteCount: number): void {
    const before = this.#countedBytes;
    this.#ownBytes += byteCount;
    heldBytes += this.#countedBytes - before;
    if (this.#countedBytes === 0 || heldBytes <= unverifiedBytesMax) return;
    const detail = "Too many large requests wait until their signature can be checked; try again in a moment";
    throw new Refusal(503, "unverified", { detail });
  }

  /** Call this once it is known who sent it, or that it is dropped. */
  release(): void {
    heldBytes -= this.#countedBytes;
    this.#ownBytes = 0;
  }

  get #countedBytes(): number {
    return Math.max(0, this.#ownBytes - freeBytes);
  }
}
