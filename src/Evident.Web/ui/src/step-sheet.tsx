// Everything known about one step, beside the tree: facts first, raw attributes last. Not a modal; the arrows keep working.
import { useEffect, useRef } from 'preact/hooks';
import type { Attributes, AttributeValue, RunStory, Span } from './api.js';
import { decider, waitWords } from './approvals.js';
import { bytes, duration, evalWords, exact, fullTime, money, parseTime, plural, short } from './format.js';
import { Copy, PayloadChip } from './frame.js';
import { Icon, KindIcon, kindWord, OutcomeShape, SideEffectMark } from './icons.js';
import { href, ledgerHref } from './route.js';
import { stepName, stepOutcome } from './steps.js';
import type { Tree } from './tree.js';

const plain = (v: AttributeValue) => (typeof v === 'string' ? v : JSON.stringify(v));
const attribute = (s: Span, ...names: string[]): string => {
  for (const name of names) if (s.attributes[name] !== undefined && s.attributes[name] !== null) return plain(s.attributes[name]!);
  return '';
};

interface Props { tree: Tree; at: number; story: RunStory; onStep: (spanId: string) => void; onClose: () => void }

export function StepSheet({ tree, at, story, onStep, onClose }: Props) {
  const box = useRef<HTMLElement>(null);
  const node = tree.nodes[at]!;
  const s = node.span;
  useEffect(() => { box.current?.scrollTo(0, 0); }, [at]);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.key === 'Escape' && !e.defaultPrevented && !document.querySelector('dialog[open]') && !(e.target as Element).closest('input')) onClose();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
  return (
    <aside class="sheet" ref={box} aria-label="step" tabIndex={-1}>
      <header>
        <KindIcon kind={s?.kind ?? 'missing'} /><h2>{s ? stepName(s) : 'parent not received'}</h2>
        <button type="button" class="plain" onClick={onClose} aria-label="close the sheet"><Icon name="close" /></button>
      </header>
      {s ? <Facts s={s} tree={tree} at={at} story={story} onStep={onStep} />
        : <p>{plural(node.children.length, 'span')} of this trace {node.children.length === 1 ? 'names' : 'name'} <Copy text={node.spanId}><span class="mono">{node.spanId}</span></Copy> as parent, and it was never received.
            It may still arrive; if not, look at the exporter of the service that made it.</p>}
    </aside>
  );
}

function Facts({ s, tree, at, story, onStep }: { s: Span } & Omit<Props, 'onClose'>) {
  const node = tree.nodes[at]!;
  const outcome = stepOutcome(s);
  const approval = story.approvals.find((a) => a.request_span_id === s.span_id || a.executed_span_id === s.span_id);
  const entries = story.ledger.filter((l) => s.ledger.includes(l.seq) || l.span_id === s.span_id);
  const parent = node.parent >= 0 ? tree.nodes[node.parent]! : null;
  const requested = attribute(s, 'gen_ai.request.model');
  const cached = attribute(s, 'gen_ai.usage.cache_read.input_tokens');
  const backoff = attribute(s, 'backoff_ms');
  const share = tree.end > tree.start ? (s.duration_ms / (tree.end - tree.start)) * 100 : 0;
  const judged = story.evals.filter((e) => e.target_span_id === s.span_id && e.span_id !== s.span_id);
  const facts: [string, preact.ComponentChildren][] = [
    ['kind', <>{kindWord(s.kind)}{s.name !== stepName(s) && <span class="quiet"> {s.name}</span>}</>],
    ['ended', outcome ? <span class={`t-${outcome}`}><OutcomeShape outcome={outcome} />{outcome}</span> : s.status === 'ok' || s.outcome === 'success' ? 'ok' : 'no error reported'],
    ['error', s.error_class],
    ['started', fullTime(node.start)],
    ['took', <>{duration(s.duration_ms)}{share >= 1 && share < 99.5 && <span class="quiet"> {Math.round(share)} % of the run</span>}</>],
    ['side effect', s.side_effect_level && s.side_effect_level !== 'none' ? <SideEffectMark level={s.side_effect_level} /> : s.kind === 'tool' ? 'none' : ''],
    ['target', attribute(s, 'tool.target')],
    ['idempotency key', attribute(s, 'tool.idempotency_key')],
    ['attempt', s.attempt ? <>{s.attempt}{node.attempts > 1 && ` of ${node.attempts}`}{backoff && <span class="quiet"> after {duration(Number(backoff))} backoff</span>}</> : ''],
    ['model', s.model ? (requested && requested !== s.model ? `${requested} → ${s.model}` : s.model) : ''],
    ['tokens', s.tokens_in || s.tokens_out ? <>{exact(s.tokens_in ?? 0)} in, {exact(s.tokens_out ?? 0)} out{cached && <span class="quiet">, {cached} cached</span>}</> : ''],
    ['cost', s.cost ? <>{money(s.cost.usd)} <span class="quiet">{s.cost.source}{s.cost.price && ` with ${s.cost.price.provider} ${s.cost.price.model}, table ${s.cost.price.table}, in force ${s.cost.price.table_from ? `from ${s.cost.price.table_from}` : 'with this build'}`}</span></> : ''],
    ['formula', s.cost?.formula],
    ['judged', judged.length ? judged.map((e, i) => <div key={i}>{e.kind}: {evalWords(e)}</div>) : ''],
    ['approval', approval ? <>{waitWords(approval)}{approval.request_span_id !== s.span_id && approval.request_span_id && <> <button type="button" class="link" onClick={() => onStep(approval.request_span_id!)}>request</button></>}</>
      : s.approval_state ? `${s.approval_state}, no record of the request` : ''],
    ['decided', approval?.decided_time ? <>{fullTime(parseTime(approval.decided_time))} <span class="quiet">{decider(approval)}</span></> : ''],
    ['arguments', approval && approval.args_match !== null ? (approval.args_match ? <span class="good"><Icon name="success" />those approved</span> : <span class="bad"><Icon name="failure" class="o-failure" />not those approved</span>) : ''],
    ['guardrail', attribute(s, 'guardrail.name') && `${attribute(s, 'guardrail.name')}: ${attribute(s, 'guardrail.decision')}`],
    ['policy', attribute(s, 'policy.name') && `${attribute(s, 'policy.name')}: ${attribute(s, 'policy.decision')}`],
    ['risk', attribute(s, 'approval.risk_level')],
    ['paused for', attribute(s, 'interrupt.reason').replaceAll('_', ' ')],
    ['handed to', attribute(s, 'handoff.to')],
    ['fell back', [attribute(s, 'fallback.from'), attribute(s, 'fallback.reason')].filter(Boolean).join(', ')],
    ['verified', { true: 'passed', false: 'did not pass' }[attribute(s, 'verify.passed')] ?? ''],
    ['evaluation', ['eval.name', 'eval.label', 'eval.score'].map((n) => attribute(s, n)).filter(Boolean).join(' · ')],
    ['stopped', attribute(s, 'stop_reason').replaceAll('_', ' ')],
    ['service', plain(s.resource['service.name'] ?? '')],
    ['parent', parent ? <button type="button" class="link" onClick={() => onStep(parent.spanId)}>{parent.span ? stepName(parent.span) : `not received (${short(parent.spanId)})`}</button> : ''],
    ['span', <Copy text={s.span_id} label="copy span id"><span class="mono">{s.span_id}</span></Copy>],
    ['trace', <Copy text={s.trace_id} label="copy trace id"><span class="mono">{short(s.trace_id, 12)}</span></Copy>],
    ['revisions', s.revisions > 1 ? `${s.revisions} receipts merged, the later one wins` : ''],
    ['link', <Copy text={location.origin + href({ page: 'run', id: story.run.run_id, step: s.span_id, all: false })} label="copy link to this step">copy link to this step</Copy>],
  ];
  return (
    <>
      <dl class="facts">{facts.filter(([, v]) => v !== '' && v !== null && v !== undefined).map(([name, v]) => [<dt key={name}>{name}</dt>, <dd key={`${name}=`}>{v}</dd>])}</dl>
      {(s.payloads.length > 0 || s.capture) && <Part name="Content" note={s.payloads.length > 0 ? `${plural(s.payloads.length, 'payload')}, ${bytes(s.payloads.reduce((n, p) => n + p.bytes, 0))}` : undefined}>
        {s.capture && <p class="quiet captured">{captureWords[s.capture]}</p>}
        {s.payloads.length > 0 && <div class="payloads">{s.payloads.map((p) => <PayloadChip key={p.ref ?? p.role} payload={p} />)}</div>}
      </Part>}
      {s.references && <Part name="Kept elsewhere" note="by the sender; never fetched from here"><dl class="raw">{s.references.map((r) => [
        <dt key={r.name} title={r.name}>{r.role === 'attributes' ? r.name : r.role}</dt>, <dd key={`${r.name}=`}><Copy text={r.uri} label="copy the reference"><span class="mono wrap">{r.uri}</span></Copy></dd>])}</dl></Part>}
      {entries.length > 0 && <Part name="Ledger"><ul class="plainlist">{entries.map((l) => (
        <li key={l.seq}><a class="mono" href={ledgerHref(l.seq)}>#{l.seq}</a> {l.type} <span class="mono quiet" title={l.this_hash}>{short(l.this_hash)}</span></li>))}</ul></Part>}
      {s.events.length > 0 && <Part name="Events">{s.events.map((e, i) => (
        <div class={`event ${e.name === 'exception' ? 'bad' : ''}`} key={i}>
          <p><b>{e.name}</b> <span class="quiet num" title={fullTime(parseTime(e.time))}>+{duration(parseTime(e.time) - node.start)}</span></p>
          <Raw of={e.attributes} />
        </div>))}</Part>}
      {s.links.length > 0 && <Part name="Links"><ul class="plainlist">{s.links.map((l) => (
        <li key={l.trace_id + l.span_id}>{tree.index.has(`${l.trace_id}:${l.span_id}`)
          ? <button type="button" class="link mono" onClick={() => onStep(l.span_id)}>{short(l.trace_id)} / {l.span_id}</button>
          : <Copy text={l.trace_id} label="copy trace id"><span class="mono">{short(l.trace_id)} / {l.span_id}</span></Copy>}</li>))}</ul></Part>}
      <Part name="Attributes" note={`otlp ${s.otlp_kind}${s.scope ? ` · ${s.scope}` : ''}`}><Raw of={s.attributes} /></Part>
      {Object.keys(s.resource).length > 0 && <Part name="Resource"><Raw of={s.resource} /></Part>}
    </>
  );
}

/** What the policy of capture made of a step's content. */
const captureWords: Record<NonNullable<Span['capture']>, string> = {
  structure: 'Not captured by policy: of each payload its size and a fingerprint for comparing, and nothing that could be read back.',
  opt_out: 'Not captured by policy: this tenant opted out. The step had content; nothing of it was kept.',
  full: 'Captured in full, unredacted, while a debug session was open.',
};

const Part = ({ name, note, children }: { name: string; note?: string | undefined; children: preact.ComponentChildren }) => (
  <section><h3>{name}{note && <span class="quiet"> {note}</span>}</h3>{children}</section>
);

function Raw({ of }: { of: Attributes }) {
  const names = Object.keys(of).sort();
  if (names.length === 0) return <p class="quiet">none</p>;
  return <dl class="raw">{names.map((n) => [<dt key={n}>{n}</dt>, <dd key={`${n}=`}>{plain(of[n]!)}</dd>])}</dl>;
}
