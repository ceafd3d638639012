/** What people may do at a host; each role may do what those before it may. Pure. */

/** `viewer` reads; `operator` changes nodes, configurations and faults; `admin` manages who may do what. */
export const ROLES = ["viewer", "operator", "admin"] as const;
/** One of them. */
export type Role = typeof ROLES[number];

/** Whether a text names a role. */
export function isRole(text: unknown): text is Role {
  return ROLES.includes(text as Role);
}

/** Whether who has `role` may do what needs `needed`. */
export function allows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
