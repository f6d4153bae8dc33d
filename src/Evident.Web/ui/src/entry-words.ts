// What a ledger entry says, in words. Pure. The type names themselves are the auditors' vocabulary and stay as they are.
import type { LedgerEntry, Members } from './api.js';
import { bytes, duration, exact, parseTime, plural, short } from './format.js';

export type Tone = '' | 'amber' | 'bad' | 'good' | 'quiet';
export interface Words { icon: string; hue: string; tone: Tone; says: string }

const families: Record<string, [icon: string, hue: string, word: string]> = {
  tool: ['tool', 'tool', 'tool acts'], approval: ['approval', 'approval', 'approvals'], policy: ['shield', 'guard', 'policies'], span: ['retry', 'tool', 'revised spans'],
  vault: ['lock', 'model', 'vault'], identity: ['lock', 'model', 'identities'], capture: ['lock', 'model', 'capture'], debug: ['lock', 'model', 'debug sessions'],
  redaction: ['shield', 'guard', 'redaction'], tools: ['tool', 'agent', 'tool registry'], ledger: ['ledger', 'agent', 'the ledger itself'], retention: ['retention', 'plumbing', 'retention'],
  backup: ['copy', 'plumbing', 'backups'], export: ['handoff', 'handoff', 'exports'], import: ['handoff', 'handoff', 'imports'], access: ['approval', 'handoff', 'access'],
  keys: ['key', 'model', 'keys'], eval: ['verify', 'verify', 'evaluations'], alert: ['flag', 'guard', 'alerts'], cost: ['plumbing', 'plumbing', 'prices'],
};
export const family = (type: string) => type.slice(0, type.indexOf('.'));
export const familyWord = (name: string) => families[name]?.[2] ?? name;

/** The groups that are offered as chips, in the order of interest. */
export const typeGroups = ['tool', 'approval', 'policy', 'vault', 'access', 'retention', 'ledger'] as const;

const object = (e: LedgerEntry, name: string): Members => {
  const value = e[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
};
const text = (m: Members, name: string): string => (typeof m[name] === 'string' || typeof m[name] === 'number' ? String(m[name]) : '');
const number = (m: Members, name: string): number | null => (typeof m[name] === 'number' ? (m[name] as number) : null);
const list = (...parts: (string | undefined | null | false)[]) => parts.filter((p): p is string => !!p).join(' · ');
const phrase = (code: string) => code.replaceAll('_', ' ');

/** s_901 (support lead, reported): who decided, and how far that is known. */
export function decidedBy(e: LedgerEntry): string {
  const a = e.approval;
  if (!a?.approver_id) return '';
  const known = [a.approver_role ? phrase(a.approver_role) : '', a.identity_source === 'claimed' ? 'reported' : ''].filter(Boolean).join(', ');
  return `${a.approver_id}${known ? ` (${known})` : ''}`;
}

/** agent p_3f9c, uid 1000: who acted. */
export const actedBy = (e: LedgerEntry): string => (e.actor ? [e.actor.kind === 'unknown' ? '' : e.actor.kind, e.actor.id].filter(Boolean).join(' ') : '');

function approvalWords(e: LedgerEntry): string {
  const a = e.approval;
  if (!a?.state || a.state === 'not_required' || a.state === 'unknown') return '';
  const by = decidedBy(e);
  return `${phrase(a.state)}${by ? ` by ${by}` : ''}${a.latency_ms ? ` after ${duration(a.latency_ms)}` : ''}`;
}

const ended = (e: LedgerEntry): string => {
  const r = e.result;
  if (!r?.status || r.status === 'unknown') return '';
  return `${r.status === 'success' ? 'succeeded' : r.status === 'failure' ? 'failed' : phrase(r.status)}${r.error_class ? ` (${r.error_class})` : ''}${r.latency_ms !== undefined ? ` in ${duration(r.latency_ms)}` : ''}`;
};

const head = (m: Members, name: string): { size: number; root: string } | null => {
  const h = m[name];
  return typeof h === 'object' && !Array.isArray(h) && typeof h.size === 'number' ? { size: h.size, root: String(h.root ?? '') } : null;
};

/** The size that an anchor confirms; null for every other entry. */
export const anchoredSize = (e: LedgerEntry): number | null => (e.type === 'ledger.anchor' ? head(object(e, 'anchor'), 'head')?.size ?? null : null);

const epochReasons: Record<string, string> = {
  age: 'the old one was old enough', entries: 'the old one had signed enough', unclean_start: 'the stop before was not clean', operator: 'an operator asked for it',
  key_lost: 'the old one was lost; the identity key vouches for it',
};

/** How far the wall clock went from where it should have been, milliseconds; negative is back. */
export function clockJump(e: LedgerEntry): number {
  const c = object(e, 'clock');
  return parseTime(text(c, 'after')) - parseTime(text(c, 'before')) - (number(c, 'mono_delta_ms') ?? 0);
}

function ledgerWords(e: LedgerEntry): Partial<Words> {
  switch (e.type) {
    case 'ledger.genesis': return { icon: 'knot', says: `the ledger begins${text(object(e, 'genesis'), 'version') ? `, Evident ${text(object(e, 'genesis'), 'version')}` : ''}; epoch 1, key kept in ${text(object(e, 'genesis'), 'custody')}` };
    case 'ledger.epoch': {
      const r = object(e, 'rotation');
      const reason = text(r, 'reason');
      return { icon: 'knot', tone: reason === 'key_lost' ? 'amber' : '', says: `epoch ${exact(e.epoch)} begins with a new signing key: ${epochReasons[reason] ?? phrase(reason)}` };
    }
    case 'ledger.heartbeat': {
      const h = object(e, 'heartbeat');
      const state = text(h, 'state');
      const damage = number(h, 'scrub_errors') ?? 0;
      const says = list(
        state === 'started' ? `the appliance started${text(h, 'version') ? `, Evident ${text(h, 'version')}` : ''}` : state === 'stopping' ? 'the appliance stopped in order' : 'alive',
        number(h, 'spans') ? `${plural(number(h, 'spans')!, 'span')} since the start` : '', number(h, 'refused') ? `${plural(number(h, 'refused')!, 'request')} refused` : '',
        damage > 0 && `${plural(damage, 'damaged entry', 'damaged entries')} found on the disk`, number(h, 'orphan_payloads') ? plural(number(h, 'orphan_payloads')!, 'payload without a row', 'payloads without a row') : '');
      return { icon: 'pulse', tone: damage > 0 ? 'bad' : state === 'running' ? 'quiet' : '', says };
    }
    case 'ledger.clock': {
      const jump = clockJump(e);
      return { icon: 'timeout', tone: 'amber', says: `the clock jumped ${jump < 0 ? 'back' : 'ahead'} by ${duration(Math.abs(jump))}${object(e, 'clock').confirmed === true ? ', confirmed by an operator' : ''}` };
    }
    case 'ledger.recovery': {
      const r = object(e, 'recovery');
      const lost = number(r, 'quarantined_bytes') ?? 0;
      return { icon: 'retry', tone: 'amber', says: `recovered after a stop that was not clean${lost > 0 ? `; ${bytes(lost)} of an unfinished group, never acknowledged, moved to quarantine` : ''}` };
    }
    case 'ledger.incarnation': {
      const i = object(e, 'incarnation');
      const found = head(i, 'found');
      const lost = head(i, 'lost');
      const range = found && lost ? (lost.size - found.size > 1 ? `entries #${exact(found.size)} to #${exact(lost.size - 1)}` : `entry #${exact(found.size)}`) : 'entries';
      return { icon: 'failure', tone: 'bad', says: `an operator accepted that ${range} of an earlier history ${range.startsWith('entry') ? 'is' : 'are'} lost: incarnation ${text(i, 'number')}` };
    }
    case 'ledger.anchor': {
      const a = object(e, 'anchor');
      return { icon: 'anchor', hue: 'verify', tone: 'good', says: `${text(a, 'witness') || phrase(text(a, 'kind'))} confirmed the first ${plural(anchoredSize(e) ?? 0, 'entry', 'entries')}${text(a, 'witness') ? ` (${phrase(text(a, 'kind'))})` : ''}` };
    }
    case 'ledger.traces': {
      const t = object(e, 'traces');
      return { icon: 'shield', hue: 'verify', says: `${plural(number(t, 'spans') ?? 0, 'span')} of ${text(t, 'partition')} sealed` };
    }
    case 'ledger.config': return { says: `configuration in force: version ${text(object(e, 'document'), 'version')}` };
    default: return {};
  }
}

const modes: Record<string, string> = { redacted: 'payloads are redacted, then sealed', structure: 'payloads are not captured, only their sizes', opt_out: 'nothing of payloads is captured', full: 'payloads are sealed unredacted' };

function captureWordsOf(e: LedgerEntry): string {
  const c = object(e, 'capture');
  const of = list(e.tenant_id && `tenant ${e.tenant_id}`, text(c, 'workflow_id') && `workflow ${text(c, 'workflow_id').replace(/^prefix:(.*)$/, '$1*')}`, e.environment && `environment ${e.environment}`);
  return `${of || 'in general'}: ${modes[text(c, 'mode')] ?? phrase(text(c, 'mode'))}`;
}

function debugWords(e: LedgerEntry): Partial<Words> {
  const s = object(e, 'session');
  const of = list(e.tenant_id ? `tenant ${e.tenant_id}` : '', `workflow ${text(s, 'workflow_id').replace(/^prefix:(.*)$/, '$1*')}`, e.environment);
  switch (e.type) {
    case 'debug.session.requested': return { icon: 'eye', says: `${actedBy(e)} asks to capture payloads in full for ${duration(number(s, 'duration_ms') ?? 0)}: ${of}` };
    case 'debug.session.approved': return { icon: 'eye', tone: e.reason_code === 'single_operator' ? 'amber' : '', says: e.reason_code === 'single_operator' ? `${actedBy(e)} approved it alone: ${of}` : `${actedBy(e)} agreed: ${of}` };
    case 'debug.session.rejected': return { icon: 'eye', says: e.reason_code === 'not_approved_in_time' ? `nobody approved it in time: ${of}` : `${actedBy(e)} refused: ${of}` };
    case 'debug.session.opened': return { icon: 'eye', tone: 'amber', says: `payloads are captured in full from here on, for ${duration(number(s, 'duration_ms') ?? 0)} at most: ${of}` };
    case 'debug.session.closed': return { icon: 'eye', says: `full capture ended${e.cause === 'closed' ? `, closed by ${actedBy(e)}` : e.cause === 'expired' ? ': its time was over' : ': it had never begun, the appliance stopped before'}: ${of}` };
    default: return {};
  }
}

function vaultWords(e: LedgerEntry): string {
  const v = object(e, 'vault');
  const s = object(e, 'shred');
  switch (e.type) {
    case 'vault.read': return list(`${text(v, 'role') || 'payload'} ${short(text(v, 'ref'), 10)} opened by ${actedBy(e)}`, e.reason_code as string, number(v, 'bytes') ? bytes(number(v, 'bytes')!) : '');
    case 'vault.denied': return list(`${actedBy(e)} was refused: ${phrase(text(v, 'cause'))}`, number(object(e, 'window'), 'count') ? `${exact(number(object(e, 'window'), 'count')!)} times` : '');
    case 'vault.disclose': return `payload ${short(text(v, 'ref'), 10)} and its salt handed out${text(v, 'recipient') ? ` to ${text(v, 'recipient')}` : ''}`;
    case 'vault.shred.intent': return `${plural(number(s, 'count') ?? 0, 'payload')} to be destroyed by ${phrase(text(s, 'by'))}${text(s, 'value') ? ` ${text(s, 'value')}` : ''}`;
    case 'vault.shred.done': return `${plural(number(s, 'count') ?? 0, 'payload')} destroyed, level ${text(s, 'level')}`;
    case 'vault.hold': { const h = object(e, 'hold'); return `legal hold ${text(h, 'state')}: ${phrase(text(h, 'by'))} ${text(h, 'value')}`; }
    default: return '';
  }
}

const custodies: Record<string, string> = { file: 'in a file', passphrase: 'under a passphrase', 'systemd-creds': "in the service manager's credential", tpm2: 'in the TPM', pkcs11: 'in a token' };

function keyWords(e: LedgerEntry): string {
  const k = object(e, 'key');
  switch (e.type) {
    case 'keys.sealed': return `the vault was sealed by ${actedBy(e)}`;
    case 'keys.unsealed': return e.actor?.kind === 'system' ? 'the vault was opened at the start' : `the vault was opened by ${actedBy(e)}`;
    case 'keys.custody': return text(k, 'name') === 'vault.master' ? `the vault's master key is kept ${custodies[text(k, 'custody')] ?? text(k, 'custody')} from here on` : '';
    default: return '';
  }
}

/** The members that only this type has, as `name value` pairs: what is said of a type that has no words of its own. */
const ordinary = new Set(['seq', 'type', 'v', 'id', 'recorded', 'workspace', 'log', 'batch', 'epoch', 'boot', 'mono', 'integrity', 'scope', 'scope_seq', 'timestamp', 'environment', 'tenant_id',
  'workflow_id', 'run_id', 'session_id', 'trace_id', 'span_id', 'src', 'src_seq', 'actor', 'subject', 'release', 'payload', 'refers', 'channel']);
function plainWords(e: LedgerEntry): string {
  const parts: string[] = [];
  const add = (name: string, value: unknown) => {
    if (typeof value === 'string' || typeof value === 'number') parts.push(`${phrase(name)} ${short(String(value), 16)}`);
    else if (typeof value === 'boolean') parts.push(value ? phrase(name) : `not ${phrase(name)}`);
    else if (value && typeof value === 'object' && !Array.isArray(value)) for (const [k, v] of Object.entries(value)) if (parts.length < 5) add(k, v);
  };
  for (const [name, value] of Object.entries(e)) if (!ordinary.has(name) && parts.length < 5) add(name, value);
  return parts.join(' · ');
}

export function entryWords(e: LedgerEntry): Words {
  const [icon, hue] = families[family(e.type)] ?? ['plumbing', 'plumbing'];
  const words: Words = { icon, hue, tone: '', says: '' };
  const act = list(e.action?.tool_name, e.action?.target);
  switch (family(e.type)) {
    case 'ledger': Object.assign(words, ledgerWords(e)); break;
    case 'tool':
    case 'span':
      words.says = list(act, e.type === 'span.revised' ? `revision ${text(object(e, 'revision'), 'number')}` : '', ended(e), approvalWords(e));
      if (e.result?.status === 'failure' || e.result?.status === 'timeout') words.tone = 'bad';
      break;
    case 'approval':
      words.says = e.type === 'approval.execution' ? list(act, e.approval?.args_match === false ? 'what ran is not what was approved' : e.approval?.args_match ? 'ran as it was approved' : 'ran; its arguments could not be compared', ended(e))
        : list(act, approvalWords(e), e.approval?.reason_code && phrase(e.approval.reason_code));
      if (e.approval?.args_match === false) words.tone = 'bad';
      else if (e.approval?.state === 'rejected' || e.approval?.state === 'expired') words.tone = 'amber';
      break;
    case 'policy': words.says = list(e.policy?.name, phrase(e.policy?.decision ?? ''), act, e.policy?.reason_code && phrase(e.policy.reason_code)); break;
    case 'debug': Object.assign(words, debugWords(e)); break;
    case 'capture': words.says = captureWordsOf(e); break;
    case 'keys': words.says = keyWords(e); break;
    case 'vault': words.says = vaultWords(e); if (e.type === 'vault.denied') words.tone = 'amber'; break;
    case 'retention': {
      const d = object(e, e.type === 'retention.compact' ? 'compact' : 'drop');
      words.says = e.type === 'retention.drop' ? `${list(plural(number(d, 'runs') ?? 0, 'run'), plural(number(d, 'spans') ?? 0, 'span'))} of ${text(d, 'layer')}${text(d, 'partition') ? ` ${text(d, 'partition')}` : ''} deleted by policy ${short(text(d, 'policy_hash'))}` : '';
      break;
    }
    case 'export': { const x = object(e, 'export'); words.says = `entries #${exact(number(x, 'from') ?? 0)} to #${exact(Math.max(0, (number(x, 'to') ?? 1) - 1))} bundled for an auditor by ${actedBy(e)}`; break; }
    default: break;
  }
  if (!words.says) words.says = plainWords(e);
  return words;
}

const forms: Record<string, string> = { args: 'arguments', result: 'result', approval_args: 'arguments as shown', edited_args: 'arguments as changed', reason: 'reason', input: 'input', output: 'output', comment: 'comment', evidence: 'evidence' };
export const payloadWord = (name: string) => forms[name] ?? phrase(name);
