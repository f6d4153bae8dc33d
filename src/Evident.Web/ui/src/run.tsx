// One run: its head, its approvals, its first wrong step, then every step.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api, type RunStory, type Span } from './api.js';
import { ApprovalStory } from './approvals.js';
import { count, duration, evalWords, exact, flagMeaning, flagWord, fullTime, money, outcomeStory, parseTime, plural, short } from './format.js';
import { announce, Copy, Failed, Notice, PayloadChip, useWhileVisible } from './frame.js';
import { Icon, OutcomeShape } from './icons.js';
import { go, href, ledgerHref, runsHref } from './route.js';
import { stepName, Steps } from './steps.js';
import { StepSheet } from './step-sheet.js';
import { buildTree, shownAncestor, visibleRows, type Node, type Tree } from './tree.js';

export function RunPage({ id, step, all }: { id: string; step: string | null; all: boolean }) {
  const [story, setStory] = useState<RunStory | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const [grown, setGrown] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    document.title = `${id} · Evident`;
    api.run(id, stop.signal)
      .then((s) => {
        setStory(s);
        setFailed(null);
        setGrown(0);
        document.title = `${s.run.workflow_id ?? s.run.run_id} · ${s.run.session_id ?? short(id)} · Evident`;
        announce(`${s.run.workflow_id ?? 'run'} ${outcomeStory(s.run.outcome, s.run.resumed)}, ${plural(s.run.steps, 'step')}`);
      })
      .catch((e: unknown) => { if (!stop.signal.aborted) setFailed(e); });
    return () => stop.abort();
  }, [id, turn]);

  const open = story && (story.run.outcome === 'running' || story.run.outcome === 'interrupted');
  useWhileVisible(5000, async (signal) => {
    if (!open) return;
    const now = (await api.runs({ run: id, limit: 1 }, signal)).runs[0];
    if (now) setGrown(Math.max(0, now.spans - story.run.spans));
  }, `${id} ${open}`);

  if (failed && !story) return <Failed what="this run" error={failed} again={() => { setFailed(null); setTurn(turn + 1); }} />;
  if (!story) return <div class="skeleton tall" role="status" aria-label="reading the run">{Array.from({ length: 16 }, (_, i) => <i key={i} />)}</div>;
  return <Story story={story} step={step} all={all} grown={grown} reload={() => setTurn(turn + 1)} />;
}

const allTraces = (tree: Tree, spanId: string) => tree.traces.map((t) => tree.index.get(`${t.id}:${spanId}`)).find((i) => i !== undefined) ?? -1;

function Story({ story, step, all, grown, reload }: { story: RunStory; step: string | null; all: boolean; grown: number; reload: () => void }) {
  const { run } = story;
  const tree = useMemo(() => buildTree(story.spans), [story]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [revealed, setRevealed] = useState<ReadonlySet<string>>(new Set());
  const [filter, setFilter] = useState<StepFilter>(noFilter);
  const [cursor, setCursor] = useState<string | null>(null);

  const opened = step === null ? -1 : allTraces(tree, step);
  const shown = useMemo(() => visibleRows(tree, { logical: !all, collapsed, revealed, matches: matcher(filter) }), [tree, all, collapsed, revealed, filter]);

  // A step that is asked for by address must be on show, whatever was folded or closed above it.
  useEffect(() => {
    if (opened < 0) return;
    const above: string[] = [];
    for (let p = tree.nodes[opened]!.parent; p >= 0; p = tree.nodes[p]!.parent) above.push(tree.nodes[p]!.id);
    if (above.some((a) => collapsed.has(a))) setCollapsed(new Set([...collapsed].filter((c) => !above.includes(c))));
    if (!all && tree.nodes[opened]!.folds) {
      const holder = shownAncestor(tree, opened);
      if (holder >= 0 && !revealed.has(tree.nodes[holder]!.id)) setRevealed(new Set([...revealed, tree.nodes[holder]!.id]));
    }
    setCursor(tree.nodes[opened]!.id);
  }, [opened, tree]);

  const address = (spanId: string | null, everything = all) => href({ page: 'run', id: run.run_id, step: spanId, all: everything });
  const spanOf = (nodeId: string) => tree.nodes[tree.index.get(nodeId)!]!.spanId;
  const openStep = (spanId: string) => {
    if (filter !== noFilter) setFilter(noFilter);
    go(address(spanId), true);
  };
  const flip = (set: ReadonlySet<string>, id: string, has: boolean) => {
    const next = new Set(set);
    if (has) next.add(id); else next.delete(id);
    return next;
  };
  const firstWrong = story.first_wrong ? allTraces(tree, story.first_wrong.span_id) : -1;
  const elsewhere = !all && filter !== noFilter && shown.matched === 0 && shown.hidden > 0;

  return (
    <article class="run-page">
      <Head story={story} tree={tree} onStep={openStep} />
      {grown > 0 && <p class="news"><button type="button" class="pill" onClick={reload}>{exact(grown)} new {grown === 1 ? 'span' : 'spans'}</button></p>}
      <section class={opened >= 0 ? 'with-sheet' : ''} aria-label="steps">
        <StepBar filter={filter} setFilter={setFilter} tree={tree} all={all} hidden={shown.hidden} matched={shown.matched} missing={tree.missing}
          onSwitch={(everything) => go(address(step, everything), true)} />
        {tree.nodes.length === 0 ? <Notice title="This run has no steps yet."><p>Its spans may still be on their way.</p></Notice>
          : shown.rows.length === 0 ? <Notice title="No step matches.">
              <p>{elsewhere && <button type="button" onClick={() => go(address(step, true), true)}>Look in all spans</button>} <button type="button" onClick={() => setFilter(noFilter)}>Clear the filter</button></p>
            </Notice>
          : <Steps tree={tree} rows={shown.rows} approvals={story.approvals} revealed={revealed} cursor={cursor} firstWrong={firstWrong}
              onCursor={(c) => { setCursor(c); if (opened >= 0) go(address(spanOf(c)), true); }}
              onOpen={(c) => { setCursor(c); go(address(spanOf(c)), true); }}
              onEscape={() => { if (opened >= 0) go(address(null), true); else setFilter(noFilter); }}
              onExpand={(c, has) => setCollapsed(flip(collapsed, c, !has))}
              onReveal={(c, has) => setRevealed(flip(revealed, c, has))}
              onExpandAll={(has) => setCollapsed(new Set(has ? [] : tree.nodes.filter((n) => n.children.length > 0 && n.parent >= 0).map((n) => n.id)))}
              onSwitch={() => go(address(step, !all), true)} />}
      </section>
      {opened >= 0 && <StepSheet tree={tree} at={opened} story={story} onStep={openStep} onClose={() => {
        go(address(null), true);
        document.querySelector<HTMLElement>('[role=tree]')?.focus({ preventScroll: true });
      }} />}
    </article>
  );
}

interface StepFilter { readonly text: string; readonly failed: boolean; readonly slow: boolean; readonly approvals: boolean; readonly tool: string }
const noFilter: StepFilter = { text: '', failed: false, slow: false, approvals: false, tool: '' };

function matcher(f: StepFilter): ((n: Node) => boolean) | null {
  if (f === noFilter || (!f.text && !f.failed && !f.slow && !f.approvals && !f.tool)) return null;
  const text = f.text.toLowerCase();
  const holds = (s: Span) => [s.name, s.tool_name, s.model, s.kind, s.error_class, s.span_id, s.outcome].some((v) => v?.toLowerCase().includes(text));
  return ({ span: s, start, end }) => s !== null
    && (!f.failed || s.status === 'error' || s.outcome === 'failure' || s.outcome === 'timeout' || s.outcome === 'rejected')
    && (!f.slow || end - start > 1000)
    && (!f.approvals || s.kind === 'approval' || !!s.approval_state)
    && (!f.tool || s.tool_name === f.tool)
    && (!text || holds(s));
}

function StepBar({ filter, setFilter, tree, all, hidden, matched, missing, onSwitch }: {
  filter: StepFilter; setFilter: (f: StepFilter) => void; tree: Tree; all: boolean; hidden: number; matched: number; missing: number; onSwitch: (all: boolean) => void;
}) {
  const tools = useMemo(() => [...new Set(tree.nodes.map((n) => n.span?.tool_name).filter((t): t is string => !!t))].sort(), [tree]);
  const set = (part: Partial<StepFilter>) => {
    const next = { ...filter, ...part };
    setFilter(matcher(next) ? next : noFilter);
  };
  const toggle = (name: 'failed' | 'slow' | 'approvals', word: string) => (
    <button type="button" class="chip" aria-pressed={filter[name]} onClick={() => set({ [name]: !filter[name] })}>{word}</button>
  );
  return (
    <div class="bar stepbar" role="group" aria-label="filter the steps">
      <input data-filter type="search" aria-label="filter steps by text" placeholder="filter steps" value={filter.text} autocomplete="off" spellcheck={false}
        onInput={(e) => set({ text: e.currentTarget.value.trim() })}
        onKeyDown={(e) => {
          if (e.key === 'Escape') { set({ text: '' }); e.currentTarget.blur(); }
          if (e.key === 'Enter' || e.key === 'ArrowDown') { e.preventDefault(); document.querySelector<HTMLElement>('[role=tree]')?.focus({ preventScroll: true }); }
        }} />
      {toggle('failed', 'failed')}{toggle('slow', '> 1 s')}{toggle('approvals', 'approvals')}
      {tools.length > 0 && <select aria-label="filter by tool" value={filter.tool} onChange={(e) => set({ tool: e.currentTarget.value })}>
        <option value="">any tool</option>{tools.map((t) => <option key={t} value={t}>{t}</option>)}
      </select>}
      <span class="quiet" role="status">{filter !== noFilter ? `${exact(matched)} of ${exact(all ? tree.nodes.length : tree.nodes.length - hidden)} match` : ''}</span>
      <span class="grow" />
      {missing > 0 && <span class="quiet gone" title="Parents that spans name but that were never received">{plural(missing, 'parent')} missing</span>}
      <span class="switch" role="group" aria-label="which spans">
        <button type="button" aria-pressed={!all} onClick={() => onSwitch(false)} title="the agent's steps; machinery folded">logical</button>
        <button type="button" aria-pressed={all} onClick={() => onSwitch(true)} title="every span">all</button>
      </span>
      <span class="quiet hiddencount">{all ? plural(tree.nodes.length, 'span') : hidden > 0 ? `${exact(hidden)} hidden` : 'none hidden'}</span>
    </div>
  );
}

function Head({ story, tree, onStep }: { story: RunStory; tree: Tree; onStep: (spanId: string) => void }) {
  const { run } = story;
  const start = parseTime(run.start_time);
  const v = run.versions ?? {};
  const versions = ([['agent', v.agent], ['prompt', v.prompt], ['policy', v.policy], ['tool schema', v.tool_schema], ['release', run.release]] as const).filter(([, x]) => x);
  const model = v.model_requested && v.model_used && v.model_requested !== v.model_used ? `${v.model_requested} → ${v.model_used}` : v.model_used ?? v.model_requested ?? run.models.join(', ');
  const rootSpan = tree.roots.map((r) => tree.nodes[r]!.span).find((s) => s?.payloads.length);
  const asked = rootSpan?.payloads.find((p) => p.role === 'input' || p.role === 'input.messages');
  const answered = rootSpan?.payloads.find((p) => p.role === 'output' || p.role === 'output.messages');
  const wrong = story.first_wrong;
  const wrongSpan = wrong ? story.spans.find((s) => s.span_id === wrong.span_id) : null;
  return (
    <header class="run-head">
      <div class="titleline">
        <h1>{run.workflow_id ?? run.agent_name ?? 'run'}</h1>
        {run.session_id && <a class="mono" href={runsHref({ session: run.session_id })} title="all runs of this session">{run.session_id}</a>}
        {run.environment && <a class="quiet" href={runsHref({ environment: run.environment })}>{run.environment}</a>}
        <span class="grow" />
        <span class={`outcome t-${run.outcome}`}><OutcomeShape outcome={run.outcome} always />{outcomeStory(run.outcome, run.resumed)}{run.fallback && <span class="quiet">, with fallback</span>}</span>
      </div>
      <ul class="dots">
        <li title={fullTime(start)}><time dateTime={run.start_time}>{fullTime(start)}</time></li>
        <li><b>{duration(run.duration_ms)}</b>{run.approvals.wait_ms > 0 && <span class="quiet">{run.approvals.wait_ms <= run.duration_ms ? 'of it ' : 'and '}{duration(run.approvals.wait_ms)} waiting</span>}</li>
        <li><b>{exact(run.steps)}</b> {run.steps === 1 ? 'step' : 'steps'}</li>
        {run.trace_ids.length > 1 && <li>{run.trace_ids.length} traces</li>}
        {run.errors > 0 && <li class="bad">{plural(run.errors, 'error')}</li>}
        {run.retries > 0 && <li>{plural(run.retries, 'retry', 'retries')}</li>}
        <li title={`${exact(run.tokens_in)} in, ${exact(run.tokens_out)} out`}><b>{count(run.tokens_in + run.tokens_out)}</b> tok</li>
        {run.cost_usd !== null && <li title={run.unpriced_calls > 0 ? `${plural(run.unpriced_calls, 'call')} without a known price: at least this much` : undefined}><b>{run.unpriced_calls > 0 && '≥ '}{money(run.cost_usd)}</b> <span class="quiet">{run.cost_source}</span></li>}
        <Budget run={run} />
        {asked && <li>asked <PayloadChip payload={asked} named={false} /></li>}
        {answered && <li>answered <PayloadChip payload={answered} named={false} /></li>}
      </ul>
      {(story.approvals.length > 0 || wrong || run.flags.length > 0) && <ul class="stories">
        {story.approvals.map((a, i) => <ApprovalStory key={a.approval_id ?? i} approval={a} spans={story.spans} ledger={story.ledger} onStep={onStep} />)}
        {wrong && <li class="story s-wrong"><Icon name="flag" class="o-failure" /><div><p>
          First wrong step <span class="quiet">(heuristic)</span>: <button type="button" class="link" onClick={() => onStep(wrong.span_id)}>{wrongSpan ? stepName(wrongSpan) : short(wrong.span_id)}</button> {wrong.why}
        </p></div></li>}
        {run.flags.length > 0 && <li class="story"><Icon name="flag" class="k-guard" /><div><p class="flags">{run.flags.map((f) => <span key={f} class="flag" title={flagMeaning(f)}>{flagWord(f)}<span class="quiet">{flagMeaning(f)}</span></span>)}</p></div></li>}
      </ul>}
      {story.evals.length > 0 && <ul class="stories evals">{[...story.evals].sort((a, b) => Number(a.passed ?? true) - Number(b.passed ?? true)).slice(0, 12).map((e, i) => (
        <li class="story" key={i}><Icon name={e.passed === false ? 'failure' : 'success'} class={e.passed === false ? 'o-failure' : ''} /><div><p>
          {e.kind} <button type="button" class="link" onClick={() => onStep(e.span_id)}>{evalWords(e)}</button>{e.suite && <span class="quiet"> {e.suite}</span>}
        </p></div></li>))}{story.evals.length > 12 && <li class="quiet">and {exact(story.evals.length - 12)} more, each a step below</li>}</ul>}
      <ul class="dots ids">
        {versions.map(([name, value]) => <li key={name}>{name} <span class="mono">{value}</span></li>)}
        {model && <li>model <span class="mono">{model}</span></li>}
        <li>run <Copy text={run.run_id} label="copy run id"><span class="mono">{run.run_id}</span></Copy></li>
        {run.trace_ids.map((t, i) => <li key={t}>trace{run.trace_ids.length > 1 ? ` ${i + 1}` : ''} <Copy text={t} label="copy trace id"><span class="mono">{short(t)}</span></Copy></li>)}
        {story.ledger.length > 0 && <li>ledger {story.ledger.slice(0, 6).map((l) => <a key={l.seq} class="mono" href={ledgerHref(l.seq)} title={`${l.type} ${l.this_hash}`}>#{l.seq}</a>)}{story.ledger.length > 6 && <span class="quiet">+{story.ledger.length - 6}</span>}</li>}
      </ul>
    </header>
  );
}

function Budget({ run }: { run: RunStory['run'] }) {
  const b = run.budget;
  if (!b) return null;
  const used = b.steps ?? run.steps;
  const parts: { words: string; share: number }[] = [];
  if (b.max_steps) parts.push({ words: `${exact(used)}/${exact(b.max_steps)} steps`, share: used / b.max_steps });
  if (b.max_cost_usd && run.cost_usd !== null) parts.push({ words: `${money(run.cost_usd)}/${money(b.max_cost_usd)}`, share: run.cost_usd / b.max_cost_usd });
  if (parts.length === 0) return null;
  return (
    <li class="budget">budget {parts.map(({ words, share }) => (
      <span key={words} class={share >= 1 ? 'spent' : ''}>{words} <span class="cells" aria-hidden>{Array.from({ length: 8 }, (_, i) => <i key={i} class={share * 8 > i + 0.01 ? 'on' : ''} />)}</span></span>
    ))}</li>
  );
}
