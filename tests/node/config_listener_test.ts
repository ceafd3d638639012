import { assertEquals, assertRejects } from "@std/assert";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import { ConfigListener } from "../../lib/node/config_listener.ts";
import { SimDisk } from "../sim/disk.ts";

const DEFAULTS = Object.fromEntries(
  Object.entries(NODE_SETTINGS).map(([name, setting]) => [name, setting.default]),
) as unknown as NodeSettings;

Deno.test("ConfigListener: settings that the node can't use are not in force after a reload", async () => {
  const listener = await ConfigListener.load(new SimDisk(), { ...DEFAULTS, sample_hz: 1 });
  listener.onApply(() => Promise.reject(new Error("no such sensor")));
  await assertRejects(() => listener.reload({ ...DEFAULTS, sample_hz: 99 }));
  assertEquals(listener.settings.sample_hz, 1);
});

Deno.test("ConfigListener: a configuration is whole: what it doesn't name is as the node was started", async () => {
  const listener = await ConfigListener.load(new SimDisk(), { ...DEFAULTS, sample_hz: 1 });
  const applied: NodeSettings[] = [];
  listener.onApply((settings) => {
    applied.push(settings);
    return Promise.resolve();
  });
  await listener.receive({ cfg_version: 1, config: { sample_hz: 20 } });
  await listener.receive({ cfg_version: 2, config: { send_interval_ms: 7 } });
  assertEquals(applied.map(({ sample_hz }) => sample_hz), [20, 1]);
  assertEquals(listener.settings.sample_hz, 1);
});
