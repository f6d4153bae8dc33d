import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Span } from '../src/api.js';
import { buildTree, parentRow, shownAncestor, visibleRows, type StepRow, type Tree, type View } from '../src/tree.js';

const base = Date.UTC(2026, 10, 21, 8, 0, 0);
function span(id: string, parent: string | null, at = 0, took = 1, more: Partial<Span> = {}): Span {
  const time = (ms: number) => new Date(base + ms).toISOString();
  return {
    trace_id: 't1', span_id: id, parent_span_id: parent, name: id, kind: 'step', otlp_kind: 'internal', start_time: time(at), end_time: time(at + took), duration_ms: took,
    status: 'unset', outcome: null, attributes: {}, resource: {}, scope: null, events: [], links: [], payloads: [], ledger: [], revisions: 1, ...more,
  };
}
const view = (more: Partial<View> = {}): View => ({ logical: false, collapsed: new Set(), revealed: new Set(), matches: null, ...more });
/** The rows as indented names; `(id)` is a placeholder, `-- t2` the mark of another trace. */
function drawn(tree: Tree, v: View): string[] {
  return visibleRows(tree, v).rows.map((r) => {
    if (r.type === 'trace') return `-- ${tree.traces[r.trace]!.id}`;
    const n = tree.nodes[r.node]!;
    return `${'  '.repeat(r.level - 1)}${n.span ? n.span.name : `(${n.spanId})`}${r.hidden ? ` +${r.hidden}` : ''}${r.dim ? ' ~' : ''}`;
  });
}
const steps = (tree: Tree, v: View) => visibleRows(tree, v).rows.filter((r): r is StepRow => r.type === 'step');

test('children stand in clock order whatever order they came in; equal starts put the longer first', () => {
  const spans = [span('c', 'r', 30), span('a', 'r', 10, 5), span('r', null, 0, 100), span('b', 'r', 10, 50)];
  assert.deepEqual(drawn(buildTree(spans), view()), ['r', '  b', '  a', '  c']);
  assert.deepEqual(drawn(buildTree([...spans].reverse()), view()), ['r', '  b', '  a', '  c']);
});

test('a parent that never came is one placeholder for all its children and spans their time', () => {
  const tree = buildTree([span('r', null, 0, 10), span('x', 'lost', 40, 10), span('y', 'lost', 20, 5)]);
  assert.equal(tree.missing, 1);
  assert.deepEqual(drawn(tree, view()), ['r', '(lost)', '  y', '  x']);
  const lost = tree.nodes[tree.index.get('t1:lost')!]!;
  assert.deepEqual([lost.start - base, lost.end - base], [20, 50]);
});

test('a late parent takes its children from the placeholder', () => {
  const late = [span('x', 'p', 5), span('r', null, 0, 10)];
  assert.equal(buildTree(late).missing, 1);
  const tree = buildTree([...late, span('p', 'r', 4)]);
  assert.equal(tree.missing, 0);
  assert.deepEqual(drawn(tree, view()), ['r', '  p', '    x']);
});

test('circles of parents are opened at their earliest span and lose nothing', () => {
  const tree = buildTree([span('a', 'c', 30), span('b', 'a', 10), span('c', 'b', 20), span('self', 'self', 50), span('leaf', 'a', 40)]);
  assert.deepEqual(drawn(tree, view()), ['b', '  c', '    a', '      leaf', 'self']);
  assert.deepEqual(tree.nodes.filter((n) => n.note === 'cycle').map((n) => n.spanId).sort(), ['b', 'self']);
});

test('a span id seen twice in a trace counts once, and in two traces twice', () => {
  const tree = buildTree([span('a', null), span('a', null, 5), span('a', null, 9, 1, { trace_id: 't2' }), span('k', 'a', 10, 1, { trace_id: 't2' })]);
  assert.equal(tree.nodes.length, 3);
  assert.deepEqual(drawn(tree, view()), ['a', '-- t2', 'a', '  k']);
});

test('the second trace of a run begins at a mark that knows the pause', () => {
  const tree = buildTree([span('resume', null, 5000, 10, { trace_id: 't2' }), span('begin', null, 0, 100)]);
  const { rows } = visibleRows(tree, view());
  assert.deepEqual(drawn(tree, view()), ['begin', '-- t2', 'resume']);
  assert.deepEqual(rows[1], { type: 'trace', trace: 1, gap: 4900 });
});

const plumbed = [
  span('server', null, 0, 100, { kind: 'http' }), span('run', 'server', 1, 90, { kind: 'agent' }), span('tool', 'run', 2, 50, { kind: 'tool' }),
  span('post', 'tool', 3, 40, { kind: 'http', status: 'error' }), span('db', 'post', 4, 5, { kind: 'db' }), span('sub', 'post', 10, 20, { kind: 'agent' }),
  span('llm', 'sub', 11, 5, { kind: 'llm' }), span('cache', 'sub', 17, 1, { kind: 'span' }),
];

test('the logical view folds machinery below a step, lifts the steps beneath it, and keeps machinery above the first step', () => {
  const tree = buildTree(plumbed);
  assert.deepEqual(drawn(tree, view({ logical: true })), ['server', '  run', '    tool +2', '      sub +1', '        llm']);
  assert.equal(visibleRows(tree, view({ logical: true })).hidden, 3);
  assert.equal(steps(tree, view({ logical: true })).find((r) => r.hidden === 2)!.hiddenErrors, 1);
  assert.equal(drawn(tree, view()).length, plumbed.length);
  assert.equal(tree.nodes[shownAncestor(tree, tree.index.get('t1:db')!)]!.spanId, 'tool');
});

test('a row shows its own machinery on request, and only its own', () => {
  const tree = buildTree(plumbed);
  assert.deepEqual(drawn(tree, view({ logical: true, revealed: new Set(['t1:tool']) })),
    ['server', '  run', '    tool', '      post', '        db', '        sub +1', '          llm']);
});

test('lifted steps stand in clock order among their new siblings', () => {
  const tree = buildTree([span('run', null, 0, 100, { kind: 'agent' }), span('h', 'run', 1, 90, { kind: 'http' }), span('late', 'h', 50), span('early', 'run', 20)]);
  assert.deepEqual(drawn(tree, view({ logical: true })), ['run +1', '  early', '  late']);
});

test('a closed branch hides what is below it and says that it can be opened', () => {
  const tree = buildTree(plumbed);
  assert.deepEqual(drawn(tree, view({ collapsed: new Set(['t1:tool']) })), ['server', '  run', '    tool']);
  const tool = steps(tree, view({ collapsed: new Set(['t1:tool']) })).at(-1)!;
  assert.deepEqual([tool.expandable, tool.expanded], [true, false]);
});

test('a filter keeps the matches and, dimmed, what leads to them, closed or not', () => {
  const tree = buildTree(plumbed);
  const only = view({ logical: true, collapsed: new Set(['t1:run']), matches: (n) => n.span?.kind === 'llm' });
  assert.deepEqual(drawn(tree, only), ['server ~', '  run ~', '    tool +2 ~', '      sub +1 ~', '        llm']);
  assert.equal(visibleRows(tree, only).matched, 1);
  const folded = visibleRows(tree, view({ logical: true, matches: (n) => n.span?.kind === 'db' }));
  assert.deepEqual([folded.rows.length, folded.matched, folded.hidden], [0, 0, 3]);
});

test('rows carry place and number among their siblings for assistive technology, and know the row above them', () => {
  const { rows } = visibleRows(buildTree([span('r', null, 0, 9), span('a', 'r', 1), span('b', 'r', 2), span('k', 'b', 3)]), view());
  assert.deepEqual(rows.map((r) => r.type === 'step' && [r.level, r.position, r.siblings]), [[1, 1, 1], [2, 1, 2], [2, 2, 2], [3, 1, 1]]);
  assert.deepEqual([0, 1, 2, 3].map((i) => parentRow(rows, i)), [-1, 0, 0, 2]);
});

test('attempts are counted among siblings of one name; clocks that disagree are named', () => {
  const tree = buildTree([
    span('r', null, 10, 90), span('1', 'r', 11, 1, { name: 'call', attempt: 1 }), span('2', 'r', 13, 1, { name: 'call', attempt: 2 }), span('3', 'r', 15, 1, { name: 'other' }), span('4', 'r', 2, 1),
  ]);
  assert.deepEqual(tree.nodes.map((n) => n.attempts), [0, 2, 2, 0, 0]);
  assert.deepEqual(tree.nodes.filter((n) => n.note === 'skew').map((n) => n.spanId), ['4']);
});

test('50,000 spans: every one is on show once, parents before children, in any shape', () => {
  const n = 50_000;
  const shapes: Record<string, (i: number) => string | null> = {
    flat: (i) => (i === 0 ? null : 's0'),
    chain: (i) => (i === 0 ? null : `s${i - 1}`),
    tree: (i) => (i === 0 ? null : `s${Math.floor((i - 1) / 7)}`),
    orphans: (i) => `gone${i % 1000}`,
    circle: (i) => `s${(i + 1) % n}`,
  };
  for (const [shape, parent] of Object.entries(shapes)) {
    const spans = Array.from({ length: n }, (_, i) => span(`s${i}`, parent(i), i, 1, { kind: i % 5 === 4 ? 'http' : 'step' }));
    const tree = buildTree(spans);
    const all = steps(tree, view());
    assert.equal(all.length, n + tree.missing, shape);
    assert.equal(new Set(all.map((r) => r.node)).size, all.length, shape);
    const seen = new Set<number>();
    for (const r of all) { const p = tree.nodes[r.node]!.parent; assert.ok(p < 0 || seen.has(p), shape); seen.add(r.node); }
    const folded = visibleRows(tree, view({ logical: true }));
    const standing = folded.rows.filter((r): r is StepRow => r.type === 'step');
    assert.equal(standing.length + standing.reduce((sum, r) => sum + r.hidden, 0), all.length, `${shape}: what is folded is counted on exactly one row`);
  }
  assert.equal(buildTree([]).nodes.length, 0);
});
