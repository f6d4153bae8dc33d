// "Verify now": the appliance runs the verifier over its own ledger, and the page shows what it reports, findings first.
import { useEffect, useState } from 'preact/hooks';
import { api, ApiError, type Finding, type LedgerCheck } from './api.js';
import { ago, duration, exact, parseTime, plural } from './format.js';
import { announce, Copy } from './frame.js';
import { Icon } from './icons.js';
import { ledgerHref } from './route.js';

export type Verdict = 'proven' | 'unanchored' | 'notes' | 'accused' | 'unknown';

/** What an exit code of the verifier means to a reader. Without an anchor from outside nothing is green: it is only not contradicted. */
export function verdictOf(code: number): Verdict {
  if (code === 0) return 'proven';
  if (code === 10 || code === 11) return 'unanchored';
  if (code === 12) return 'notes';
  return code >= 30 && code < 40 ? 'accused' : 'unknown';
}

/** The gravest first; within a code in the order of the ledger. */
export const inOrder = (findings: readonly Finding[]): Finding[] =>
  [...findings].sort((a, b) => rank(a.code) - rank(b.code) || (a.from_seq ?? -1) - (b.from_seq ?? -1));
const order = [31, 33, 32, 30, 34, 35, 36, 40, 12, 11, 10, 0];
const rank = (code: number) => { const at = order.indexOf(code); return at < 0 ? 0 : at; };

const shownFindings = 200;
const verdictIcons: Record<Verdict, string> = { proven: 'success', unanchored: 'ledger', notes: 'partial', accused: 'failure', unknown: 'missing' };

export function LedgerCheckPanel({ now }: { now: number }) {
  const [check, setCheck] = useState<LedgerCheck | null>(null);
  const [failed, setFailed] = useState('');
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const turn = async (start: boolean) => {
      try {
        const state = start ? await api.startLedgerCheck(stop.signal) : await api.ledgerCheck(stop.signal);
        setCheck(state);
        setFailed('');
        if (state.state === 'running') timer = setTimeout(() => void turn(false), 500);
        else if (asked > 0 && state.report) announce(`verified: ${state.report.verdict}`);
      } catch (e) {
        if (!stop.signal.aborted) setFailed(e instanceof ApiError ? e.message : String(e));
      }
    };
    void turn(asked > 0);
    return () => { stop.abort(); clearTimeout(timer); };
  }, [asked]);

  const running = check?.state === 'running';
  return (
    <section class="panel check" aria-label="check of the ledger" aria-busy={running}>
      <p class="meaning"><Icon name="shield" class="k-guard" /> {check?.meaning ?? 'The appliance checks itself.'}</p>
      {failed && <p class="bad" role="alert"><Icon name="failure" class="o-failure" /> {failed}</p>}
      {running
        ? <p class="running"><progress max={Math.max(1, check.of)} value={check.entries} aria-label="entries checked" /> <span class="num">{exact(check.entries)} of {exact(check.of)} entries</span></p>
        : <p class="actions"><button type="button" class="button" onClick={() => setAsked(asked + 1)}><Icon name="verify" />{check?.report ? 'Verify again' : 'Verify now'}</button>
          {check?.finished && check.started && <span class="quiet">checked {ago(parseTime(check.finished), now)}, in {duration(parseTime(check.finished) - parseTime(check.started))}</span>}</p>}
      {check?.failure && !running && <p class="bad" role="alert">{check.failure}</p>}
      {check?.report && <Report check={check} stale={running} />}
    </section>
  );
}

function Report({ check, stale }: { check: LedgerCheck; stale: boolean }) {
  const r = check.report!;
  const verdict = verdictOf(r.code);
  const findings = inOrder(r.findings);
  return (
    <div class={`report v-${verdict} ${stale ? 'stale' : ''}`}>
      <p class="verdict"><Icon name={verdictIcons[verdict]} />
        <span><b>{r.verdict}</b> <span class="quiet num">{r.code}</span> {r.summary}</span></p>
      {findings.length > 0
        ? <ol class="findings">{findings.slice(0, shownFindings).map((f, i) => (
          <li key={i} class={f.code >= 30 ? 'bad' : ''}>
            <span class="code num" title={f.code === 0 ? 'information' : f.code === 12 ? 'a note that a person should read' : `calls for exit code ${f.code}`}>{f.code === 0 ? 'info' : f.code === 12 ? 'note' : f.code}</span>
            <span>{f.sentence}{f.from_seq !== undefined && <> <a class="mono" href={ledgerHref(f.from_seq, {}, 'check')}>#{exact(f.from_seq)}{f.to_seq !== undefined && f.to_seq !== f.from_seq && `–#${exact(f.to_seq)}`}</a></>}
              {f.file && <span class="quiet"> {f.file}{f.line ? `, line ${exact(f.line)}` : ''}</span>}</span>
          </li>))}
          {findings.length > shownFindings && <li><span class="code" /><span>and {plural(findings.length - shownFindings, 'more finding')}; all of them are in the text below.</span></li>}
        </ol>
        : <p class="quiet nofinding">No finding.</p>}
      <p class="quiet">{plural(r.entries, 'entry', 'entries')} read, the index compared row for row. No head from outside was given to this check.</p>
      <details><summary>The whole report as text</summary><div class="command"><pre>{check.text}</pre><Copy text={check.text ?? ''} label="copy the report" /></div></details>
    </div>
  );
}
