/** What seals and opens stored secrets in this process. */

import { SecretBox, SecretKeyInvalid } from "../store/secret-box.ts";
import { CommandFailure } from "./failure.ts";

/** The box of this process's environment. @throws CommandFailure if the keys in it are not keys */
export function boxHere(): SecretBox {
  try {
    return SecretBox.of(process.env["TRIPLINE_SECRET_KEY"]);
  } catch (error) {
    if (!(error instanceof SecretKeyInvalid)) throw error;
    throw new CommandFailure(`${error.message}.`, 2, { cause: error });
  }
}
