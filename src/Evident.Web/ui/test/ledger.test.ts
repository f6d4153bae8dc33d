import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LedgerEntry } from '../src/api.js';
import { chainRows, silence, type Chain, type Row } from '../src/chain.js';
import { actedBy, anchoredSize, clockJump, decidedBy, entryWords } from '../src/entry-words.js';
import { inOrder, verdictOf } from '../src/ledger-check.js';
import { filterValue, localTime, utcTime } from '../src/ledger-filters.js';
import { href, ledgerHref, parseRoute, viewOf } from '../src/route.js';

const base = Date.UTC(2026, 10, 24, 8, 0, 0);
const hash = (n: number) => `sha256:${String(n).padStart(64, '0')}`;
/** Entry `seq`, a minute after the one before, each alone in its group. */
function entry(seq: number, type = 'tool.call', more: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    seq, type, id: `i${seq}`, recorded: new Date(base + seq * 60_000).toISOString(), batch: seq, epoch: 1, boot: 'b1', mono: seq * 60_000,
    integrity: { this_hash: hash(seq + 1), prev_hash: hash(seq) }, ...more,
  };
}
const beat = (seq: number, state = 'running', more: Partial<LedgerEntry> = {}) => entry(seq, 'ledger.heartbeat', { heartbeat: { state, interval_ms: 60_000 }, ...more });
const anchor = (seq: number, size: number, witness = 'w') => entry(seq, 'ledger.anchor', { anchor: { kind: 'cosignature', witness, head: { size, root: 'r' } } });
const chain = (entries: LedgerEntry[], more: Partial<Chain> = {}): Chain => ({
  entries: [...entries].sort((a, b) => b.seq - a.seq), size: 1000, published: 1000, anchored: 0, anchors: [], whole: true, interval: 60_000, open: null, ...more,
});
/** The rows, days left out, as short words. */
const drawn = (rows: Row[]) => rows.filter((r) => r.kind !== 'day').map((r) => {
  switch (r.kind) {
    case 'entry': return `${r.entry.seq}${r.top ? '^' : ''}${r.fits === false ? '!' : ''}`;
    case 'anchor': return `anchor ${r.size}${r.by.length > 1 ? ` x${r.by.length}` : ''}`;
    case 'gap': return `gap ${r.entries}`;
    case 'beats': return `beats ${r.entries.length}`;
    case 'ground': return `${r.ground} ${r.from}-${r.to}`;
    case 'silence': return `silent ${r.ms}`;
    case 'day': return '';
  }
});

test('groups hang under their checkpoint, and only a group whose end is here has one', () => {
  const entries = [entry(4, 'tool.call', { batch: 3 }), entry(5, 'tool.call', { batch: 3 }), entry(6, 'tool.call', { batch: 4 })];
  assert.deepEqual(drawn(chainRows(chain(entries))), ['host 0-999', '6', '5^', '4']);
  assert.deepEqual(drawn(chainRows(chain(entries, { size: 7, published: 7 }))), ['host 0-6', '6^', '5^', '4']);
});

test('ground changes where the last published head and the largest anchor end', () => {
  const anchors = [anchor(900, 3, 'a'), anchor(901, 3, 'b'), anchor(902, 2)];
  const rows = chainRows(chain([0, 1, 2, 3, 4, 5].map((n) => entry(n)), { size: 6, published: 5, anchored: 3, anchors }));
  assert.deepEqual(drawn(rows), ['fresh 5-5', '5^', 'host 3-4', '4^', '3^', 'anchor 3 x2', '2^', 'anchor 2', '1^', '0^']);
  assert.deepEqual(rows.filter((r) => r.kind === 'entry').map((r) => r.ground), ['fresh', 'host', 'host', 'anchored', 'anchored', 'anchored']);
});

test('what a filter leaves out is said, and an anchor stands between the entries it parts', () => {
  const rows = chainRows(chain([2, 9, 10, 40].map((n) => entry(n)), { size: 50, published: 50, anchored: 20, anchors: [anchor(30, 20), anchor(8, 5)], whole: false }));
  assert.deepEqual(drawn(rows), ['host 20-49', '40', 'gap 29', 'anchor 20', '10', '9^', 'gap 6', 'anchor 5', '2']);
});

test('a hash that does not fit the entry before is a fault; without the entry before nothing is claimed', () => {
  const torn = entry(7, 'tool.call', { integrity: { this_hash: hash(8), prev_hash: hash(99) } });
  assert.deepEqual(drawn(chainRows(chain([entry(6), torn, entry(9)], { whole: false }))), ['host 0-999', '9', 'gap 1', '7!', '6^']);
});

test('three plain heartbeats fold; the one that is asked for, an anchor and a silence part them', () => {
  const beats = [1, 2, 3, 4, 5, 6].map((n) => beat(n));
  assert.deepEqual(drawn(chainRows(chain([entry(0), ...beats]))), ['host 0-999', 'beats 6', '0^']);
  assert.deepEqual(drawn(chainRows(chain([entry(0), ...beats], { open: 4 }))), ['host 0-999', '6', '5^', '4^', 'beats 3', '0^']);
  assert.deepEqual(drawn(chainRows(chain([entry(0), ...beats], { anchored: 4, anchors: [anchor(70, 4)] }))), ['host 4-999', 'beats 3', 'anchor 4', 'beats 3', '0^']);
  assert.deepEqual(drawn(chainRows(chain(beats.slice(0, 2)))), ['host 0-999', '2', '1^']);
  assert.deepEqual(drawn(chainRows(chain([beat(1, 'started'), ...beats.slice(1, 3), beat(4, 'stopping')]))), ['host 0-999', '4', '3^', '2^', '1^']);
  assert.deepEqual(drawn(chainRows(chain(beats, { whole: false }))), ['host 0-999', '6', '5^', '4^', '3^', '2^', '1^']); // searched for: all of them
});

test('silence is more than two intervals and a minute, within one boot, and not over a stop', () => {
  const late = (older: LedgerEntry, newer: LedgerEntry) => silence(older, newer, 60_000);
  assert.equal(late(beat(1), entry(2, 'tool.call', { mono: 60_000 + 180_000 })), 0);
  assert.equal(late(beat(1), entry(2, 'tool.call', { mono: 60_000 + 180_001 })), 180_001);
  assert.equal(late(beat(1), entry(2, 'tool.call', { mono: 999_000_000, boot: 'b2' })), 0);
  assert.equal(late(beat(1, 'stopping'), beat(2, 'started', { mono: 999_000_000 })), 0);
  assert.equal(late(beat(1), beat(2, 'started', { mono: 999_000_000 })), 0);
  assert.equal(late(beat(1), entry(2, 'ledger.recovery', { mono: 999_000_000 })), 0);
  assert.equal(late(beat(1), entry(2, 'ledger.epoch', { mono: 999_000_000, rotation: { reason: 'unclean_start' } })), 0);
  assert.ok(late(beat(1), entry(2, 'ledger.epoch', { mono: 999_000_000, rotation: { reason: 'age' } })) > 0);
  assert.equal(late(beat(1), entry(3, 'tool.call', { mono: 999_000_000 })), 0); // not neighbours
  assert.equal(silence(entry(1), entry(2, 'tool.call', { mono: 999_000_000 }), null), 0);
  // Before the first heartbeat there is no rule.
  assert.deepEqual(drawn(chainRows(chain([entry(0), entry(1, 'tool.call', { mono: 999_000_000 })], { size: 2, published: 2 }))), ['host 0-1', '1^', '0^']);
  assert.deepEqual(drawn(chainRows(chain([entry(0), beat(1), entry(2, 'tool.call', { mono: 999_000_000 })], { size: 3, published: 3 }))), ['host 0-2', '2^', 'silent 998940000', '1^', '0^']);
});

const says = (type: string, more: Partial<LedgerEntry>) => entryWords(entry(1, type, more)).says;

test('capture policy and debug sessions in words', () => {
  assert.equal(says('capture.policy', { capture: { mode: 'structure' } }), 'in general: payloads are not captured, only their sizes');
  assert.equal(says('capture.policy', { tenant_id: 'acme', environment: 'prod', capture: { mode: 'opt_out', workflow_id: 'prefix:hr-' } }), 'tenant acme · workflow hr-* · environment prod: nothing of payloads is captured');
  const session = { session_id: 'ds_1', duration_ms: 1_800_000, workflow_id: 'prefix:refund', until: '2026-05-06T11:00:00.000Z' };
  const actor = { kind: 'uid', id: '1000' };
  assert.equal(says('debug.session.requested', { tenant_id: 'acme', actor, session }), 'uid 1000 asks to capture payloads in full for 30 m 00 s: tenant acme · workflow refund*');
  assert.equal(entryWords(entry(1, 'debug.session.approved', { actor, session, reason_code: 'single_operator' })).tone, 'amber');
  assert.equal(entryWords(entry(1, 'debug.session.opened', { actor, session })).tone, 'amber');
  assert.equal(says('debug.session.closed', { actor: { kind: 'system' }, session, cause: 'expired' }), 'full capture ended: its time was over: workflow refund*');
  assert.equal(says('debug.session.rejected', { actor: { kind: 'system' }, session, reason_code: 'not_approved_in_time' }), 'nobody approved it in time: workflow refund*');
});

test('an entry says in words what it records', () => {
  const action = { tool_name: 'refund.submit', target: 'o-1', side_effect_level: 'irreversible' as const };
  assert.equal(says('tool.call', { action, result: { status: 'success', latency_ms: 1200 }, approval: { state: 'approved', approver_id: 's_9', identity_source: 'claimed' } }),
    'refund.submit · o-1 · succeeded in 1.2 s · approved by s_9 (reported)');
  assert.equal(says('approval.decision', { action, approval: { state: 'rejected', approver_id: 's_9', approver_role: 'support_lead', latency_ms: 60_000, reason_code: 'over_limit' } }),
    'refund.submit · o-1 · rejected by s_9 (support lead) after 1 m 00 s · over limit');
  const differs = entryWords(entry(1, 'approval.execution', { action, approval: { state: 'approved', args_match: false } }));
  assert.equal(differs.tone, 'bad');
  assert.match(differs.says, /not what was approved/);
  assert.equal(entryWords(entry(1, 'tool.call', { action, result: { status: 'failure', error_class: 'timeout' } })).tone, 'bad');
  assert.equal(says('vault.read', { actor: { kind: 'uid', id: '1000' }, vault: { ref: 'vr_01HZX0000000000000000000A0', role: 'args', bytes: 64 } }), 'args vr_01HZX00…00A0 opened by uid 1000 · 64 B');
  assert.equal(says('keys.sealed', { actor: { kind: 'uid', id: '1000' }, key: { name: 'vault.master', custody: 'passphrase' } }), 'the vault was sealed by uid 1000');
  assert.equal(says('keys.unsealed', { actor: { kind: 'system' }, key: { name: 'vault.master', custody: 'passphrase' } }), 'the vault was opened at the start');
  assert.equal(says('keys.custody', { actor: { kind: 'uid', id: '0' }, key: { name: 'vault.master', custody: 'passphrase' } }), "the vault's master key is kept under a passphrase from here on");
  assert.equal(says('ledger.recovery', { recovery: { quarantined_bytes: 0, prior_head: { size: 3, root: 'r' } } }), 'recovered after a stop that was not clean');
  assert.equal(says('ledger.incarnation', { incarnation: { number: 2, found: { size: 31, root: 'a' }, lost: { size: 44, root: 'b' } } }),
    'an operator accepted that entries #31 to #43 of an earlier history are lost: incarnation 2');
  assert.equal(says('ledger.epoch', { epoch: 3, rotation: { reason: 'key_lost' } }), 'epoch 3 begins with a new signing key: the old one was lost; the identity key vouches for it');
  assert.equal(says('ledger.traces', { traces: { spans: 120, partition: '2026-11-24', first: 0, root: 'r' } }), '120 spans of 2026-11-24 sealed');
  assert.equal(says('retention.drop', { drop: { layer: 'traces', runs: 3, spans: 40, policy_hash: hash(1), partition: '2026-10-01' } }), `3 runs · 40 spans of traces 2026-10-01 deleted by policy 00000000…0001`);
  assert.equal(says('cost.table', { document: { version: 'v7', hash: hash(2) }, actor: { kind: 'uid', id: '0' } }), 'version v7 · hash 0000000000000000…0002'); // a type without words of its own
  assert.equal(entryWords(entry(1, 'later.type', { thing: { a: 'b' } })).says, 'a b'); // and one that this page does not know
});

test('clock jumps are told by what the wall clock did beyond the time that passed', () => {
  const jump = (before: string, after: string, mono_delta_ms: number) => entry(1, 'ledger.clock', { clock: { before, after, mono_delta_ms } });
  assert.equal(clockJump(jump('2026-11-24T08:00:00.000Z', '2026-11-24T07:00:10.000Z', 10_000)), -3_600_000);
  assert.equal(entryWords(jump('2026-11-24T08:00:00.000Z', '2026-11-24T07:00:10.000Z', 10_000)).says, 'the clock jumped back by 1 h 00 m');
  assert.equal(entryWords(jump('2026-11-24T08:00:00.000Z', '2026-11-24T08:10:10.000Z', 10_000)).says, 'the clock jumped ahead by 10 m 00 s');
});

test('who acted and who decided are told as far as they are known', () => {
  assert.equal(actedBy(entry(1, 'tool.call', { actor: { kind: 'unknown' } })), '');
  assert.equal(actedBy(entry(1, 'tool.call', { actor: { kind: 'agent', id: 'a' } })), 'agent a');
  assert.equal(decidedBy(entry(1)), '');
  assert.equal(anchoredSize(anchor(5, 3)), 3);
  assert.equal(anchoredSize(entry(5)), null);
});

test('findings stand by gravity as the verifier weighs it, and nothing without an anchor is proven', () => {
  const found = inOrder([{ code: 0, sentence: 'i' }, { code: 12, sentence: 'n', from_seq: 9 }, { code: 36, sentence: 'x' }, { code: 32, sentence: 'b', from_seq: 7 }, { code: 32, sentence: 'a', from_seq: 2 }, { code: 31, sentence: 'f' }]);
  assert.equal(found.map((f) => f.sentence).join(''), 'fabxni');
  assert.deepEqual([0, 10, 11, 12, 30, 36, 40, 64].map(verdictOf), ['proven', 'unanchored', 'unanchored', 'notes', 'accused', 'accused', 'unknown', 'unknown']);
});

test('every view of the ledger has an address that says the same again', () => {
  const filter = { type: 'approval.', tool: 'refund.submit', run: 'run_1', since: '2026-11-24T08:00:00.000Z' };
  const address = ledgerHref(41, filter, 'check');
  assert.deepEqual(parseRoute(address.slice(1)), { page: 'ledger', entry: 41, filter, show: 'check' });
  assert.equal(href(parseRoute(address.slice(1))), address);
  assert.deepEqual(parseRoute('?page=ledger&entry=4x&show=other'), { page: 'ledger', entry: null, filter: {}, show: null });
  assert.deepEqual(parseRoute('?run=r1&step=s'), { page: 'run', id: 'r1', step: 's', all: false }); // the run page's own address
  assert.equal(viewOf(address.slice(1)), viewOf(ledgerHref(7, filter).slice(1)));
  assert.notEqual(viewOf(ledgerHref(7, filter).slice(1)), viewOf(ledgerHref(7).slice(1)));
});

test('a time field speaks the zone of its reader and the address UTC', () => {
  for (const at of ['2026-11-24T08:07:00.000Z', '2026-03-29T01:30:00.000Z']) assert.equal(utcTime(localTime(at), false), at);
  assert.equal(utcTime(localTime('2026-11-24T08:07:00.000Z'), true), '2026-11-24T08:07:59.999Z');
  assert.deepEqual([localTime(''), localTime('soon'), utcTime('', false), utcTime('x', true)], ['', '', '', '']);
  assert.equal(filterValue('type', 'vault.'), 'vault');
  assert.equal(filterValue('type', 'ledger.epoch'), 'ledger.epoch');
  assert.equal(filterValue('args_match', 'false'), 'not as approved');
  assert.equal(filterValue('tool', 'my_tool'), 'my_tool');
});
