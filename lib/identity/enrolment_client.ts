/** The device's side of an enrolment: one line there, one line back. Talks to a Transport. */
import type { Transport } from "../platform/platform.ts";
import {
  encodeEnrolment,
  type Enroll,
  type Enrolled,
  parseEnrolled,
} from "../protocol/enrolment.ts";

/** The longest answer: two certificates and what stands around them. */
const ANSWER_BYTES_MAX = 32_768;

/**
 * Asks a host for the authority, or for a certificate. Rejects with one line where it says no, or says something else;
 * `signal` ends it.
 */
export async function ask(
  transport: Transport,
  address: string,
  request: Omit<Enroll, "type">,
  signal: AbortSignal,
): Promise<Enrolled> {
  const connection = await transport.connect(address, signal);
  const stop = () => connection.close();
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    await connection.write(encodeEnrolment({ type: "enroll", ...request }));
    const parsed = parseEnrolled(await firstLine(connection, address));
    if (!parsed.ok) throw new Error(`${address} answers no host's answer: ${parsed.error}`);
    const { message } = parsed;
    if (message.type === "error") throw new Error(`${address} says ${message.message}`);
    return message;
  } finally {
    signal.removeEventListener("abort", stop);
    connection.close();
  }
}

async function firstLine(
  connection: { read(): Promise<Uint8Array | undefined> },
  address: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const chunk = await connection.read();
    if (chunk === undefined) throw new Error(`${address} closed the connection without an answer`);
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_BYTES_MAX) throw new Error(`${address} answers too much`);
  }
  return text.slice(0, text.indexOf("\n"));
}
