// Which entries: groups of types as links, fields for names, chips for what is set. Every combination is an address.
import type { LedgerEntry } from './api.js';
import { familyWord, typeGroups } from './entry-words.js';
import { Icon } from './icons.js';
import { go, ledgerHref, type LedgerFilter, type LedgerFilterName } from './route.js';

const words: Record<LedgerFilterName, string> = {
  type: 'type', tool: 'tool', actor: 'who', approval: 'approval', args_match: 'arguments', level: 'effect', workflow: 'workflow', tenant: 'tenant', run: 'run', since: 'since', until: 'until',
};

/** What a chip says after its name. */
export function filterValue(name: LedgerFilterName, value: string): string {
  if (name === 'type' && value.endsWith('.')) return familyWord(value.slice(0, value.indexOf('.')));
  if (name === 'args_match') return value === 'true' ? 'as approved' : 'not as approved';
  if (name === 'since' || name === 'until') return localTime(value).replace('T', ' ');
  return value.replaceAll('_', name === 'approval' ? ' ' : '_');
}

const two = (n: number) => String(n).padStart(2, '0');
/** RFC 3339 to the value of a datetime-local field, minutes, in the reader's zone; empty when it is no time. */
export function localTime(rfc: string): string {
  const d = new Date(rfc);
  return Number.isNaN(d.getTime()) ? '' : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;
}
/** And back, to UTC; the last moment of the minute where it is an end. */
export function utcTime(local: string, end: boolean): string {
  const d = new Date(local);
  if (Number.isNaN(d.getTime())) return '';
  return new Date(d.getTime() + (end ? 59_999 : 0)).toISOString();
}

export function LedgerFilters({ filter, entries }: { filter: LedgerFilter; entries: readonly LedgerEntry[] }) {
  const set = (name: LedgerFilterName, value: string) => {
    const next = { ...filter };
    if (value) next[name] = value; else delete next[name];
    go(ledgerHref(null, next));
  };
  const without = (name: LedgerFilterName) => { const next = { ...filter }; delete next[name]; return next; };
  const seen = (of: (e: LedgerEntry) => (string | undefined)[]) => [...new Set(entries.flatMap(of))].filter((v): v is string => !!v).sort();
  const fields: [LedgerFilterName, string[]][] = [
    ['tool', seen((e) => [e.action?.tool_name])], ['actor', seen((e) => [e.actor?.id, e.approval?.approver_id])], ['workflow', seen((e) => [e.workflow_id])], ['tenant', seen((e) => [e.tenant_id])],
    ['run', seen((e) => [e.run_id])],
  ];
  const group = filter.type?.endsWith('.') ? filter.type.slice(0, -1) : filter.type ? null : '';
  const chips = (Object.entries(filter) as [LedgerFilterName, string][]).filter(([name]) => name !== 'type' || group === null || (group !== '' && !(typeGroups as readonly string[]).includes(group)));
  return (
    <div class="ledgerfilters" role="group" aria-label="filter the entries">
      <nav class="groups" aria-label="type of entry">
        <a href={ledgerHref(null, without('type'))} aria-current={group === '' ? 'true' : undefined}>everything</a>
        {typeGroups.map((g) => <a key={g} href={ledgerHref(null, { ...without('type'), type: `${g}.` })} aria-current={group === g ? 'true' : undefined}>{familyWord(g)}</a>)}
      </nav>
      <div class="fields">
        {fields.map(([name, known]) => (
          <form key={name} onSubmit={(e) => {
            e.preventDefault();
            const field = e.currentTarget.querySelector('input')!;
            if (field.value.trim()) set(name, field.value.trim());
            field.value = '';
          }}>
            <input name={name} aria-label={`filter by ${words[name]}`} placeholder={words[name]} list={known.length > 0 ? `ledger-${name}` : undefined} autocomplete="off" spellcheck={false}
              {...(name === 'tool' ? { 'data-filter': true } : {})}
              onInput={(e) => { // a value picked from the list needs no Enter
                const how = (e as InputEvent).inputType;
                if ((how === undefined || how === 'insertReplacementText') && known.includes(e.currentTarget.value)) e.currentTarget.form!.requestSubmit();
              }} />
            {known.length > 0 && <datalist id={`ledger-${name}`}>{known.map((v) => <option key={v} value={v} />)}</datalist>}
          </form>
        ))}
        <select aria-label="filter by approval" value={filter.args_match === 'false' ? 'differs' : filter.approval ?? ''} onChange={(e) => {
          const next = { ...filter };
          delete next.approval; delete next.args_match;
          const value = e.currentTarget.value;
          if (value === 'differs') next.args_match = 'false'; else if (value) next.approval = value;
          go(ledgerHref(null, next));
        }}>
          <option value="">any approval</option>
          {['requested', 'approved', 'rejected', 'edited', 'expired', 'not_required'].map((s) => <option key={s} value={s}>{s.replace('_', ' ')}</option>)}
          <option value="differs">ran not as approved</option>
        </select>
        <label class="when">since <input type="datetime-local" value={localTime(filter.since ?? '')} onChange={(e) => set('since', utcTime(e.currentTarget.value, false))} /></label>
        <label class="when">until <input type="datetime-local" value={localTime(filter.until ?? '')} onChange={(e) => set('until', utcTime(e.currentTarget.value, true))} /></label>
      </div>
      {chips.length > 0 && <div class="activechips">
        {chips.map(([name, value]) => (
          <a class="chip" key={name} href={ledgerHref(null, without(name))} aria-label={`remove filter ${words[name]} ${filterValue(name, value)}`}>
            <span>{words[name]}</span> <b>{filterValue(name, value)}</b><Icon name="close" />
          </a>
        ))}
        {Object.keys(filter).length > 1 && <a class="clear" href={ledgerHref()}>clear all</a>}
      </div>}
    </div>
  );
}
