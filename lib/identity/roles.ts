/** What people may do at a host; each role may do what those before it may. Pure. */

/** `viewer` reads; `operator` changes nodes, configurations and faults; `admin` manages who may do what. */
export const ROLES = ["viewer", "operator", "admin"] as const;
/** One of them. */
export type Role = typeof ROLES[number];

/** What a token may be for: a person, or a node that proves by it who it is on the link and may do nothing else. */
export const TOKEN_ROLES = ["node", ...ROLES] as const;
/** One of them. */
export type TokenRole = typeof TOKEN_ROLES[number];

/** Whether a text names a role of people. */
export function isRole(text: unknown): text is Role {
  return ROLES.includes(text as Role);
}

/** Whether a text names what a token may be for. */
export function isTokenRole(text: unknown): text is TokenRole {
  return TOKEN_ROLES.includes(text as TokenRole);
}

/** Whether who has `role` may do what needs `needed`. */
export function allows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
