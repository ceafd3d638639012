/** Requests to the host. Who has to log in is led to where that is done, and back. */

/** Leads to the page on which people log in. */
export function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
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
  if (response.status === 401) toLogin();
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
 * Changes something. Rejects with an {@linkcode ApiError}.
 * @param {"PUT" | "POST" | "DELETE"} method
 */
export function change(method, path, body) {
  const headers = { "content-type": "application/json" };
  return request(path, { method, headers, body: JSON.stringify(body ?? {}) });
}

/** Path of a node in the API. */
export function nodePath(nodeId, rest = "") {
  return `/api/nodes/${encodeURIComponent(nodeId)}${rest}`;
}
