import assert from 'node:assert/strict';
import test from 'node:test';
import type { DebugSession } from '../src/api.js';
import { capturing, responsible, whose } from '../src/debug.js';
import { parseTime } from '../src/format.js';

const session: DebugSession = {
  id: 'ds_3f9c01b2a4d7', state: 'open', tenant: 'acme', workflow: 'refund-*', environment: null, minutes: 30, reason: 'ticket 9421', requested_by: 'uid 1000', requested: '2026-05-06T10:29:00.000Z',
  approved_by: 'uid 0', single_operator: false, opened: '2026-05-06T10:30:00.000Z', until: '2026-05-06T11:00:00.000Z',
};

test('a session captures until its end and not a moment longer', () => {
  const end = parseTime(session.until!);
  assert.equal(capturing([session], end - 1).length, 1);
  assert.equal(capturing([session], end).length, 0);
  assert.equal(capturing([{ ...session, state: 'requested', until: null }], end - 1).length, 0);
});

test('it says whose payloads and who is responsible', () => {
  assert.equal(whose(session), 'tenant acme, workflow refund-*');
  assert.equal(whose({ ...session, tenant: '', environment: 'prod' }), 'steps without a tenant, workflow refund-*, prod');
  assert.equal(responsible(session), 'asked for by uid 1000, approved by uid 0');
  assert.equal(responsible({ ...session, approved_by: 'uid 1000', single_operator: true }), 'asked for and approved by uid 1000 alone');
  assert.equal(responsible({ ...session, approved_by: null }), 'asked for by uid 1000');
});
