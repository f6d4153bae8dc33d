// Entries to the rows of the thread, newest first: groups under their checkpoint, anchors, silence, gaps. Pure.
import type { LedgerEntry } from './api.js';
import { anchoredSize } from './entry-words.js';
import { day, parseTime } from './format.js';

/** `fresh`: no published head covers it. `host`: it rests on this host's key alone. `anchored`: somebody outside confirmed it. */
export type Ground = 'fresh' | 'host' | 'anchored';

export type Row =
  | { kind: 'day'; key: string; ground: Ground; text: string }
  | { kind: 'ground'; key: string; ground: Ground; from: number; to: number }
  | { kind: 'anchor'; key: string; ground: Ground; size: number; by: LedgerEntry[] }
  | { kind: 'gap'; key: string; ground: Ground; entries: number }
  | { kind: 'silence'; key: string; ground: Ground; ms: number }
  | { kind: 'beats'; key: string; ground: Ground; entries: LedgerEntry[] /* newest first */ }
  | { kind: 'entry'; key: string; ground: Ground; entry: LedgerEntry; top: boolean /* its checkpoint stands directly above */; fits: boolean | null /* null: the entry before is not here */ };

export interface Chain {
  entries: readonly LedgerEntry[]; // newest first
  size: number;
  published: number;
  anchored: number; // 0: nothing
  anchors: readonly LedgerEntry[]; // ledger.anchor
  whole: boolean; // nothing is filtered out between two neighbours
  interval: number | null; // of the newest heartbeat, milliseconds
  open: number | null; // an entry that must have a row of its own
}

const running = (e: LedgerEntry) => e.type === 'ledger.heartbeat' && (e.heartbeat as { state?: string } | undefined)?.state === 'running';
const state = (e: LedgerEntry) => (e.type === 'ledger.heartbeat' ? (e.heartbeat as { state?: string } | undefined)?.state ?? '' : '');
const restarts = (e: LedgerEntry) => state(e) === 'started' || e.type === 'ledger.recovery'
  || (e.type === 'ledger.epoch' && ['unclean_start', 'key_lost'].includes(String((e.rotation as { reason?: string } | undefined)?.reason)));

/** Milliseconds without an entry that are more than heartbeats allow (docs/ledger-format.md, section 8); 0 when there is nothing to say. */
export function silence(older: LedgerEntry, newer: LedgerEntry, interval: number | null): number {
  if (interval === null || newer.seq !== older.seq + 1 || newer.boot !== older.boot || state(older) === 'stopping' || restarts(newer)) return 0;
  const ms = newer.mono - older.mono;
  return ms > 2 * interval + 60_000 ? ms : 0;
}

const foldedBeats = 3;

export function chainRows(c: Chain): Row[] {
  const rows: Row[] = [];
  const anchors = new Map<number, LedgerEntry[]>();
  for (const a of c.anchors) {
    const size = anchoredSize(a);
    if (size) anchors.set(size, [...(anchors.get(size) ?? []), a]);
  }
  const sizes = [...anchors.keys()].sort((a, b) => b - a);
  const groundOf = (seq: number): Ground => (seq < c.anchored ? 'anchored' : seq < c.published ? 'host' : 'fresh');
  // The interval in force at an entry is that of the newest heartbeat before it.
  const intervals: (number | null)[] = new Array(c.entries.length).fill(null);
  for (let i = c.entries.length - 1, last: number | null = null; i >= 0; i--) {
    intervals[i] = last ?? (c.entries.at(-1)!.seq > 0 ? c.interval : null); // none before the first heartbeat
    const e = c.entries[i]!;
    if (e.type === 'ledger.heartbeat') last = Number((e.heartbeat as { interval_ms?: number }).interval_ms) || last;
  }

  let today = '';
  let ground: Ground | null = null;
  for (let i = 0; i < c.entries.length; i++) {
    const e = c.entries[i]!;
    const above = c.entries[i - 1];
    const here = groundOf(e.seq);
    const missing = above ? above.seq - e.seq - 1 : 0;
    if (missing > 0) rows.push({ kind: 'gap', key: `g${e.seq}`, ground: groundOf(e.seq + 1), entries: missing });
    const quiet = above && c.whole ? silence(e, above, intervals[i - 1] ?? null) : 0;
    if (quiet > 0) rows.push({ kind: 'silence', key: `s${e.seq}`, ground: groundOf(e.seq + 1), ms: quiet });
    for (const size of sizes) {
      if (size > e.seq && (above ? size <= above.seq : size === e.seq + 1 || !c.whole)) rows.push({ kind: 'anchor', key: `a${size}`, ground: here, size, by: anchors.get(size)! });
    }
    if (here !== ground && here !== 'anchored') {
      const to = here === 'fresh' ? c.size - 1 : Math.min(c.published, c.size) - 1;
      rows.push({ kind: 'ground', key: `z${here}`, ground: here, from: here === 'fresh' ? Math.max(c.published, c.anchored) : c.anchored, to });
    }
    ground = here;
    const date = day(parseTime(e.recorded));
    if (date !== today) rows.push({ kind: 'day', key: `d${e.seq}`, ground: here, text: (today = date) });

    // A run of plain heartbeats is one row, unless one of them is asked for, or something must stand between two of them.
    let n = 0;
    while (c.whole && running(c.entries[i + n]!) && c.entries[i + n]!.seq === e.seq - n && c.entries[i + n]!.seq !== c.open && groundOf(e.seq - n) === here && day(parseTime(c.entries[i + n]!.recorded)) === date
      && (n === 0 || (!sizes.includes(e.seq - n + 1) && silence(c.entries[i + n]!, c.entries[i + n - 1]!, intervals[i + n - 1] ?? null) === 0))) {
      n++;
      if (i + n >= c.entries.length) break;
    }
    if (n >= foldedBeats) {
      rows.push({ kind: 'beats', key: `h${e.seq}`, ground: here, entries: c.entries.slice(i, i + n) });
      i += n - 1;
      continue;
    }
    const below = c.entries[i + 1];
    rows.push({
      kind: 'entry', key: `e${e.seq}`, ground: here, entry: e, top: above && above.seq === e.seq + 1 ? above.batch !== e.batch : e.seq === c.size - 1,
      fits: below && below.seq === e.seq - 1 ? below.integrity.this_hash === e.integrity.prev_hash : null,
    });
  }
  return rows;
}

