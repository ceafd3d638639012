/** Numbers and times as people read them. Pure. Times are shown in the time zone of the browser. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DAY_MS = 86_400_000;

/** A count: exact below 100,000, then short. */
export function count(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) < 100_000) return whole.format(value);
  if (Math.abs(value) < 1e6) return `${(value / 1e3).toFixed(0)} k`;
  if (Math.abs(value) < 1e9) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`;
  return `${(value / 1e9).toFixed(2)} G`;
}

/** A count with all its digits. */
export function exact(value) {
  return Number.isFinite(value) ? whole.format(value) : "–";
}

/** `1 node`, `2 nodes`. */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Bytes in steps of 1024. */
export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  let rest = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(rest) < 1024) {
      return `${rest.toFixed(unit === "B" || rest >= 100 ? 0 : 1)} ${unit}`;
    }
    rest /= 1024;
  }
  return `${rest.toFixed(1)} TiB`;
}

/** A measured value with about four digits that count. */
export function measure(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2);
  if (size >= 10_000) return whole.format(value);
  return value.toFixed(size >= 1_000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : 5);
}

/** How long: `14 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  if (size < 1_000) return `${Math.round(size)} ms`;
  if (size < 10_000) return `${(size / 1_000).toFixed(1)} s`;
  if (size < 60_000) return `${Math.floor(size / 1_000)} s`;
  if (size < 3_600_000) return `${Math.floor(size / 60_000)} min`;
  if (size < DAY_MS) {
    const minutes = Math.floor(size / 60_000) % 60;
    return `${Math.floor(size / 3_600_000)} h${minutes === 0 ? "" : ` ${minutes} min`}`;
  }
  const hours = Math.floor(size / 3_600_000) % 24;
  return `${Math.floor(size / DAY_MS)} d${hours === 0 || size > 30 * DAY_MS ? "" : ` ${hours} h`}`;
}

/** How long ago, for an age in ms: `now` below three seconds. */
export function ago(ms) {
  if (!Number.isFinite(ms)) return "never";
  if (ms < 3_000) return "now";
  return `${ms < 60_000 ? `${Math.floor(ms / 1_000)} s` : duration(ms)} ago`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

/** Time of day. `fraction`: with milliseconds. */
export function clock(ms, fraction = false) {
  const date = new Date(ms);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fraction ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** Day of a time, as `2026-11-24`. */
export function day(ms) {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Day and time of day. */
export function stamp(ms, fraction = false) {
  return `${day(ms)} ${clock(ms, fraction)}`;
}

/** The time of day, with the day in front where it isn't the day of `now`. */
export function shortStamp(ms, now) {
  return day(ms) === day(now) ? clock(ms) : stamp(ms);
}

/** A point in time for a `title`: absolute, with the zone and whose clock said so. */
export function titleTime(ms, whose) {
  if (!Number.isFinite(ms)) return "";
  const offset = -new Date(ms).getTimezoneOffset();
  const sign = offset < 0 ? "−" : "+";
  const zone = `UTC${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${stamp(ms, true)} ${zone}, ${whose}`;
}

/** Whose clock, in the words used everywhere. */
export const HOST_CLOCK = "host’s clock";
/** See {@linkcode HOST_CLOCK}. */
export const DEVICE_CLOCK = "device’s clock";

/** Compares names so that `pump-9` is before `pump-10`. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;

/** What an anomaly event is about: its metrics, and that it is their relation where it is. */
export function whatMoved({ metrics, relation }) {
  const names = metrics.join(", ");
  return relation ? `${names} left their usual relation` : names;
}
