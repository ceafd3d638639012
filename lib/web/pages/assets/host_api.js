/** Requests to the host. The token is kept in memory only: it is gone with the page. */

let token = "";
/** @type {((reason: string) => Promise<string | undefined>) | undefined} */
let askForToken;

/** Says how the operator is asked for a token; `undefined` from it means 'no'. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** What the host refused, with its own words. */
export class ApiError extends Error {
  /** @param {number} status 0 where the host wasn't reached */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "the host can’t be reached");
  }
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (!response.ok) {
    throw new ApiError(response.status, body?.error ?? `the host answered ${response.status}`);
  }
  return body;
}

/** Reads; rejects with an {@linkcode ApiError}. */
export function getJson(path, signal) {
  return request(path, { signal });
}

/**
 * Changes something, and asks for a token where the host wants one. Rejects with an {@linkcode ApiError}.
 * @param {"PUT" | "POST" | "DELETE"} method
 */
export async function change(method, path, body) {
  for (let attempt = 0;; attempt++) {
    const headers = { "content-type": "application/json" };
    if (token !== "") headers.authorization = `Bearer ${token}`;
    try {
      return await request(path, { method, headers, body: JSON.stringify(body ?? {}) });
    } catch (error) {
      const isDenied = error.status === 401 || error.status === 403;
      if (!isDenied || attempt >= 3 || askForToken === undefined) throw error;
      const given = await askForToken(error.message);
      if (given === undefined) throw error;
      token = given;
    }
  }
}

/** Whether a token was given already. */
export function hasToken() {
  return token !== "";
}

/** Path of a node in the API. */
export function nodePath(nodeId, rest = "") {
  return `/api/nodes/${encodeURIComponent(nodeId)}${rest}`;
}
