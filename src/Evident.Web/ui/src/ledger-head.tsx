// The head of the ledger: how much of it somebody outside has confirmed, and the head itself to take away.
import type { LedgerHead } from './api.js';
import { ago, bytes, exact, fullTime, parseTime, plural } from './format.js';
import { Copy } from './frame.js';
import { Icon } from './icons.js';
import { ledgerHref, type LedgerFilter, type LedgerPanel } from './route.js';

/** Past this the appliance has missed heartbeats (docs/ledger-format.md, section 8). */
const late = (head: LedgerHead, now: number) =>
  head.last_heartbeat !== null && head.last_heartbeat.state !== 'stopping' && now - parseTime(head.last_heartbeat.recorded) > 2 * head.last_heartbeat.interval_ms + 60_000;

export function LedgerHeadCard({ head, filter, show, now }: { head: LedgerHead; filter: LedgerFilter; show: LedgerPanel; now: number }) {
  const a = head.anchored;
  const rests = head.size - (a?.size ?? 0);
  const part = (n: number) => `${(100 * n) / Math.max(1, head.size)}%`;
  return (
    <section class="ledgerhead" aria-label="head of the ledger">
      <p class="claim">
        {a ? <><b>{exact(a.size)} of {plural(head.size, 'entry', 'entries')}</b> confirmed from outside by <b>{a.witness ?? a.kind}</b>, <time title={fullTime(parseTime(a.time ?? a.recorded))}>{ago(parseTime(a.time ?? a.recorded), now)}</time>
          {a.file_there === false && <span class="bad"> · its file in anchors/ is gone</span>}</>
          : <><b>Nobody outside this machine has confirmed this ledger yet.</b> <span class="quiet">Take its head to another machine: what is kept there cannot be rewritten here.</span></>}
      </p>
      <div class="grounds" role="img" aria-label={`${a?.size ?? 0} of ${head.size} entries anchored, ${rests} rest on this host's key alone`}>
        {a && <i class="g-anchored" style={{ width: part(a.size) }} />}
        <i class="g-host" style={{ width: part(head.published_size - (a?.size ?? 0)) }} />
        <i class="g-fresh" style={{ width: part(head.size - head.published_size) }} />
        {a && <em style={{ left: part(a.size) }}><Icon name="anchor" /></em>}
      </div>
      <p class="scale"><span>#0</span><span>{rests > 0 ? `${exact(rests)} ${rests === 1 ? 'rests' : 'rest'} on this host's key alone` : 'all confirmed'}</span></p>
      <div class="headline"><dl class="headfacts">
        <div><dt>size</dt><dd><b>{exact(head.size)}</b></dd></div>
        <div class="root"><dt>root</dt><dd><Copy text={head.root} label="copy the root"><span class="mono">{head.root}</span></Copy></dd></div>
        <div><dt>published</dt><dd>{head.published_time ? <time title={fullTime(parseTime(head.published_time))}>{ago(parseTime(head.published_time), now)}</time> : head.published_size > 0 ? 'before this start' : 'not yet'}
          {head.published_size > 0 && head.published_size < head.size && <span class="quiet">, all but {exact(head.size - head.published_size)}</span>}</dd></div>
        <div><dt>epoch</dt><dd><a href={ledgerHref(null, { type: 'ledger.epoch' })}>{exact(head.epoch)}</a></dd></div>
        <div><dt>sign of life</dt><dd>{head.last_heartbeat
          ? <a class={late(head, now) ? 'bad' : ''} href={ledgerHref(head.last_heartbeat.seq)} title={fullTime(parseTime(head.last_heartbeat.recorded))}>{ago(parseTime(head.last_heartbeat.recorded), now)}{late(head, now) && ', overdue'}</a>
          : <span class="quiet">none yet</span>}</dd></div>
      </dl>
      <p class="actions">
        <a class="button" href={ledgerHref(null, filter, show === 'head' ? null : 'head')} aria-expanded={show === 'head'}><Icon name="qr" />Take the head away</a>
        <a class="button" href={ledgerHref(null, filter, show === 'check' ? null : 'check')} aria-expanded={show === 'check'}><Icon name="verify" />Verify now</a>
      </p></div>
      {show === 'head' && <TakeAway head={head} />}
    </section>
  );
}

function TakeAway({ head }: { head: LedgerHead }) {
  if (!head.checkpoint) return <div class="panel"><p>No head has been published yet. The first one is published within a minute after the start.</p></div>;
  const size = Number(head.checkpoint.split('\n')[1]);
  const commands: [string, string][] = [
    ['on the appliance: keep the head elsewhere', 'evident ledger head > head.note'],
    ['on your machine, with your copy of the program', 'evident verify DATA --known-head head.note'],
    ['as a witness: confirm it with your own key', 'evident witness cosign head.note > head.cosigned.note'],
    ['back on the appliance: file the confirmation', 'evident ledger anchor head.cosigned.note'],
  ];
  return (
    <div class="panel takeaway">
      <figure>
        <img src={`/api/v1/ledger/head.svg?size=${size}`} alt={`QR code of the published head of ${size} entries`} width="264" height="264" />
        <figcaption class="quiet">the published note of {plural(size, 'entry', 'entries')}, {bytes(head.checkpoint.length)}; photograph it</figcaption>
      </figure>
      <div>
        {head.text && <><h3>As text <span class="quiet">five lines that can be typed from paper</span></h3>
          <div class="command"><pre>{head.text}</pre><Copy text={head.text} label="copy the text form" /></div></>}
        <h3>As a signed note <span class="quiet">what verify takes as --known-head</span></h3>
        <div class="command"><pre>{head.checkpoint}</pre><Copy text={head.checkpoint} label="copy the note" /></div>
        <h3>The key to pin <span class="quiet">once, at the first visit</span></h3>
        <div class="command"><code>{head.identity_vkey}</code><Copy text={head.identity_vkey} label="copy the identity key" /></div>
        <h3>Check it without trusting this page</h3>
        <dl class="steps-to">{commands.map(([what, command]) => <div key={command}><dt>{what}</dt><dd class="command"><code>{command}</code><Copy text={command} label="copy the command" /></dd></div>)}</dl>
      </div>
    </div>
  );
}
