// The steps of a run: tree and timeline in the same rows, so that one scroll moves both. Only rows near the window exist.
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Approval, Span } from './api.js';
import { waitOf } from './approvals.js';
import { count, duration, exact, money, plural, short } from './format.js';
import { Icon, isOutcome, kindHue, KindIcon, kindWord, OutcomeShape, SideEffectMark } from './icons.js';
import { parentRow, type Node, type Row, type StepRow, type Tree } from './tree.js';
import { Axis, Bar, place, type Scale, type Wait } from './timeline.js';

const rowHeight = 28;
const overscan = 14;

/** First and last row near the window, in steps so that most scroll events change nothing. */
function useNearRows(box: RefObject<HTMLElement | null>, total: number): [number, number] {
  const read = (): [number, number] => {
    const top = box.current ? -box.current.getBoundingClientRect().top : 0;
    const first = Math.floor(top / rowHeight / 8) * 8 - overscan;
    return [Math.max(0, Math.min(first, total)), Math.max(0, Math.min(total, first + Math.ceil(innerHeight / rowHeight) + 8 + 2 * overscan))];
  };
  const [range, setRange] = useState<[number, number]>([0, Math.min(total, 60)]);
  useLayoutEffect(() => {
    const update = () => setRange((old) => { const next = read(); return old[0] === next[0] && old[1] === next[1] ? old : next; });
    update();
    addEventListener('scroll', update, { passive: true });
    addEventListener('resize', update);
    return () => { removeEventListener('scroll', update); removeEventListener('resize', update); };
  }, [total]);
  return [Math.min(range[0], total), Math.min(range[1], total)];
}

/** The waits of each row: its own, labelled, and those of everything below it. Keyed by node. */
function waitsByNode(tree: Tree, approvals: readonly Approval[]): { own: Map<number, Wait>; below: Map<number, Wait[]>; end: number } {
  const own = new Map<number, Wait>();
  const below = new Map<number, Wait[]>();
  let end = tree.end;
  const byStep = new Map<string, number>();
  tree.nodes.forEach((n, i) => { if (n.span?.kind === 'approval') byStep.set(n.spanId, i); });
  for (const a of approvals) {
    const wait = waitOf(a, tree.end);
    if (!wait) continue;
    end = Math.max(end, wait.end);
    const at = a.request_span_id === null ? undefined
      : byStep.get(a.request_span_id) ?? tree.traces.map((t) => tree.index.get(`${t.id}:${a.request_span_id}`)).find((i) => i !== undefined);
    if (at === undefined) continue;
    own.set(at, wait);
    for (let p = tree.nodes[at]!.parent; p >= 0; p = tree.nodes[p]!.parent) {
      const inside = { ...wait, start: Math.max(wait.start, tree.nodes[p]!.start), end: Math.min(wait.end, tree.nodes[p]!.end) };
      if (inside.end > inside.start) below.set(p, [...(below.get(p) ?? []), inside]);
    }
  }
  return { own, below, end };
}

export interface StepsProps {
  readonly tree: Tree;
  readonly rows: readonly Row[];
  readonly approvals: readonly Approval[];
  readonly revealed: ReadonlySet<string>;
  /** Node id of the row that has the reader's attention. */
  readonly cursor: string | null;
  readonly firstWrong: number;
  onCursor(id: string): void;
  onOpen(id: string): void;
  onEscape(): void;
  onExpand(id: string, open: boolean): void;
  onReveal(id: string, open: boolean): void;
  onExpandAll(open: boolean): void;
  onSwitch(): void;
}

export function Steps(p: StepsProps) {
  const { tree, rows } = p;
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [from, to] = useNearRows(list, rows.length);
  const waits = useMemo(() => waitsByNode(tree, p.approvals), [tree, p.approvals]);
  const scale: Scale = useMemo(() => ({ start: tree.start, end: Math.max(waits.end, tree.start + 0.001) }), [tree, waits]);
  const [wide, setWide] = useState(600);
  const at = rows.findIndex((r) => r.type === 'step' && tree.nodes[r.node]!.id === p.cursor);

  useEffect(() => {
    const axis = box.current?.querySelector('.axis');
    if (!axis) return;
    const watch = new ResizeObserver(([entry]) => setWide(entry!.contentRect.width));
    watch.observe(axis);
    return () => watch.disconnect();
  }, []);

  const topRow = () => Math.max(0, Math.ceil((box.current!.querySelector('.stephead')!.getBoundingClientRect().bottom - list.current!.getBoundingClientRect().top) / rowHeight));
  /** Scrolls the least that brings a row between the sticky head and the foot of the window. */
  const bring = (i: number) => {
    const top = list.current!.getBoundingClientRect().top + i * rowHeight;
    const upper = box.current!.querySelector('.stephead')!.getBoundingClientRect().bottom;
    const lower = innerHeight - (innerWidth < 720 ? 64 : 8);
    if (top < upper) scrollBy(0, top - upper);
    else if (top + rowHeight > lower) scrollBy(0, top + rowHeight - lower);
  };
  useEffect(() => { if (at >= 0) bring(at); }, [p.cursor]);

  const move = (i: number, by: number) => {
    let next = i + by;
    while (rows[next]?.type === 'trace') next += by > 0 ? 1 : -1;
    const r = rows[Math.max(0, Math.min(rows.length - 1, next))];
    if (r?.type === 'step') p.onCursor(tree.nodes[r.node]!.id);
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const row = rows[at];
    const step = row?.type === 'step' ? row : null;
    const node = step ? tree.nodes[step.node]! : null;
    const page = Math.max(1, Math.floor(innerHeight / rowHeight) - 8);
    const acts: Record<string, () => void> = {
      ArrowDown: () => move(at, 1),
      ArrowUp: () => move(at < 0 ? 1 : at, -1),
      PageDown: () => move(at, page),
      PageUp: () => move(at, -page),
      Home: () => move(-1, 1),
      End: () => move(rows.length, -1),
      ArrowRight: () => {
        if (!step || !node) return;
        if (step.expandable && !step.expanded) p.onExpand(node.id, true);
        else if (step.hidden > 0) p.onReveal(node.id, true);
        else if (step.expanded) move(at, 1);
      },
      ArrowLeft: () => {
        if (!step || !node) return;
        if (step.expanded) p.onExpand(node.id, false);
        else if (p.revealed.has(node.id)) p.onReveal(node.id, false);
        else { const up = parentRow(rows, at); if (up >= 0) move(up, 0); }
      },
      Enter: () => { if (node) p.onOpen(node.id); },
      ' ': () => { if (node) p.onOpen(node.id); },
      Escape: () => p.onEscape(),
      a: () => p.onSwitch(),
      '+': () => p.onExpandAll(true),
      '-': () => p.onExpandAll(false),
    };
    const act = acts[e.key];
    if (act && (e.target as Element).getAttribute('role') === 'tree') { e.preventDefault(); act(); }
  };

  const near = [];
  for (let i = from; i < to; i++) near.push(i);
  if (at >= 0 && (at < from || at >= to)) near.push(at); // the row that aria-activedescendant names must exist
  return (
    <div class="steps" ref={box}>
      <div class="stephead" aria-hidden>
        <span>step</span><Axis scale={scale} most={Math.max(2, Math.floor(wide / 90))} /><span class="num">duration</span><span class="num c-tok">tokens</span><span class="num c-usd">cost</span>
      </div>
      <div class="rows" ref={list} role="tree" tabIndex={0} aria-label={`steps of the run, ${plural(rows.length, 'row')}`}
        aria-activedescendant={at >= 0 ? `row-${at}` : undefined} style={{ height: `${rows.length * rowHeight}px` }} onKeyDown={onKey}
        onFocus={(e) => { // by keyboard only: a press of the mouse says itself which row it means
          if (p.cursor === null && e.target === e.currentTarget && e.currentTarget.matches(':focus-visible')) move(topRow() - 1, 1);
        }}>
        {near.map((i) => {
          const r = rows[i]!;
          return r.type === 'trace' ? <TraceMark key={`t${r.trace}`} at={i} row={r} tree={tree} scale={scale} />
            : <StepLine key={tree.nodes[r.node]!.id} at={i} row={r} tree={tree} scale={scale} own={waits.own.get(r.node)} below={waits.below.get(r.node)} wide={wide}
                active={i === at} props={p} />;
        })}
      </div>
    </div>
  );
}

/** Kinds that are the sum of what they hold: drawn light, so that the leaves read first. */
const holders = new Set(['agent', 'handoff', 'plumbing']);
const offset = (at: number) => ({ transform: `translateY(${at * rowHeight}px)` });

function TraceMark({ at, row, tree, scale }: { at: number; row: Extract<Row, { type: 'trace' }>; tree: Tree; scale: Scale }) {
  const t = tree.traces[row.trace]!;
  const p = place(scale, t.start - Math.max(0, row.gap), t.start);
  return (
    <div class="row mark" role="presentation" style={offset(at)}>
      <span class="cell tree">trace {row.trace + 1} of {tree.traces.length} <span class="quiet mono">{short(t.id)}</span></span>
      <span class="cell lane">{row.gap > 0 && <i class="b hatch thin" style={{ left: `${p.left}%`, width: `${p.width}%` }} />}</span>
      <span class="cell quiet gap">{row.gap > 0 ? `${duration(row.gap)} later` : 'at the same time'}</span>
    </div>
  );
}

export const stepName = (s: Span) => (s.kind === 'tool' && s.tool_name ? s.tool_name : s.name);
/** The shape beside a step: its outcome when it has one that is news, else its error. */
export const stepOutcome = (s: Span) =>
  s.outcome && s.outcome !== 'success' && isOutcome(s.outcome) ? s.outcome : s.status === 'error' ? 'failure' : '';

function StepLine({ at, row, tree, scale, own, below, wide, active, props }:
  { at: number; row: StepRow; tree: Tree; scale: Scale; own: Wait | undefined; below: Wait[] | undefined; wide: number; active: boolean; props: StepsProps }) {
  const n: Node = tree.nodes[row.node]!;
  const s = n.span;
  const took = own ? Math.max(n.end - n.start, own.end - own.start) : n.end - n.start;
  const tokens = (s?.tokens_in ?? 0) + (s?.tokens_out ?? 0);
  const outcome = s ? stepOutcome(s) : '';
  const approvalWord = s?.kind === 'approval' ? s.approval_state : null;
  return (
    <div id={`row-${at}`} role="treeitem" aria-level={row.level} aria-posinset={row.position} aria-setsize={row.siblings}
      {...(row.expandable ? { 'aria-expanded': row.expanded } : {})} aria-selected={active}
      class={`row ${active ? 'active' : ''} ${row.dim ? 'dim' : ''} ${outcome ? `is-${outcome}` : ''} ${row.node === props.firstWrong ? 'wrong' : ''}`}
      style={offset(at)} onClick={() => props.onOpen(n.id)}>
      <span class="cell tree" style={{ paddingLeft: `${Math.min(row.level - 1, 16) * 16}px` }}>
        {row.expandable
          ? <button type="button" class={`twisty ${row.expanded ? 'open' : ''}`} tabIndex={-1} aria-hidden
              onClick={(e) => { e.stopPropagation(); props.onExpand(n.id, !row.expanded); }}><Icon name="chevron" /></button>
          : <span class="twisty" />}
        {row.level > 17 && <small class="quiet">{row.level}</small>}
        <KindIcon kind={s?.kind ?? 'missing'} />
        {s ? <span class={`name ${n.folds ? 'plumbing' : ''}`} title={s.name}>{stepName(s)}</span>
          : <span class="name quiet" title={`Span ${n.spanId} is named as parent but was never received.`}>parent not received <span class="mono">{short(n.spanId)}</span></span>}
        <span class="unseen">, {s ? [kindWord(s.kind), outcome, own?.words].filter(Boolean).join(', ') : plural(n.children.length, 'child', 'children')}, </span>
        <OutcomeShape outcome={outcome} />
        {row.node === props.firstWrong && <span class="tag bad" title="heuristic">first wrong</span>}
        {s?.side_effect_level && <SideEffectMark level={s.side_effect_level} />}
        {approvalWord && <span class="tag amber">{approvalWord}</span>}
        {s?.model && s.kind === 'llm' && <span class="quiet also">{s.model}</span>}
        {s?.tool_name && s.kind !== 'tool' && <span class="quiet also">{s.tool_name}</span>}
        {s?.error_class && <span class="quiet also err">{s.error_class}</span>}
        {n.attempts > 1 && s?.attempt && <span class="tag">attempt {s.attempt}/{n.attempts}</span>}
        {n.note === 'cycle' && <span class="tag" title="The parents of these spans run in a circle; it was opened here.">circular parents</span>}
        {n.note === 'skew' && <span class="tag" title="Starts before its parent does: the two machines' clocks disagree.">clock skew</span>}
        {row.hidden > 0
          ? <button type="button" class={`tag more ${row.hiddenErrors > 0 && outcome === '' ? 'bad' : ''}`} tabIndex={-1} onClick={(e) => { e.stopPropagation(); props.onReveal(n.id, true); }}
              title="machinery below this step: show it">{exact(row.hidden)} hidden{row.hiddenErrors > 0 && outcome === '' && `, ${row.hiddenErrors} failed`}</button>
          : props.revealed.has(n.id) && <button type="button" class="tag more" tabIndex={-1} onClick={(e) => { e.stopPropagation(); props.onReveal(n.id, false); }}>hide</button>}
      </span>
      <span class="cell lane">
        <Bar scale={scale} wide={wide} bar={{
          kind: s?.kind ?? 'missing', start: n.start, end: n.end, failed: outcome === 'failure', holds: row.expandable && holders.has(kindHue(s?.kind ?? 'missing')),
          waits: own ? [own] : below ?? [], label: own?.label ?? '',
        }} />
      </span>
      <span class="cell num">{duration(took)}</span>
      <span class="cell num c-tok">{tokens > 0 ? count(tokens) : ''}</span>
      <span class="cell num c-usd">{s?.cost_usd ? money(s.cost_usd) : ''}</span>
    </div>
  );
}
