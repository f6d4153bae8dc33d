// Spans to a tree, and the tree to the rows that are on show. Pure, iterative (a chain of 50,000 spans is legal input),
// and linear but for the sorting of siblings.
import type { Span } from './api.js';
import { parseTime } from './format.js';

export interface Node {
  /** `trace:span`, unique on the page even when two traces reuse a span id. */
  readonly id: string;
  /** null: a placeholder for a parent that was named but never received. */
  readonly span: Span | null;
  readonly traceId: string;
  readonly spanId: string;
  /** Index into Tree.nodes, -1 for a root. */
  parent: number;
  /** Indices in clock order. */
  children: number[];
  /** Milliseconds since 1970. A placeholder spans its children. */
  start: number;
  end: number;
  /** Machinery rather than an agent's step, and below such a step: the logical view folds it. */
  folds: boolean;
  /** Siblings of the same name that carry attempt numbers: the highest of them. */
  attempts: number;
  /** `cycle`: the parents ran in a circle and were cut here. `skew`: starts before its parent does, so the clocks disagree. */
  note: '' | 'cycle' | 'skew';
}

export interface TraceSpan { readonly id: string; readonly first: number; start: number; end: number }

export interface Tree {
  readonly nodes: Node[];
  /** Root indices: by trace in order of the traces' first start, then by clock. */
  readonly roots: number[];
  readonly traces: TraceSpan[];
  readonly index: ReadonlyMap<string, number>;
  readonly start: number;
  readonly end: number;
  /** Placeholders. */
  readonly missing: number;
}

const plumbing = new Set(['span', 'http', 'db', 'event']);
export const isPlumbing = (kind: string) => plumbing.has(kind);
export const nodeId = (traceId: string, spanId: string) => `${traceId}:${spanId}`;

export function buildTree(spans: readonly Span[]): Tree {
  const nodes: Node[] = [];
  const index = new Map<string, number>();
  const add = (span: Span | null, traceId: string, spanId: string, start: number, end: number) => {
    const at = nodes.length;
    const id = nodeId(traceId, spanId);
    nodes.push({ id, span, traceId, spanId, parent: -1, children: [], start, end, folds: false, attempts: 0, note: '' });
    index.set(id, at);
    return at;
  };

  for (const s of spans) {
    if (index.has(nodeId(s.trace_id, s.span_id))) continue;
    const start = parseTime(s.start_time);
    const end = parseTime(s.end_time);
    add(s, s.trace_id, s.span_id, start, end >= start ? end : start);
  }
  const received = nodes.length;
  for (let i = 0; i < received; i++) {
    const parentId = nodes[i]!.span!.parent_span_id;
    if (!parentId) continue;
    const { traceId } = nodes[i]!;
    nodes[i]!.parent = index.get(nodeId(traceId, parentId)) ?? add(null, traceId, parentId, Infinity, -Infinity);
  }
  cutCycles(nodes);

  const byClock = (a: number, b: number) => {
    const x = nodes[a]!;
    const y = nodes[b]!;
    return x.start - y.start || y.end - x.end || (x.id < y.id ? -1 : x.id > y.id ? 1 : 0);
  };
  const roots: number[] = [];
  for (let i = 0; i < nodes.length; i++) {
    const n = nodes[i]!;
    if (n.parent < 0) { roots.push(i); continue; }
    const p = nodes[n.parent]!;
    p.children.push(i);
    if (!p.span) { p.start = Math.min(p.start, n.start); p.end = Math.max(p.end, n.end); }
  }
  for (const n of nodes) if (n.children.length > 1) n.children.sort(byClock);

  const traces = new Map<string, TraceSpan>();
  let start = Infinity;
  let end = -Infinity;
  for (let i = 0; i < nodes.length; i++) {
    const n = nodes[i]!;
    start = Math.min(start, n.start);
    end = Math.max(end, n.end);
    const t = traces.get(n.traceId);
    if (!t) traces.set(n.traceId, { id: n.traceId, first: i, start: n.start, end: n.end });
    else { t.start = Math.min(t.start, n.start); t.end = Math.max(t.end, n.end); }
    if (n.parent >= 0 && n.span && nodes[n.parent]!.span && !n.note && n.start < nodes[n.parent]!.start - 1) n.note = 'skew';
    countAttempts(nodes, n);
  }
  const inOrder = [...traces.values()].sort((a, b) => a.start - b.start || a.first - b.first);
  const rank = new Map(inOrder.map((t, i) => [t.id, i]));
  roots.sort((a, b) => rank.get(nodes[a]!.traceId)! - rank.get(nodes[b]!.traceId)! || byClock(a, b));

  // Top down: folding needs to know whether an agent's step stands above.
  const below = new Uint8Array(nodes.length);
  const order = [...roots];
  for (let o = 0; o < order.length; o++) {
    const i = order[o]!;
    const n = nodes[i]!;
    const machinery = !n.span || isPlumbing(n.span.kind);
    const step = n.parent >= 0 && below[n.parent] === 1;
    n.folds = step && machinery && n.span !== null;
    below[i] = step || !machinery ? 1 : 0;
    for (const c of n.children) order.push(c);
  }
  const empty = nodes.length === 0;
  return { nodes, roots, traces: inOrder, index, start: empty ? 0 : start, end: empty ? 0 : end, missing: nodes.length - received };
}

/** Every circle of parents is opened at its earliest span, so that nothing that was received is ever lost from view. */
function cutCycles(nodes: Node[]): void {
  const state = new Uint8Array(nodes.length); // 0 not seen, 1 on the current walk, 2 leads to a root
  for (let i = 0; i < nodes.length; i++) {
    const walk: number[] = [];
    let at = i;
    while (at >= 0 && state[at] === 0) { state[at] = 1; walk.push(at); at = nodes[at]!.parent; }
    if (at >= 0 && state[at] === 1) {
      let cut = at;
      for (let c = nodes[at]!.parent; c !== at; c = nodes[c]!.parent) if (nodes[c]!.start < nodes[cut]!.start) cut = c;
      nodes[cut]!.parent = -1;
      nodes[cut]!.note = 'cycle';
    }
    for (const w of walk) state[w] = 2;
  }
}

function countAttempts(nodes: Node[], parent: Node): void {
  let highest: Map<string, number> | null = null;
  for (const c of parent.children) {
    const s = nodes[c]!.span;
    if (s?.attempt) (highest ??= new Map()).set(s.name, Math.max(highest.get(s.name) ?? 0, s.attempt));
  }
  if (highest) for (const c of parent.children) nodes[c]!.attempts = highest.get(nodes[c]!.span?.name ?? '') ?? 0;
}

/** The nearest ancestor that the logical view shows; the node itself when it does. -1 when there is none. */
export function shownAncestor(tree: Tree, at: number): number {
  let i = at;
  while (i >= 0 && tree.nodes[i]!.folds) i = tree.nodes[i]!.parent;
  return i;
}

export interface StepRow {
  readonly type: 'step';
  readonly node: number;
  /** 1 for a root, as aria-level counts. */
  readonly level: number;
  readonly position: number;
  readonly siblings: number;
  readonly expandable: boolean;
  readonly expanded: boolean;
  /** Machinery folded directly behind this row, and how much of it failed. */
  readonly hidden: number;
  readonly hiddenErrors: number;
  /** On show only because something below it matches the filter. */
  readonly dim: boolean;
}
export interface TraceRow { readonly type: 'trace'; readonly trace: number; readonly gap: number }
export type Row = StepRow | TraceRow;

export interface View {
  readonly logical: boolean;
  readonly collapsed: ReadonlySet<string>;
  /** Rows whose folded machinery was asked for. */
  readonly revealed: ReadonlySet<string>;
  /** null: no filter. Otherwise called once per node that the view shows. */
  readonly matches: ((node: Node) => boolean) | null;
}

export interface Shown { readonly rows: Row[]; readonly matched: number; readonly hidden: number }

export function visibleRows(tree: Tree, view: View): Shown {
  const { nodes } = tree;
  const keep = view.matches && new Uint8Array(nodes.length); // 1 leads to a match, 2 matches
  let matched = 0;
  let hiddenInAll = 0;
  if (view.logical) for (const n of nodes) if (n.folds) hiddenInAll++;
  if (keep) {
    for (let i = 0; i < nodes.length; i++) {
      const n = nodes[i]!;
      if ((view.logical && n.folds) || !view.matches!(n)) continue;
      matched++;
      keep[i] = 2;
      for (let p = n.parent; p >= 0 && keep[p] === 0; p = nodes[p]!.parent) keep[p] = 1;
    }
  }

  const rows: Row[] = [];
  const stack: { node: number; level: number; position: number; siblings: number; revealed: boolean }[] = [];
  const push = (shown: readonly number[], level: number, revealed: boolean) => {
    for (let i = shown.length - 1; i >= 0; i--) {
      const node = shown[i]!;
      stack.push({ node, level, position: i + 1, siblings: shown.length, revealed: revealed && nodes[node]!.folds });
    }
  };
  const wanted = (i: number) => !keep || keep[i]! > 0;

  /** Children as this view has them: folded machinery is replaced by the steps beneath it. */
  const below = (at: number, revealed: boolean) => {
    let hidden = 0;
    let hiddenErrors = 0;
    const shown: number[] = [];
    const open = [...nodes[at]!.children].reverse();
    let lifted = false;
    while (open.length > 0) {
      const c = open.pop()!;
      const n = nodes[c]!;
      if (!view.logical || revealed || !n.folds) { if (wanted(c)) shown.push(c); continue; }
      hidden++;
      if (n.span?.status === 'error') hiddenErrors++;
      for (let i = n.children.length - 1; i >= 0; i--) { open.push(n.children[i]!); lifted = true; }
    }
    if (lifted) shown.sort((a, b) => nodes[a]!.start - nodes[b]!.start || a - b);
    return { shown, hidden, hiddenErrors };
  };

  let trace = -1;
  for (let first = 0; first < tree.roots.length;) {
    const traceId = nodes[tree.roots[first]!]!.traceId;
    let last = first;
    while (last < tree.roots.length && nodes[tree.roots[last]!]!.traceId === traceId) last++;
    trace++;
    const shown = tree.roots.slice(first, last).filter(wanted);
    first = last;
    if (shown.length === 0) continue;
    if (trace > 0) rows.push({ type: 'trace', trace, gap: tree.traces[trace]!.start - endBefore(tree, trace) });
    push(shown, 1, false);
    while (stack.length > 0) {
      const at = stack.pop()!;
      const n = nodes[at.node]!;
      const revealed = at.revealed || view.revealed.has(n.id);
      const b = below(at.node, revealed);
      const expanded = b.shown.length > 0 && (keep !== null || !view.collapsed.has(n.id));
      rows.push({
        type: 'step', node: at.node, level: at.level, position: at.position, siblings: at.siblings,
        expandable: b.shown.length > 0, expanded, hidden: b.hidden, hiddenErrors: b.hiddenErrors, dim: keep !== null && keep[at.node] === 1,
      });
      if (expanded) push(b.shown, at.level + 1, revealed);
    }
  }
  return { rows, matched, hidden: hiddenInAll };
}

function endBefore(tree: Tree, trace: number): number {
  let end = -Infinity;
  for (let t = 0; t < trace; t++) end = Math.max(end, tree.traces[t]!.end);
  return end;
}

/** Index of the row above this one that holds it, -1 for a root or a marker. */
export function parentRow(rows: readonly Row[], at: number): number {
  const row = rows[at];
  if (row?.type !== 'step') return -1;
  for (let i = at - 1; i >= 0; i--) {
    const r = rows[i]!;
    if (r.type === 'trace') return -1;
    if (r.level < row.level) return i;
  }
  return -1;
}
