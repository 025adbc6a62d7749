/** What has been started; stopped in the reverse order. */
export class Running {
  readonly #stops: (() => Promise<unknown> | undefined)[] = [];

  add(stop: () => Promise<unknown> | undefined): void {
    this.#stops.push(stop);
  }

  /** Stops all, also when one of them fails to. */
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
