/**
 * Memory-backed storage for what need only outlive a process: a directory of ours alone on a tmpfs. Others may write
 * beside it (`/dev/shm` is everybody's), so it is made by us with nobody else's rights, or it is not used.
 */
import { diskAt } from "./deno_disk.ts";
import { type Disk, DiskError } from "./platform.ts";

/** File systems that live in memory. */
const IN_MEMORY = ["tmpfs", "ramfs"];

/** Where memory-backed storage may be, best first: a service's own, a user's, the machine's. */
function usualPlaces(): string[] {
  const service = Deno.env.get("RUNTIME_DIRECTORY")?.split(":")[0] ?? "";
  return [service, `/run/user/${Deno.uid()}`, "/dev/shm"].filter((path) => path !== "");
}

/** Whether a directory is on a file system in memory; false where that can't be told. */
function isInMemory(path: string): boolean {
  try {
    const real = Deno.realPathSync(path);
    const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n")
      .map((line) => line.split(" ") as [string, string, string])
      .filter(([, at]) => at === "/" || real === at || real.startsWith(`${at}/`));
    const [, , type] = mounts.sort((a, b) => b[1].length - a[1].length)[0] ?? [];
    return type !== undefined && IN_MEMORY.includes(type);
  } catch {
    return false;
  }
}

/** Why a directory must not be used, or `undefined`. It is ours, no link, and nobody else may enter. */
function problemWith(path: string): string | undefined {
  const { isDirectory, uid, mode } = Deno.lstatSync(path);
  if (!isDirectory) return `${path} is not a directory`;
  if (uid !== Deno.uid()) return `${path} belongs to another user`;
  return (mode! & 0o077) === 0 ? undefined : `others may enter ${path}`;
}

/** Memory-backed storage, and where it is. */
export interface MemoryDisk {
  readonly disk: Disk;
  /** Path of the directory; `undefined` while there is none. */
  readonly place: string | undefined;
}

/**
 * A directory that belongs to the data directory `data`, which must be there, and to nobody else: in one of the
 * usual places that are on a tmpfs (`auto`), or in the directory named. It is looked for and made at each `list`,
 * so that one that was removed can come back; one that holds something is preferred, as a place may come and go.
 * `undefined` for `off`, and where `data` isn't there.
 */
export function memoryDiskFor(setting: string, data: string): MemoryDisk | undefined {
  if (setting === "off") return undefined;
  let name: string;
  try {
    // The same for every path and name that leads there, and another for every other directory of this machine.
    const { dev, ino } = Deno.statSync(data);
    name = `holdfast-${dev}-${ino}`;
  } catch {
    return undefined;
  }
  let at: { readonly path: string; readonly disk: Disk } | undefined;
  const get = (): Disk => {
    if (at !== undefined) return at.disk;
    throw new DiskError("gone", "there is no memory-backed storage");
  };
  const disk: Disk = {
    list: async () => {
      const path = claim(setting === "auto" ? usualPlaces().filter(isInMemory) : [setting], name);
      if (at?.path !== path) at = { path, disk: diskAt(path, 0o600) };
      return await at.disk.list();
    },
    sizeOf: async (file) => await get().sizeOf(file),
    open: async (file, writable) => await get().open(file, writable),
    create: (file) => get().create(file),
    rename: async (from, to) => await get().rename(from, to),
    remove: async (file) => await get().remove(file),
    syncDir: async () => await get().syncDir(),
    freeBytes: async () => await at?.disk.freeBytes(),
  };
  return {
    disk,
    get place() {
      return at?.path;
    },
  };
}

/** The directory `name` in the first of the places where it can be used. Throws `DiskError`. */
function claim(places: readonly string[], name: string): string {
  const paths = places.map((place) => `${place}/${name}`);
  const problems: string[] = [];
  for (const path of [...paths.filter(holdsSomething), ...paths]) {
    try {
      Deno.mkdirSync(path, { mode: 0o700 });
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        problems.push(`${path}: ${(error as Error).message}`);
        continue;
      }
    }
    const problem = problemWith(path);
    if (problem === undefined) return path;
    problems.push(problem);
  }
  const reason = problems[0] ?? "no directory on a tmpfs was found";
  throw new DiskError("gone", `no memory-backed storage: ${reason}`);
}

function holdsSomething(path: string): boolean {
  try {
    return problemWith(path) === undefined &&
      !Deno.readDirSync(path)[Symbol.iterator]().next().done;
  } catch {
    return false;
  }
}
