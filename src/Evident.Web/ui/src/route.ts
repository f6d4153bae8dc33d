// Every view has an address, and all of it stands in the query string, because the appliance serves one page at `/`:
//   /?workflow=…&outcome=…&session=…&tool=…&q=…   the runs, filtered
//   /?run=ID&step=SPAN&view=all                   one run, one step of it
//   /?page=ledger&entry=SEQ                       the ledger, at an entry
import { useEffect, useState } from 'preact/hooks';

export const filterNames = ['workflow', 'outcome', 'session', 'tool', 'q', 'tenant', 'environment', 'from', 'to'] as const;
export type FilterName = (typeof filterNames)[number];
export type Filter = Partial<Record<FilterName, string>>;
export type Route =
  | { page: 'runs'; filter: Filter }
  | { page: 'run'; id: string; step: string | null; all: boolean }
  | { page: 'ledger'; entry: number | null };

export function parseRoute(search: string): Route {
  const q = new URLSearchParams(search);
  const id = q.get('run');
  if (id) return { page: 'run', id, step: q.get('step'), all: q.get('view') === 'all' };
  if (q.get('page') === 'ledger') {
    const entry = q.get('entry');
    return { page: 'ledger', entry: entry !== null && /^\d{1,15}$/.test(entry) ? Number(entry) : null };
  }
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
    if (route.entry !== null) q.set('entry', String(route.entry));
  } else {
    for (const name of filterNames) if (route.filter[name]) q.set(name, route.filter[name]);
  }
  const text = q.toString();
  return text ? `/?${text}` : '/';
}

export const runsHref = (filter: Filter = {}) => href({ page: 'runs', filter });
export const runHref = (id: string, step: string | null = null) => href({ page: 'run', id, step, all: false });
export const ledgerHref = (entry: number | null = null) => href({ page: 'ledger', entry });

const moved = 'evident:moved';

/** Goes to a view. `replace` keeps the history short where the reader would not expect a step back. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else { history.pushState(null, '', to); scrollTo(0, 0); }
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
