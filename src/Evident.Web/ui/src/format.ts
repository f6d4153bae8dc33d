// Numbers, times and words as people read them. Pure: the clock and the zone are arguments.

/** RFC 3339 with up to 9 fraction digits to milliseconds since 1970, fraction kept (about a quarter of a microsecond). NaN when malformed. */
export function parseTime(text: string): number {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!m) return NaN;
  return Date.parse(m[1]! + m[3]!) + (m[2] ? Number(m[2]) * 1000 : 0);
}

const two = (n: number) => String(n).padStart(2, '0');

/** 842 ms, 3.4 s, 2 m 10 s, 1 h 05 m, 2 d 03 h. Never "1000 ms" or "60.0 s". */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return '0 ms';
  if (ms < 0.9995) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 9.95) return `${trimZero(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.round(ms / 3_600_000);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

const trimZero = (text: string) => text.replace(/\.0$/, '');

/** 4.2 kB: decimal units, as disks and the API count. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let u = 0;
  let v = n;
  while (u < units.length - 1 && (u === 0 ? v >= 1000 : v >= 999.5)) { v /= 1000; u++; }
  if (u === 0) return `${n} B`;
  return `${v < 9.95 ? trimZero(v.toFixed(1)) : Math.round(v)} ${units[u]}`;
}

/** 950, 5.2 k, 48 k, 1.3 M. */
export function count(n: number): string {
  if (n < 1000) return String(n);
  if (n < 9950) return `${trimZero((n / 1000).toFixed(1))} k`;
  if (n < 999_500) return `${Math.round(n / 1000)} k`;
  return `${trimZero((n / 1_000_000).toFixed(1))} M`;
}

/** 1204 as 1,204: for sequence numbers and exact totals. */
export const exact = (n: number) => n.toLocaleString('en-US');

/** Dollars to the digit that matters: $12.40, $0.31, $0.018, $0.0021, $0. */
export function money(usd: number): string {
  if (usd === 0) return '$0';
  if (usd < 0) return `−${money(-usd)}`;
  if (usd >= 100) return `$${Math.round(usd).toLocaleString('en-US')}`;
  if (usd >= 0.0995) return `$${usd.toFixed(2)}`;
  if (usd < 0.0000005) return '<$0.000001';
  return `$${usd.toFixed(Math.min(6, 1 - Math.floor(Math.log10(usd))))}`;
}

/** The same in a narrow column: what is less than a cent is not told apart. */
export function cents(usd: number): string {
  return usd > 0 && usd < 0.01 ? '<$0.01' : money(usd);
}

/** How long ago, one unit: now, 12 s, 4 m, 3 h, 2 d. */
export function ago(then: number, now: number): string {
  const s = Math.floor((now - then) / 1000);
  if (!Number.isFinite(s)) return '–';
  if (s < 2) return 'now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} m ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function intl(zone: string | undefined, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone ?? ''} ${Object.keys(options).join()}`;
  let f = formats.get(key);
  if (!f) formats.set(key, f = new Intl.DateTimeFormat('en-GB', { ...options, ...(zone ? { timeZone: zone } : {}) }));
  return f;
}

/** 10:42:07 in the reader's zone, or the one given. */
export const clock = (ms: number, zone?: string) =>
  Number.isFinite(ms) ? intl(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }).format(ms) : '–';

/** Saturday 21 November 2026: the heading above a day's rows. */
export const day = (ms: number, zone?: string) =>
  Number.isFinite(ms) ? intl(zone, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }).format(ms).replace(',', '') : '–';

/** Whole time with milliseconds and zone, for hover and print: 21 Nov 2026, 10:42:07.112 GMT+1. */
export const fullTime = (ms: number, zone?: string) =>
  Number.isFinite(ms)
    ? intl(zone, {
        day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
        fractionalSecondDigits: 3, hour12: false, timeZoneName: 'short',
      }).format(ms)
    : '–';

/** A word for POSIX shells that they pass on unchanged, line breaks included. */
export const shellWord = (text: string) =>
  /^[\w ,.:;@%+=/#()-]*$/.test(text) && !text.startsWith('#') ? `"${text}"` : `'${text.replaceAll("'", `'\\''`)}'`;

/** The command that opens a sealed payload while the page itself may not. */
export const vaultCommand = (ref: string, reason: string) => `evident vault read ${ref} --reason ${shellWord(reason || 'why you open it')}`;

/** First and last characters of an id or hash, algorithm prefix dropped: enough to compare by eye, never used as a key. */
export function short(id: string, head = 8): string {
  const bare = id.replace(/^(?:hmac-)?sha256:/, '');
  return bare.length <= head + 5 ? bare : `${bare.slice(0, head)}…${bare.slice(-4)}`;
}

export const plural = (n: number, one: string, many = `${one}s`) => `${exact(n)} ${n === 1 ? one : many}`;

const outcomes: Record<string, string> = {
  success: 'succeeded', partial: 'partly succeeded', failure: 'failed', rejected: 'rejected',
  timeout: 'timed out', interrupted: 'interrupted', running: 'running',
};
export const outcomeWord = (outcome: string) => outcomes[outcome] ?? outcome;

/** The way a run went in words; a resumed one tells its whole way. */
export const outcomeStory = (outcome: string, resumed: boolean) =>
  resumed && outcome !== 'interrupted' ? `interrupted → resumed → ${outcomeWord(outcome)}` : outcomeWord(outcome);

const flags: Record<string, [string, string]> = {
  write_without_approval: ['write without approval', 'A tool that changes something ran and no approval of it is on record.'],
  args_mismatch: ['not what was approved', 'The arguments that ran differ from the ones the approver saw.'],
  loop: ['loop', 'The same call with the same arguments was repeated.'],
  budget_exhausted: ['budget spent', 'The run stopped because its step or cost budget was used up.'],
  authz_denied: ['permission denied', 'A tool refused the agent for lack of rights.'],
  guardrail_block: ['guardrail block', 'A guardrail stopped a step.'],
  eval_failed: ['eval failed', 'An evaluation of this run did not pass.'],
  incomplete: ['incomplete', 'Some steps name a parent that was never received.'],
};
export const flagWord = (flag: string) => flags[flag]?.[0] ?? flag.replaceAll('_', ' ');
export const flagMeaning = (flag: string) => flags[flag]?.[1] ?? '';

/** "faithfulness · fail · 0.4" */
export const evalWords = (e: { name: string | null; label: string | null; score: number | null; passed: boolean | null }): string =>
  [e.name ?? 'unnamed', e.label ?? (e.passed === null ? null : e.passed ? 'pass' : 'fail'), e.score === null ? null : String(Math.round(e.score * 1000) / 1000)].filter((w) => w !== null).join(' · ');
