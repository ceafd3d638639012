import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { World } from "../sim/world.ts";

const POINTS = 2_000;

Deno.test(`${POINTS} random crash points on a node's directory: it always starts, and every seq is accounted for`, async () => {
  const random = seededRandom(2_026);
  for (let done = 0, seed = 1; done < POINTS; seed++) {
    const world = new World(seed, 4, { sample_hz: 5, ring_records: 256, wal_bytes_max: 262_144 });
    await world.startHost();
    for (const device of world.devices) await world.startNode(device);
    for (let round = 0; round < 12; round++) {
      for (const device of world.devices) {
        await world.run(random.below(2_000) / 1_000);
        const how = (["kill", "power", "cut", "flip"] as const)[random.below(4)]!;
        world.crashNode(device, how !== "kill");
        const names = await device.walDisk.list();
        const name = names[random.below(names.length)];
        const size = name === undefined ? 0 : device.walDisk.sizeOf(name);
        if (name !== undefined && size > 0 && (how === "cut" || how === "flip")) {
          device.mayLose = true;
          device.walDisk.damage(name, how, random.below(how === "cut" ? size : 8 * size));
        }
        await world.startNode(device);
        done++;
      }
    }
    await world.heal(180);
    world.check();
    world.stop();
  }
});
