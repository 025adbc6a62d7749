/**
 * Something outside the program is unavailable. Waiting may help; the program itself is not at fault.
 *
 * Every other error is a *fault* in the program or its input.
 */
export class Outage extends Error {
  override readonly name: string = "Outage";
}
