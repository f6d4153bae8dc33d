// Every view has an address, and all of it stands in the query string, because the appliance serves one page at `/`:
//   /?workflow=…&outcome=…&session=…&tool=…&q=…   the runs, filtered
//   /?run=ID&step=SPAN&view=all                   one run, one step of it
//   /?page=ledger&type=…&tool=…&entry=SEQ&show=…  the ledger, filtered, one entry of it, and what is open above it
//   /?page=privacy                                what is captured, redacted and kept
import { useEffect, useState } from 'preact/hooks';

export const filterNames = ['workflow', 'outcome', 'session', 'tool', 'q', 'tenant', 'environment', 'from', 'to'] as const;
export type FilterName = (typeof filterNames)[number];
export type Filter = Partial<Record<FilterName, string>>;

export const ledgerFilterNames = ['type', 'tool', 'actor', 'approval', 'args_match', 'level', 'workflow', 'tenant', 'run', 'since', 'until'] as const;
export type LedgerFilterName = (typeof ledgerFilterNames)[number];
export type LedgerFilter = Partial<Record<LedgerFilterName, string>>;
/** What is open above the entries: the head to take away, or the check. */
export type LedgerPanel = 'head' | 'check' | null;

export type Route =
  | { page: 'runs'; filter: Filter }
  | { page: 'run'; id: string; step: string | null; all: boolean }
  | { page: 'ledger'; entry: number | null; filter: LedgerFilter; show: LedgerPanel }
  | { page: 'privacy' };

export function parseRoute(search: string): Route {
  const q = new URLSearchParams(search);
  if (q.get('page') === 'ledger') {
    const entry = q.get('entry');
    const show = q.get('show');
    const filter: LedgerFilter = {};
    for (const name of ledgerFilterNames) { const value = q.get(name); if (value) filter[name] = value; }
    return {
      page: 'ledger', filter, entry: entry !== null && /^\d{1,15}$/.test(entry) ? Number(entry) : null,
      show: show === 'head' || show === 'check' ? show : null,
    };
  }
  if (q.get('page') === 'privacy') return { page: 'privacy' };
  const id = q.get('run');
  if (id) return { page: 'run', id, step: q.get('step'), all: q.get('view') === 'all' };
  const filter: Filter = {};
  const aliases: Record<string, FilterName> = { status: 'outcome', session_id: 'session' };
  for (const [name, value] of q) {
    const known = aliases[name] ?? filterNames.find((f) => f === name);
    if (known && value) filter[known] = value;
  }
  return { page: 'runs', filter };
}

export function href(route: Route): string {
  const q = new URLSearchParams();
  if (route.page === 'run') {
    q.set('run', route.id);
    if (route.step) q.set('step', route.step);
    if (route.all) q.set('view', 'all');
  } else if (route.page === 'ledger') {
    q.set('page', 'ledger');
    for (const name of ledgerFilterNames) if (route.filter[name]) q.set(name, route.filter[name]);
    if (route.entry !== null) q.set('entry', String(route.entry));
    if (route.show) q.set('show', route.show);
  } else if (route.page === 'privacy') {
    q.set('page', 'privacy');
  } else {
    for (const name of filterNames) if (route.filter[name]) q.set(name, route.filter[name]);
  }
  const text = q.toString();
  return text ? `/?${text}` : '/';
}

export const runsHref = (filter: Filter = {}) => href({ page: 'runs', filter });
export const privacyHref = '/?page=privacy';
export const runHref = (id: string, step: string | null = null) => href({ page: 'run', id, step, all: false });
export const ledgerHref = (entry: number | null = null, filter: LedgerFilter = {}, show: LedgerPanel = null) => href({ page: 'ledger', entry, filter, show });

/** What an address shows, without what is open in it: a step beside its run, an entry beside its ledger. */
export function viewOf(search: string): string {
  const route = parseRoute(search);
  return route.page === 'run' ? href({ page: 'run', id: route.id, step: null, all: false }) : route.page === 'ledger' ? ledgerHref(null, route.filter) : href(route);
}

const moved = 'evident:moved';

/** Goes to a view. `replace` keeps the history short where the reader would not expect a step back. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else {
    const stays = viewOf(location.search) === viewOf(to.includes('?') ? to.slice(to.indexOf('?')) : '');
    history.pushState(null, '', to);
    if (!stays) scrollTo(0, 0);
  }
  dispatchEvent(new Event(moved));
}

export function useRoute(): Route {
  const [search, setSearch] = useState(location.search);
  useEffect(() => {
    const read = () => setSearch(location.search);
    addEventListener('popstate', read);
    addEventListener(moved, read);
    return () => { removeEventListener('popstate', read); removeEventListener(moved, read); };
  }, []);
  return parseRoute(search);
}

/** Plain clicks on links of this page stay in the page; every other click is the browser's. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.target || link.origin !== location.origin || link.pathname !== '/' || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
