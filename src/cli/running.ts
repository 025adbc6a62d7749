/** The started parts of a server. They are stopped in reverse order. */
export class Running {
  readonly #stops: (() => Promise<unknown> | undefined)[] = [];

  add(stop: () => Promise<unknown> | undefined): void {
    this.#stops.push(stop);
  }

  /** Stops every part, even if one of them fails to stop. */
  async stop(): Promise<void> {
    const stop = this.#stops.pop();
    if (stop === undefined) return;
    try {
      await stop();
    } finally {
      await this.stop();
    }
  }
}
