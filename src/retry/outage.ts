/**
 * Something outside the program is unavailable: waiting may help, and nothing in the program is wrong.
 *
 * Any other error is a *fault*, of the program or of its input.
 */
export class Outage extends Error {
  override readonly name: string = "Outage";
}
