// The list of runs: a table that reads as a log. Rows never move by themselves; what is new waits behind a pill.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, type Run } from './api.js';
import { announce, Failed, Notice, useNow, useWhileVisible } from './frame.js';
import { ago, cents, clock, count, day, duration, flagMeaning, flagWord, fullTime, money, outcomeStory, outcomeWord, parseTime, plural } from './format.js';
import { Icon, OutcomeShape, SideEffectMark } from './icons.js';
import { go, runHref, runsHref, type Filter, type FilterName } from './route.js';

const pageSize = 50;
const outcomes = ['success', 'partial', 'failure', 'rejected', 'timeout', 'interrupted', 'running'];
const filterWords: Record<FilterName, string> = {
  workflow: 'workflow', outcome: 'outcome', session: 'session', tool: 'tool', q: 'text', tenant: 'tenant', environment: 'environment', from: 'from', to: 'to',
};

interface Loaded { key: string /* of the filter that was asked */; runs: Run[]; next: string | null }

export function RunsPage({ filter }: { filter: Filter }) {
  const key = JSON.stringify(filter);
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [fresh, setFresh] = useState<{ runs: Run[]; next: string | null; n: number } | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [older, setOlder] = useState<'' | 'loading' | 'failed'>('');
  const [turn, setTurn] = useState(0);
  const now = useNow();

  useEffect(() => {
    document.title = 'Runs · Evident';
    const stop = new AbortController();
    setFresh(null);
    api.runs({ ...filter, limit: pageSize }, stop.signal)
      .then((page) => { setLoaded({ ...page, key }); setFailed(null); announce(plural(page.runs.length, 'run')); })
      .catch((e: unknown) => { if (!stop.signal.aborted) setFailed(e); });
    return () => stop.abort();
  }, [key, turn]);

  useWhileVisible(4000, async (signal) => {
    if (loaded?.key !== key) return;
    const page = await api.runs({ ...filter, limit: pageSize }, signal);
    const known = new Set(loaded.runs.map((r) => r.run_id));
    const n = page.runs.filter((r) => !known.has(r.run_id)).length;
    if (n > 0 && n !== fresh?.n) announce(`${n} new`);
    setFresh(n > 0 ? { ...page, n } : null);
    const changed = new Map(page.runs.map((r) => [r.run_id, r]));
    setLoaded((l) => l && { ...l, runs: l.runs.map((r) => changed.get(r.run_id) ?? r) });
  }, key + (loaded?.runs[0]?.run_id ?? ''));

  const showFresh = () => {
    if (!fresh) return;
    setLoaded({ key, runs: fresh.runs, next: fresh.next });
    setFresh(null);
    scrollTo(0, 0);
  };
  const loadOlder = () => {
    if (!loaded?.next || older === 'loading') return;
    setOlder('loading');
    api.runs({ ...filter, limit: pageSize, cursor: loaded.next })
      .then((page) => {
        setLoaded((l) => {
          const known = new Set(l?.runs.map((r) => r.run_id));
          return l && l.key === key ? { ...l, runs: [...l.runs, ...page.runs.filter((r) => !known.has(r.run_id))], next: page.next } : l;
        });
        setOlder('');
        announce(`${plural(page.runs.length, 'older run')} below`);
      })
      .catch(() => setOlder('failed'));
  };

  const set = (name: FilterName, value: string | undefined) => {
    const next = { ...filter };
    if (value) next[name] = value; else delete next[name];
    go(runsHref(next));
  };
  const active = (Object.entries(filter) as [FilterName, string][]).filter(([, value]) => value);

  return (
    <div class="runs">
      <div class="bar">
        <h1>Runs</h1>
        <Filters runs={loaded?.runs ?? []} set={set} outcome={filter.outcome ?? ''} />
      </div>
      <div class="bar chips" aria-label="active filters">
        {active.map(([name, value]) => (
          <button type="button" class="chip" key={name} onClick={() => set(name, undefined)} aria-label={`remove filter ${filterWords[name]} ${value}`}>
            <span>{filterWords[name]}</span> <b>{name === 'outcome' ? outcomeWord(value) : value}</b><Icon name="close" />
          </button>
        ))}
        {active.length > 1 && <a href="/">clear all</a>}
        {active.length === 0 && <span class="quiet">newest first · times in {zoneName()}</span>}
        {fresh && <button type="button" class="pill" onClick={showFresh}>{fresh.n >= pageSize ? `${pageSize}+` : fresh.n} new</button>}
      </div>
      {failed ? <Failed what="the runs" error={failed} again={() => { setFailed(null); setTurn(turn + 1); }} />
        : !loaded ? <div class="skeleton" role="status" aria-label="reading the runs">{Array.from({ length: 12 }, (_, i) => <i key={i} />)}</div>
        : loaded.runs.length === 0 ? (active.length > 0
          ? <Notice title="No run matches."><p>Remove a filter above, or <a href="/">see all runs</a>.</p></Notice>
          : <Empty />)
        : <Table runs={loaded.runs} now={now} filter={filter} stale={loaded.key !== key} />}
      {!failed && loaded?.next && <p class="older"><button type="button" onClick={loadOlder} disabled={older === 'loading'}>
        {older === 'loading' ? 'Reading …' : older === 'failed' ? 'Older runs did not come. Try again' : 'Older'}</button></p>}
    </div>
  );
}

const zoneName = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

function Empty() {
  return (
    <Notice title="No run has arrived yet.">
      <p>Point an agent's OTLP exporter at this appliance, then run it once:</p>
      <pre>OTEL_EXPORTER_OTLP_ENDPOINT={location.origin}{'\n'}OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf</pre>
      <p class="quiet">Or see it work with <code>evident demo</code>. This page looks again every few seconds.</p>
    </Notice>
  );
}

function Filters({ runs, set, outcome }: { runs: Run[]; set: (name: FilterName, value: string | undefined) => void; outcome: string }) {
  const seen = (of: (r: Run) => (string | null)[]) => [...new Set(runs.flatMap(of))].filter((v): v is string => !!v).sort();
  const fields: [FilterName, string, string[]][] = [
    ['q', 'text', []],
    ['workflow', 'workflow', seen((r) => [r.workflow_id])],
    ['session', 'session', seen((r) => [r.session_id])],
    ['tool', 'tool', seen((r) => r.tools.map((t) => t.name))],
  ];
  return (
    <div class="filters" role="group" aria-label="filter the runs">
      {fields.map(([name, word, known]) => (
        <form key={name} class={`f-${name}`} onSubmit={(e) => {
          e.preventDefault();
          const field = e.currentTarget.querySelector('input')!;
          if (field.value.trim()) set(name, field.value.trim());
          field.value = '';
        }}>
          <input name={name} aria-label={`filter by ${word}`} placeholder={word} list={known.length > 0 ? `known-${name}` : undefined} autocomplete="off" spellcheck={false}
            {...(name === 'q' ? { 'data-filter': true } : {})}
            onInput={(e) => { // a value picked from the list needs no Enter
              const how = (e as InputEvent).inputType;
              if ((how === undefined || how === 'insertReplacementText') && known.includes(e.currentTarget.value)) e.currentTarget.form!.requestSubmit();
            }} />
          {known.length > 0 && <datalist id={`known-${name}`}>{known.map((v) => <option key={v} value={v} />)}</datalist>}
        </form>
      ))}
      <select aria-label="filter by outcome" value={outcome} onChange={(e) => set('outcome', e.currentTarget.value || undefined)}>
        <option value="">any outcome</option>
        {outcomes.map((o) => <option key={o} value={o}>{outcomeWord(o)}</option>)}
      </select>
    </div>
  );
}

function Table({ runs, now, filter, stale }: { runs: Run[]; now: number; filter: Filter; stale: boolean }) {
  const body = useRef<HTMLTableElement>(null);
  const onKey = (e: KeyboardEvent) => {
    const step = e.key === 'ArrowDown' || e.key === 'j' ? 1 : e.key === 'ArrowUp' || e.key === 'k' ? -1 : 0;
    if (!step) return;
    const links = [...body.current!.querySelectorAll<HTMLAnchorElement>('a.to-run')];
    const row = (e.target as Element).closest('tr')?.querySelector('a.to-run');
    const next = links[links.findIndex((l) => l === row) + step];
    if (next) { e.preventDefault(); next.focus(); }
  };
  const open = (e: MouseEvent, run: Run) => {
    if ((e.target as Element).closest('a, button') || String(getSelection() ?? '')) return;
    if (e.ctrlKey || e.metaKey) open_(runHref(run.run_id)); else go(runHref(run.run_id));
  };
  let today = '';
  return (
    <table class={`log ${stale ? 'stale' : ''}`} aria-busy={stale} ref={body} onKeyDown={onKey} role="table" aria-label="runs, newest first">
      <thead role="rowgroup"><tr role="row">
        {['time', 'outcome', 'workflow', 'session', 'tools', 'flags'].map((c) => <th key={c} role="columnheader" class={`c-${c}`}>{c}</th>)}
        {['duration', 'steps', 'tokens', 'cost'].map((c) => <th key={c} role="columnheader" class={`num c-${c}`}>{c}</th>)}
      </tr></thead>
      <tbody role="rowgroup">
        {runs.map((r) => {
          const start = parseTime(r.start_time);
          const date = day(start);
          const heading = date !== today && (today = date);
          return [
            heading && <tr class="day" role="row" key={date}><td role="cell">{heading}</td></tr>,
            <tr key={r.run_id} role="row" class="run" onClick={(e) => open(e, r)}>
              <td role="cell" class="c-time" title={fullTime(start)}><time dateTime={r.start_time}>{clock(start)}</time> <span class="quiet">{ago(start, now).replace(' ago', '')}</span></td>
              <td role="cell" class={`c-outcome t-${r.outcome}`}>
                <OutcomeShape outcome={r.outcome} /><span title={outcomeStory(r.outcome, r.resumed)}>{outcomeWord(r.outcome)}</span>
                {r.resumed && <span class="quiet"> resumed</span>}{r.fallback && <Icon name="fallback" label="fell back to another model or path" class="o-fallback" />}
              </td>
              <td role="cell" class="c-workflow"><a class="to-run" href={runHref(r.run_id)}>{r.workflow_id ?? r.agent_name ?? r.run_id}</a>{r.environment && <span class="quiet"> {r.environment}</span>}</td>
              <td role="cell" class="c-session">{r.session_id && <a class="mono" href={runsHref({ ...filter, session: r.session_id })} title={`runs of session ${r.session_id}`}>{r.session_id}</a>}</td>
              <td role="cell" class="c-tools"><Tools run={r} filter={filter} /></td>
              <td role="cell" class="c-flags"><div class="few">{r.flags.map((f) => <span key={f} class="flag" title={flagMeaning(f)}><Icon name="flag" />{flagWord(f)}</span>)}{(r.flags.length === 0 || r.approvals.waiting > 0) && <Approvals run={r} />}</div></td>
              <td role="cell" class="num c-duration" title={r.approvals.wait_ms > 0 ? `${duration(r.approvals.wait_ms)} of it waiting for a person` : undefined}><Wait run={r} />{duration(r.duration_ms)}</td>
              <td role="cell" class="num c-steps">{count(r.steps)}</td>
              <td role="cell" class="num c-tokens">{count(r.tokens_in + r.tokens_out)}</td>
              <td role="cell" class="num c-cost" title={r.cost_usd === null ? undefined : money(r.cost_usd)}>{r.cost_usd === null ? '' : cents(r.cost_usd)}</td>
            </tr>,
          ];
        })}
      </tbody>
    </table>
  );
}

const open_ = (to: string) => { window.open(to, '_blank', 'noopener'); };

const weight = { none: 0, read: 1, unknown: 2, write: 3, irreversible: 4 };

/** The tools with the gravest effect first; the rest as a number. */
function Tools({ run, filter }: { run: Run; filter: Filter }) {
  const tools = [...run.tools].sort((a, b) => weight[b.side_effect_level] - weight[a.side_effect_level] || b.calls - a.calls);
  return (
    <div class="few">
      {tools.slice(0, 2).map((t) => (
        <a key={t.name} class="toolchip" href={runsHref({ ...filter, tool: t.name })} title={`${t.name}: ${plural(t.calls, 'call')}${t.errors ? `, ${t.errors} failed` : ''}`}>
          <SideEffectMark level={t.side_effect_level} word={false} /><span>{t.name}</span>{t.calls > 1 && <small> ×{t.calls}</small>}
        </a>
      ))}
      {tools.length > 2 && <span class="quiet" title={tools.slice(2).map((t) => t.name).join(', ')}>+{tools.length - 2}</span>}
    </div>
  );
}

function Approvals({ run: { approvals: a } }: { run: Run }) {
  if (a.waiting > 0) return <span class="flag waits" title="an approval is waiting"><Icon name="approval" />waiting</span>;
  if (a.rejected > 0) return <span class="appr" title="an approver said no"><Icon name="approval" class="k-approval" />rejected</span>;
  if (a.expired > 0) return <span class="appr" title="nobody decided in time"><Icon name="approval" class="k-approval" />expired</span>;
  if (a.approved > 0) return <span class="appr" title={`waited ${duration(a.wait_ms)} for a person`}><Icon name="approval" class="k-approval" />approved</span>;
  return null;
}

/** How much of the duration a person was awaited. */
function Wait({ run }: { run: Run }) {
  const share = run.duration_ms > 0 ? Math.min(1, run.approvals.wait_ms / run.duration_ms) : 0;
  return share > 0.01 ? <span class="waitbar" aria-hidden><i class="hatch" style={{ width: `${Math.round(share * 100)}%` }} /></span> : null;
}
