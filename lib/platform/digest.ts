/** Digests as browsers and servers compare them. */
import { createHash } from "node:crypto";

/** SHA-256 of the UTF-8 bytes of `text`, in base64. */
export function sha256Base64(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
