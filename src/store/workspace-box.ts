/** Which parts of what a workspace stores are secrets, and how they are sealed and opened. */

import type { Automation } from "../core/model/automation.ts";
import { type Destination, destinationSecrets, withSecrets } from "../core/model/destination.ts";
import type { Hook } from "../core/model/hook.ts";
import type { SecretBox, SecretPlace } from "./secret-box.ts";

/** What becomes of each secret. */
export type SecretChange = (text: string, place: SecretPlace) => string;

/**
 * The secrets of one workspace.
 *
 * What is opened for reading keeps secrets that no key opens sealed, so that they are listed, masked, and written back as
 * they were. What is about to use a secret requires it.
 */
export class WorkspaceBox {
  readonly #workspace: string;
  readonly #seal: SecretChange;
  readonly #open: SecretChange;
  readonly #require: SecretChange;

  constructor(box: SecretBox, workspace: string) {
    this.#workspace = workspace;
    this.#seal = (text, place) => box.seal(text, place);
    this.#open = (text, place) => box.openIfReadable(text, place);
    this.#require = (text, place) => box.open(text, place);
  }

  sealAutomation(automation: Automation): Automation {
    return this.changeAutomation(automation, this.#seal);
  }

  openAutomation(automation: Automation): Automation {
    return this.changeAutomation(automation, this.#open);
  }

  /** The values of an automation's secrets. @throws SecretUnreadable */
  requireSecrets(
    automationId: string,
    secrets: Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>> {
    return this.changeSecrets(automationId, secrets, this.#require);
  }

  sealDestination(destination: Destination): Destination {
    return this.changeDestination(destination, this.#seal);
  }

  openDestination(destination: Destination): Destination {
    return this.changeDestination(destination, this.#open);
  }

  /** @param destination opened for reading @throws SecretUnreadable unless all its secrets are open */
  requireDestination(destination: Destination): void {
    for (const { path, value } of destinationSecrets(destination.definition)) {
      this.#require(value, this.#place("destination", destination.id, path.join(".")));
    }
  }

  sealHook(hook: Hook): Hook {
    return this.changeHook(hook, this.#seal);
  }

  openHook(hook: Hook): Hook {
    return this.changeHook(hook, this.#open);
  }

  /** @throws SecretUnreadable */
  requireHook(hook: Hook): Hook {
    return this.changeHook(hook, this.#require);
  }

  sealOwn(purpose: string, secret: string): string {
    return this.#seal(secret, this.ownPlace(purpose));
  }

  /** @throws SecretUnreadable */
  requireOwn(purpose: string, stored: string): string {
    return this.#require(stored, this.ownPlace(purpose));
  }

  changeAutomation(automation: Automation, change: SecretChange): Automation {
    return { ...automation, secrets: this.changeSecrets(automation.id, automation.secrets, change) };
  }

  changeSecrets(
    automationId: string,
    secrets: Readonly<Record<string, string>>,
    change: SecretChange,
  ): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(secrets).map(([name, text]) => [
        name,
        change(text, this.#place("automation", automationId, name)),
      ]),
    );
  }

  changeDestination(destination: Destination, change: SecretChange): Destination {
    const definition = withSecrets(destination.definition, ({ path, value }) =>
      change(value, this.#place("destination", destination.id, path.join("."))),
    );
    return { ...destination, definition };
  }

  changeHook(hook: Hook, change: SecretChange): Hook {
    const { signature } = hook;
    if (signature === undefined) return hook;
    const secret = change(signature.secret, this.#place("hook", hook.name, "signature"));
    return { ...hook, signature: { ...signature, secret } };
  }

  ownPlace(purpose: string): SecretPlace {
    return this.#place("workspace", "", purpose);
  }

  #place(kind: SecretPlace["kind"], owner: string, name: string): SecretPlace {
    return { workspace: this.#workspace, kind, owner, name };
  }
}
