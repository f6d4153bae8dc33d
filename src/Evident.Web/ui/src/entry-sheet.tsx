// One entry in full, beside the thread: what it says, what it hangs on, who vouches for it, and its proof to take away.
import { useEffect, useRef } from 'preact/hooks';
import type { LedgerEntry, LedgerHead } from './api.js';
import { actedBy, decidedBy, entryWords, payloadWord } from './entry-words.js';
import { ago, duration, exact, fullTime, parseTime } from './format.js';
import { Copy, PayloadChip } from './frame.js';
import { Icon, SideEffectMark } from './icons.js';
import { href, ledgerHref, runHref, type LedgerFilter, type LedgerFilterName } from './route.js';

interface Props { entry: LedgerEntry; head: LedgerHead; filter: LedgerFilter; now: number; newer: number | null; older: number | null; onClose: () => void }

export function EntrySheet({ entry: e, head, filter, now, newer, older, onClose }: Props) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => { box.current?.scrollTo(0, 0); }, [e.seq]);
  useEffect(() => {
    const onKey = (k: KeyboardEvent) => {
      if (k.key === 'Escape' && !k.defaultPrevented && !document.querySelector('dialog[open]') && !(k.target as Element).closest('input')) onClose();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
  const w = entryWords(e);
  const at = parseTime(e.recorded);
  const only = (name: LedgerFilterName, value: string) => <a href={ledgerHref(null, { [name]: value })} title={`all entries: ${value}`}>{value}</a>;
  const rows: [string, preact.ComponentChildren][] = [
    ['received', <><time dateTime={e.recorded}>{fullTime(at)}</time> <span class="quiet">{ago(at, now)}, the appliance's clock</span></>],
    ['happened', e.timestamp && e.timestamp !== e.recorded ? <>{fullTime(parseTime(e.timestamp))} <span class="quiet">as the sender says</span></> : ''],
    ['tool', e.action?.tool_name ? <>{only('tool', e.action.tool_name)} {e.action.side_effect_level && <SideEffectMark level={e.action.side_effect_level} />}</> : ''],
    ['target', e.action?.target ?? ''],
    ['acted', e.actor?.id ? <>{e.actor.kind} {only('actor', e.actor.id)}{e.actor.identity_source === 'claimed' && <span class="quiet"> reported</span>}</> : actedBy(e)],
    ['decided', e.approval?.approver_id ? <>{e.approval.state} by {only('actor', e.approval.approver_id)} <span class="quiet">{decidedBy(e).slice(e.approval.approver_id.length)}</span></> : ''],
    ['waited', e.approval?.latency_ms ? duration(e.approval.latency_ms) : ''],
    ['arguments', e.approval?.args_match === undefined ? '' : e.approval.args_match
      ? <span class="good"><Icon name="success" />what ran is what was approved</span>
      : <span class="bad"><Icon name="failure" class="o-failure" />what ran is not what was approved</span>],
    ['run', e.run_id ? <><a class="mono" href={runHref(e.run_id, e.span_id ?? null)}>{e.run_id}</a>{e.span_id && <span class="quiet"> at its step</span>} · {<a href={ledgerHref(null, { run: e.run_id })}>its entries</a>}</> : ''],
    ['workflow', e.workflow_id ? only('workflow', e.workflow_id) : ''],
    ['tenant', e.tenant_id ? only('tenant', e.tenant_id) : ''],
    ['environment', e.environment ?? ''],
  ];
  const covered = e.seq < (head.anchored?.size ?? 0);
  return (
    <aside class="sheet entrysheet" ref={box} aria-label={`entry ${e.seq}`} tabIndex={-1}>
      <header>
        <Icon name={w.icon} class={`k-${w.hue}`} /><h2><span class="mono">#{exact(e.seq)}</span> <a href={ledgerHref(null, { type: e.type })} title="all entries of this type">{e.type}</a></h2>
        <Step to={newer} filter={filter} icon="up" label="newer entry" /><Step to={older} filter={filter} icon="down" label="older entry" />
        <button type="button" class="plain" onClick={onClose} aria-label="close the sheet"><Icon name="close" /></button>
      </header>
      {w.says && <p class={`says ${w.tone === 'bad' ? 'bad' : ''}`}>{w.says}</p>}
      <dl class="facts">{rows.filter(([, v]) => v !== '').map(([name, v]) => [<dt key={name}>{name}</dt>, <dd key={`${name}=`}>{v}</dd>])}</dl>
      {e.payload && <section><h3>Sealed content</h3><div class="payloads">{Object.entries(e.payload).map(([name, p]) =>
        <PayloadChip key={p.ref} payload={{ role: payloadWord(name), ref: p.ref, hash: p.commitment, bytes: p.bytes }} />)}</div></section>}
      <section>
        <h3>Its place in the chain</h3>
        <ol class="links">
          <li><span class="quiet">this hash</span> <Copy text={e.integrity.this_hash} label="copy this hash"><span class="mono wrap">{e.integrity.this_hash}</span></Copy></li>
          <li><span class="quiet">hash before{e.seq > 0 && <>, of <a class="mono" href={ledgerHref(e.seq - 1)}>#{exact(e.seq - 1)}</a></>}</span> <Copy text={e.integrity.prev_hash} label="copy the hash before"><span class="mono wrap">{e.integrity.prev_hash}</span></Copy></li>
        </ol>
        <p class="vouch">{covered
          ? <><Icon name="anchor" class="k-verify" /><span><b>{head.anchored!.witness ?? head.anchored!.kind}</b> confirmed the first {exact(head.anchored!.size)} entries, this one among them. Changing it now would show.</span></>
          : e.seq < head.published_size ? <><Icon name="key" class="k-agent" /><span>Signed by this host. Nobody outside has confirmed it yet: whoever holds the host and its keys could still write it anew.</span></>
          : <><Icon name="key" class="k-agent" /><span>Signed and on the disk; no head that covers it has been published yet.</span></>}</p>
        <p class="quiet">group {exact(e.batch)}, epoch {exact(e.epoch)}{e.scope_seq !== undefined && `, number ${exact(e.scope_seq)} of its tenant`}</p>
      </section>
      <section>
        <h3>Proof</h3>
        {e.seq < head.published_size
          ? <p class="actions"><a class="button" href={`/api/v1/ledger/proof/${e.seq}?format=tlog-proof`} download={`entry-${e.seq}.tlog-proof`}><Icon name="download" />Download proof</a>
            <a href={`/api/v1/ledger/proof/${e.seq}`} target="_blank" rel="noopener">as JSON</a></p>
          : <p class="quiet">A proof leads to a published head; the next one is published within a minute.</p>}
        <p class="quiet">Together with the entry's line (<code>evident ledger cat --raw</code>) and a head that you trust it shows that this entry is in the ledger, without the rest of it.</p>
      </section>
      <section>
        <h3>The entry <span class="quiet">as it stands in the ledger, with its own hash added</span></h3>
        <pre class="raw-entry">{JSON.stringify(e, null, 2)}</pre>
        <p class="actions"><Copy text={location.origin + href({ page: 'ledger', entry: e.seq, filter: {}, show: null })} label="copy link to this entry">copy link to this entry</Copy></p>
      </section>
    </aside>
  );
}

const Step = ({ to, filter, icon, label }: { to: number | null; filter: LedgerFilter; icon: string; label: string }) =>
  to === null ? <span class="plain off" aria-hidden><Icon name={icon} /></span> : <a class="plain" href={ledgerHref(to, filter)} aria-label={label} title={label}><Icon name={icon} /></a>;
