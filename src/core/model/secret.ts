/**
 * Secrets that sign requests, as in the Standard Webhooks convention: `whsec_` followed by the key in base64, or any
 * other text, whose bytes are the key.
 */

/** Shown in place of a secret. Sent back, it stands for the stored secret, as long as that goes where it went before. */
export const secretMask = "********";

/** For a mask that stands for nothing: in a rule file, or where no secret is stored. */
export const maskProblem = `${secretMask} is the mask of a stored secret, not a secret; write the secret itself`;

const prefix = "whsec_";

/** At least one byte. Padding is optional, because some services print their secrets without it. */
const base64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** What is wrong with a signing secret; null when requests can be signed with it. Never repeats the secret. */
export function signingSecretProblem(secret: string): string | null {
  if (secret === "") return "secret should not be empty";
  if (!secret.startsWith(prefix) || base64.test(secret.slice(prefix.length))) return null;
  return "secret begins with whsec_, but what follows is not base64; copy it again, or use a secret without whsec_";
}

/**
 * The key of a valid `whsec_` secret, in base64 with its padding; null when the secret's own bytes are the key.
 *
 * @param secret in which `signingSecretProblem` finds nothing wrong
 */
export function encodedKeyOf(secret: string): string | null {
  if (!secret.startsWith(prefix)) return null;
  const digits = secret.slice(prefix.length).replace(/={1,2}$/, "");
  return digits.padEnd(Math.ceil(digits.length / 4) * 4, "=");
}
