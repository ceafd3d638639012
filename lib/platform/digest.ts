/** Digests as browsers and servers compare them. */
import { createHash } from "node:crypto";

/** SHA-256 of the UTF-8 bytes of `text`, written as `encoding`. */
export function sha256(text: string, encoding: "base64" | "hex"): string {
  return createHash("sha256").update(text).digest(encoding);
}
