/**
 * Secrets that sign requests, as in the Standard Webhooks convention: the key in base64, with or without `whsec_` in
 * front; or any other text, whose bytes are the key.
 */

/** Shown in place of a secret. Sent back, it stands for the stored secret, as long as that goes where it went before. */
export const secretMask = "********";

/** For a mask that stands for nothing: in a rule file, or where no secret is stored. */
export const maskProblem = `${secretMask} is the mask of a stored secret, not a secret; write the secret itself`;

const prefix = "whsec_";

/** Some services print the version of the scheme in front. */
const written = /^(?:v1,)?whsec_/;

/** At least one byte. Padding is optional, because some services print their secrets without it. */
const base64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
/** As the official libraries read it. */
const paddedBase64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The secrets in a text: several `whsec_` secrets, separated by white space, while one replaces another; else the text. */
function secretsIn(text: string): readonly string[] {
  const parts = text.trim().split(/\s+/);
  return parts.length > 1 && parts.every((part) => written.test(part)) ? parts : [text];
}

/** What is wrong with a signing secret; null when requests can be signed with it. Never repeats the secret. */
export function signingSecretProblem(secret: string): string | null {
  if (secret === "") return "secret should not be empty";
  const isWrong = (part: string) => written.test(part) && !base64.test(part.replace(written, ""));
  if (!secretsIn(secret).some(isWrong)) return null;
  return `secret begins with ${prefix}, but what follows is not base64; copy it again, or use a secret without ${prefix}`;
}

/** The key of a secret: in base64 with its padding, or a text whose bytes are the key. */
export type SigningKey = { readonly base64: string } | { readonly text: string };

/**
 * The keys of a secret, the newest first. A sender signs with all of them, and a receiver accepts each.
 *
 * As in the official libraries, `whsec_` may be left out: base64 stands for its bytes either way. What is not base64
 * stands for its own bytes.
 *
 * @param secret in which `signingSecretProblem` finds nothing wrong
 */
export function signingKeysOf(secret: string): readonly SigningKey[] {
  return secretsIn(secret).map((part) => {
    const digits = part.replace(written, "");
    if (digits === part && !paddedBase64.test(part)) return { text: part };
    const bare = digits.replace(/={1,2}$/, "");
    return { base64: bare.padEnd(Math.ceil(bare.length / 4) * 4, "=") };
  });
}
