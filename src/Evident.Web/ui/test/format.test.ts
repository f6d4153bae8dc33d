import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bytes, cents, clock, count, duration, money, outcomeStory, parseTime, shellWord, short, vaultCommand } from '../src/format.js';

const table = <T>(name: string, of: (input: T) => string, rows: [T, string][]) =>
  test(name, () => { for (const [input, expected] of rows) assert.equal(of(input), expected, `${name}(${String(input)})`); });

table('duration', duration, [
  [0, '0 ms'], [0.0004, '1 µs'], [0.42, '420 µs'], [0.9996, '1 ms'], [1, '1 ms'], [3.44, '3.4 ms'], [9.96, '10 ms'], [842, '842 ms'],
  [999.4, '999 ms'], [999.6, '1.0 s'], [3400, '3.4 s'], [59_940, '59.9 s'], [59_960, '1 m 00 s'], [129_000, '2 m 09 s'], [3_599_400, '59 m 59 s'],
  [3_599_600, '1 h 00 m'], [3_900_000, '1 h 05 m'], [86_399_000, '1 d 00 h'], [183_600_000, '2 d 03 h'], [-800, '−800 ms'], [NaN, '–'],
]);
table('bytes', bytes, [[0, '0 B'], [999, '999 B'], [1000, '1 kB'], [4200, '4.2 kB'], [9960, '10 kB'], [48_210_331, '48 MB'], [999_600, '1 MB'], [2.5e12, '2.5 TB']]);
table('count', count, [[0, '0'], [950, '950'], [1000, '1 k'], [5200, '5.2 k'], [9960, '10 k'], [48_300, '48 k'], [999_700, '1 M'], [1_340_000, '1.3 M']]);
table('money', money, [
  [0, '$0'], [12.4, '$12.40'], [0.31, '$0.31'], [0.0999, '$0.10'], [0.018, '$0.018'], [0.00214, '$0.0021'], [0.0000012, '$0.000001'], [1e-9, '<$0.000001'],
  [1234.4, '$1,234'], [-0.5, '−$0.50'],
]);
table('short', (id: string) => short(id), [['ticket-9421', 'ticket-9421'], ['sha256:0123456789abcdef0123', '01234567…0123'], ['4bf92f3577b34da6a3ce929d0e0e4736', '4bf92f35…4736']]);

test('time keeps nine digits and refuses what is not RFC 3339', () => {
  assert.equal(parseTime('2026-05-06T06:00:08.000Z'), Date.UTC(2026, 4, 6, 6, 0, 8));
  const fine = parseTime('2026-05-06T06:00:08.123456789Z') - Date.UTC(2026, 4, 6, 6, 0, 8);
  assert.ok(Math.abs(fine - 123.456789) < 0.001, String(fine));
  assert.ok(parseTime('2026-05-06T06:00:08.000002000Z') > parseTime('2026-05-06T06:00:08.000001000Z'));
  assert.equal(parseTime('2026-05-06T08:00:08+02:00'), Date.UTC(2026, 4, 6, 6, 0, 8));
  for (const bad of ['', 'yesterday', '2026-05-06', '2026-05-06T06:00:08', '2026-05-06T06:00:08.1234567890Z']) assert.ok(Number.isNaN(parseTime(bad)), bad);
  assert.equal(clock(Date.UTC(2026, 4, 6, 6, 0, 8), 'Europe/Vienna'), '08:00:08');
});

test('ago counts in one unit and never into the future', () => {
  const now = 1_000_000_000;
  assert.deepEqual([0, 5_000, -4_000, 61_000, 3_600_000, 90_000_000].map((d) => ago(now - d, now)), ['now', '5 s ago', 'now', '1 m ago', '1 h ago', '1 d ago']);
});

test('a resumed run tells its whole way, a paused one does not claim an end', () => {
  assert.equal(outcomeStory('success', true), 'interrupted → resumed → succeeded');
  assert.equal(outcomeStory('interrupted', true), 'interrupted');
  assert.equal(outcomeStory('timeout', false), 'timed out');
});

test('nothing in a reason can leave its word on the command line', () => {
  assert.equal(vaultCommand('vr_X', 'ticket 9421'), 'evident vault read vr_X --reason "ticket 9421"');
  for (const reason of ['$(reboot)', '`id`', 'a"b', "it's", 'a\\b', '!!', 'x\ny', "'; rm -rf / #", '$HOME', '{a,b}', 'ünïcode']) {
    const word = shellWord(reason);
    assert.ok(word.startsWith("'") && word.endsWith("'"), word);
    assert.equal(word.slice(1, -1).split("'\\''").join("'"), reason);
    assert.ok(!word.slice(1, -1).split("'\\''").join('').includes("'"), word);
  }
});

test('less than a cent is not told apart in a narrow column', () => {
  assert.equal(cents(0.000054), '<$0.01');
  assert.equal(cents(0.01), money(0.01));
  assert.equal(cents(0), '$0');
});
