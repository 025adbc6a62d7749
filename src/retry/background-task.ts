/** Work that goes on in the background, from a start until a stop. */

export abstract class BackgroundTask {
  readonly #stopping = new AbortController();
  #running: Promise<unknown> | null = null;

  /** Starts it, once. */
  start(): void {
    this.#running ??= this.run(this.#stopping.signal);
  }

  /** Stops it, and waits until it has ended. It cannot be started again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** The work. It ends soon after the signal is aborted. */
  protected abstract run(signal: AbortSignal): Promise<unknown>;
}
