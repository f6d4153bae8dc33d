import assert from 'node:assert/strict';
import { test } from 'node:test';
import { href, parseRoute } from '../src/route.js';
import { place, ticks } from '../src/timeline.js';

test('ticks are round, inside the scale and never more than asked for', () => {
  for (const whole of [0.4, 7, 950, 3400, 46_000, 221_000, 3_600_000, 90_000_000, 8e9]) {
    for (const most of [2, 5, 9]) {
      const t = ticks({ start: 5, end: 5 + whole }, most);
      assert.equal(t[0], 0);
      assert.ok(t.length <= most + 1, `${t.length} ticks of ${whole} for ${most}`);
      assert.ok(t.at(-1)! <= whole * (1 + 1e-9), `${t.at(-1)} in ${whole}`);
    }
  }
  assert.deepEqual(ticks({ start: 0, end: 46_000 }, 5), [0, 10_000, 20_000, 30_000, 40_000]);
  assert.deepEqual(ticks({ start: 9, end: 9 }, 5), [0]);
});

test('bars are clipped to the scale', () => {
  const scale = { start: 100, end: 200 };
  assert.deepEqual(place(scale, 110, 160), { left: 10, width: 50 });
  assert.deepEqual(place(scale, 50, 250), { left: 0, width: 100 });
  assert.deepEqual(place(scale, 300, 400), { left: 100, width: 0 });
});

test('every view comes back from its own address', () => {
  const routes = [
    { page: 'runs', filter: {} }, { page: 'runs', filter: { workflow: 'refund v7&x', outcome: 'failure', session: 'ticket-9421', tool: 'gmail.send', q: 'a=b' } },
    { page: 'run', id: 'run/ü 1', step: 'abc', all: true }, { page: 'run', id: 'r', step: null, all: false }, { page: 'ledger', entry: 41, filter: {}, show: null },
    { page: 'ledger', entry: null, filter: { tool: 'a&b' }, show: 'head' },
  ] as const;
  for (const r of routes) assert.deepEqual(parseRoute(new URL(href(r), 'http://h').search), r);
  assert.deepEqual(parseRoute('?status=failure&session_id=s&unknown=1'), { page: 'runs', filter: { outcome: 'failure', session: 's' } });
  assert.deepEqual(parseRoute('?page=ledger&entry=-1'), { page: 'ledger', entry: null, filter: {}, show: null });
});
