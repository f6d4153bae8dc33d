// Approvals as people tell them: what was proposed, who decided when and why, and whether what ran is what was approved.
import type { Approval, LedgerRef, Span } from './api.js';
import { duration, fullTime, parseTime } from './format.js';
import { Icon, OutcomeShape } from './icons.js';
import { ledgerHref } from './route.js';
import { PayloadChip } from './frame.js';
import type { Wait } from './timeline.js';

const shapes: Record<string, string> = { requested: 'interrupted', rejected: 'rejected', expired: 'timeout' };

/** Who decided, as far as anybody can know. */
export function decider(a: Approval): string {
  if (!a.approver_id) return '';
  const role = a.approver_role ? ` (${a.approver_role.replaceAll('_', ' ')}${a.identity_source === 'claimed' ? ', reported by the agent' : ''})`
    : a.identity_source === 'claimed' ? ' (reported by the agent)' : '';
  return `${a.approver_id}${role}`;
}

/** One line on the hatched bar: approved after 2 m 09 s by s_901 … */
export function waitWords(a: Approval): string {
  const wait = a.wait_ms === null ? '' : ` ${a.state === 'requested' ? 'for' : 'after'} ${duration(a.wait_ms)}`;
  const word = a.state === 'requested' ? 'waiting' : a.state;
  const by = decider(a);
  return `${word}${wait}${by ? ` by ${by}` : ''}${a.reason ? `: ${a.reason.replaceAll('_', ' ')}` : ''}`;
}

/** The same, short enough for the bar: the length stands beside it. */
const waitLabel = (a: Approval) =>
  `${a.state === 'requested' ? 'waiting for a decision' : a.state}${a.approver_id ? ` by ${a.approver_id}` : ''}${a.reason ? `, ${a.reason.replaceAll('_', ' ')}` : ''}`;

/** The wait on the time scale. One that is still open ends where the record ends. */
export function waitOf(a: Approval, recordEnd: number): Wait | null {
  if (!a.requested_time) return null;
  const start = parseTime(a.requested_time);
  const end = a.decided_time ? parseTime(a.decided_time) : a.wait_ms !== null ? start + a.wait_ms : recordEnd;
  return end > start ? { start, end, words: waitWords(a), label: waitLabel(a) } : null;
}

export function ApprovalStory({ approval: a, spans, ledger, onStep }:
  { approval: Approval; spans: readonly Span[]; ledger: readonly LedgerRef[]; onStep: (spanId: string) => void }) {
  const own = [a.request_span_id, a.executed_span_id].filter((id): id is string => id !== null);
  const entries = ledger.filter((l) => l.span_id !== null && own.includes(l.span_id));
  const request = spans.find((s) => s.span_id === a.request_span_id);
  const shown = request?.payloads.filter((p) => p.role === 'approval.args' || p.role === 'approval.reason') ?? [];
  // The decision, and with it the reason, may stand on another span than the request, in a later trace.
  const reason = a.reason_payload === null || shown.some((p) => p.ref === a.reason_payload) ? [] : spans.flatMap((s) => s.payloads).filter((p) => p.ref === a.reason_payload);
  return (
    <li class={`story s-${a.state}`}>
      <Icon name="approval" class="k-approval" />
      <div>
        <p>
          {shapes[a.state] && <OutcomeShape outcome={shapes[a.state]!} />} <span title={a.requested_time ? `requested ${fullTime(parseTime(a.requested_time))}` : undefined}>{a.sentence}</span>
        </p>
        <p class="under">
          {a.wait_ms !== null && <span>waited {duration(a.wait_ms)}</span>}
          {a.args_match === true && <span class="good"><Icon name="success" />arguments match</span>}
          {a.args_match === false && <span class="bad"><Icon name="failure" class="o-failure" />arguments differ from the approved ones</span>}
          {a.identity_source === 'claimed' && a.approver_id && !a.sentence.includes('reported by') && <span class="quiet" title="The approver's identity is what the agent sent; the appliance did not see the approver.">reported by the agent</span>}
          {a.request_span_id && <button type="button" class="link" onClick={() => onStep(a.request_span_id!)}>request</button>}
          {a.executed_span_id && <button type="button" class="link" onClick={() => onStep(a.executed_span_id!)}>execution</button>}
          {entries.length > 0 && <span>ledger {entries.map((e) => <a key={e.seq} class="mono" href={ledgerHref(e.seq)} title={e.type}>#{e.seq}</a>)}</span>}
          {[...shown, ...reason].map((p) => <PayloadChip key={p.ref ?? p.role} payload={p} />)}
        </p>
      </div>
    </li>
  );
}
