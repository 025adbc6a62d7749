/**
 * Secrets at rest: AES-256-GCM under keys from the environment, so that a copy of Redis does not give them away.
 *
 * A sealed secret is a text, `enc:1:<key id>:<iv, ciphertext and tag in base64url>`. It is bound to its place: copied
 * to another automation or workspace, it does not open. Plain texts stay readable, so a key can be introduced at any
 * time.
 */

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** Where a secret is stored. */
export interface SecretPlace {
  readonly workspace: string;
  readonly kind: "automation" | "destination" | "hook" | "workspace";
  /** The automation's id, the destination's id, the hook's name; for the workspace, empty. */
  readonly owner: string;
  /** Which of the owner's secrets. */
  readonly name: string;
}

/** How a stored text is protected; `current`: by the key that seals. */
export type SecretState = "plain" | "current" | "older" | "unreadable";

/** The keys in the environment are not keys. The message never repeats them. */
export class SecretKeyInvalid extends Error {
  override readonly name = "SecretKeyInvalid";
}

/** A stored secret is sealed, and no key opens it. The message says which key is missing. */
export class SecretUnreadable extends Error {
  override readonly name = "SecretUnreadable";
}

const keyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const cipher = "aes-256-gcm";

/** The text of a sealed secret: at least an iv and a tag. */
const sealedForm = /^enc:1:([0-9a-f]{8}):([A-Za-z0-9_-]{38,})$/;
const hexForm = /^[0-9a-fA-F]{64}$/;
const base64Form = /^[A-Za-z0-9+/_-]{43}=?$/;

const variable = "TRIPLINE_SECRET_KEY";
const remedy = "make one with: openssl rand -base64 32";

export class SecretBox {
  /** Seals with the first, opens with all; by id. */
  readonly #keys: ReadonlyMap<string, Buffer>;

  private constructor(keys: readonly Buffer[]) {
    this.#keys = new Map(keys.map((key) => [idOf(key), key]));
  }

  /**
   * @param text keys separated by white space or commas, each 32 bytes in base64 or 64 hexadecimal digits; empty or left
   *   out: secrets are stored as they are
   * @throws SecretKeyInvalid
   */
  static of(text = ""): SecretBox {
    const words = text.split(/[\s,]/).filter((word) => word !== "");
    return new SecretBox(
      words.map((word, index) => {
        const key = hexForm.test(word) ? Buffer.from(word, "hex") : Buffer.from(word, "base64");
        if (hexForm.test(word) || (base64Form.test(word) && key.length === keyBytes)) return key;
        const which = words.length === 1 ? "" : `, key ${index + 1} of ${words.length},`;
        throw new SecretKeyInvalid(
          `${variable}${which} should be 32 bytes in base64, or 64 hexadecimal digits; ${remedy}`,
        );
      }),
    );
  }

  /** The ids of the keys, the one that seals first. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** Without a key, and for a text that is sealed already, the text as it is. */
  seal(text: string, place: SecretPlace): string {
    const [first] = this.#keys;
    if (first === undefined || this.#isSealed(text, place)) return text;
    const [id, key] = first;
    const iv = randomBytes(ivBytes);
    const sealing = createCipheriv(cipher, key, iv, { authTagLength: tagBytes }).setAAD(placeBytes(place));
    const sealed = Buffer.concat([iv, sealing.update(text, "utf8"), sealing.final(), sealing.getAuthTag()]);
    return `enc:1:${id}:${sealed.toString("base64url")}`;
  }

  /**
   * The secret; a plain text as it is.
   *
   * @throws SecretUnreadable
   */
  open(text: string, place: SecretPlace): string {
    const [, id = "", content = ""] = sealedForm.exec(text) ?? [];
    if (id === "") return text;
    const key = this.#keys.get(id);
    if (key === undefined) {
      const found = this.#keys.size === 0 ? "is not set" : `has only ${this.keyIds.join(", ")}`;
      throw new SecretUnreadable(
        `a stored secret is encrypted with the key ${id}, but ${variable} ${found}; add that key to it`,
      );
    }
    const bytes = Buffer.from(content, "base64url");
    const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
      .setAAD(placeBytes(place))
      .setAuthTag(bytes.subarray(-tagBytes));
    try {
      const opened = [opening.update(bytes.subarray(ivBytes, -tagBytes)), opening.final()];
      return Buffer.concat(opened).toString("utf8");
    } catch (error) {
      throw new SecretUnreadable(
        `a stored secret does not open with its key ${id} in ${variable}: it was changed or moved; set it again`,
        { cause: error },
      );
    }
  }

  /** The secret; a sealed text that no key opens as it is, so that it survives being read and written. */
  openIfReadable(text: string, place: SecretPlace): string {
    try {
      return this.open(text, place);
    } catch (error) {
      if (error instanceof SecretUnreadable) return text;
      throw error;
    }
  }

  /** Sealed with the first key. Without a key, or if no key opens it, the text as it is. */
  reseal(text: string, place: SecretPlace): string {
    const state = this.stateOf(text, place);
    return state === "older" || state === "plain" ? this.seal(this.open(text, place), place) : text;
  }

  stateOf(text: string, place: SecretPlace): SecretState {
    const id = sealedForm.exec(text)?.[1];
    if (id === undefined) return "plain";
    try {
      this.open(text, place);
    } catch (error) {
      if (error instanceof SecretUnreadable) return "unreadable";
      throw error;
    }
    return id === this.keyIds[0] ? "current" : "older";
  }

  /** Of unknown keys, whatever has the form: it may have been read without its key. */
  #isSealed(text: string, place: SecretPlace): boolean {
    const id = sealedForm.exec(text)?.[1];
    return id !== undefined && (!this.#keys.has(id) || this.stateOf(text, place) !== "unreadable");
  }
}

/** Tells keys apart, without giving anything of them away. */
function idOf(key: Buffer): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 8);
}

function placeBytes({ workspace, kind, owner, name }: SecretPlace): Buffer {
  return Buffer.from(JSON.stringify([workspace, kind, owner, name]));
}
