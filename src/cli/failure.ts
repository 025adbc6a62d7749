/** A command cannot do what it was asked to: printed as it is, without a stack, and the command ends. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: number;

  /** @param message what is wrong, and the remedy */
  constructor(message: string, exitCode = 1, options: ErrorOptions = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
