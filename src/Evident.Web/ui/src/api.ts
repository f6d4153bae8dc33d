// The typed client of the HTTP contract. Every request goes to this origin and nowhere else.

export type Outcome = 'success' | 'partial' | 'failure' | 'rejected' | 'timeout' | 'interrupted' | 'running';
export type SideEffect = 'none' | 'read' | 'unknown' | 'write' | 'irreversible';
export type ApprovalState = 'requested' | 'approved' | 'rejected' | 'edited' | 'expired';
export type AttributeValue = string | number | boolean | null | AttributeValue[] | { [key: string]: AttributeValue };
export type Attributes = Record<string, AttributeValue>;

export interface ToolUse { name: string; side_effect_level: SideEffect; calls: number; errors: number }

export interface Run {
  run_id: string;
  trace_ids: string[];
  session_id: string | null;
  workflow_id: string | null;
  agent_name: string | null;
  tenant_id: string | null;
  environment: string | null;
  release: string | null;
  outcome: Outcome;
  resumed: boolean;
  fallback: boolean;
  start_time: string;
  end_time: string;
  duration_ms: number;
  steps: number;
  spans: number;
  errors: number;
  retries: number;
  tokens_in: number;
  tokens_out: number;
  cost_usd: number | null;
  cost_source: 'reported' | 'computed' | 'mixed' | null;
  /** Calls that used tokens and of whose cost nothing is known. */
  unpriced_calls: number;
  tools: ToolUse[];
  models: string[];
  approvals: { requested: number; approved: number; rejected: number; expired: number; waiting: number; wait_ms: number };
  flags: string[];
  payloads: number;
}

export interface Budget { max_steps?: number | null; steps?: number | null; max_cost_usd?: number | null }
export interface Versions {
  agent?: string | null;
  prompt?: string | null;
  policy?: string | null;
  tool_schema?: string | null;
  model_requested?: string | null;
  model_used?: string | null;
}

/** `ref` is null when the payload was not captured: its role, size and fingerprint are all there is. */
/** How a cost is known: the sender reported it, or it was computed from tokens and a row of the price table. */
export interface Cost {
  source: 'reported' | 'computed';
  usd: number;
  formula: string | null;
  price: { provider: string; model: string; table: string; table_from: string | null; from: string | null; to: string | null } | null;
}
/** A judgement about the run or one of its steps. */
export interface Evaluation {
  kind: 'eval' | 'feedback' | 'label';
  scope: 'span' | 'run' | 'session';
  name: string | null;
  suite: string | null;
  score: number | null;
  label: string | null;
  passed: boolean | null;
  target_span_id: string | null;
  span_id: string;
  annotator: string | null;
  time: string;
  reason_payload: string | null;
}
/** `elsewhere`: the span was imported and the payload stayed in the vault that it came from. */
export interface Payload { role: string; ref: string | null; hash: string; bytes: number; elsewhere?: string }
/** Content that the sender keeps elsewhere; nobody here fetches it. */
export interface Reference { role: string; name: string; uri: string }
export interface SpanEvent { time: string; name: string; attributes: Attributes }

export interface Span {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  name: string;
  kind: string;
  otlp_kind: string;
  start_time: string;
  end_time: string;
  duration_ms: number;
  status: 'unset' | 'ok' | 'error';
  outcome: string | null;
  tool_name?: string | null;
  model?: string | null;
  side_effect_level?: SideEffect | null;
  tokens_in?: number | null;
  tokens_out?: number | null;
  cost_usd?: number | null;
  cost?: Cost;
  error_class?: string | null;
  attempt?: number | null;
  approval_state?: ApprovalState | null;
  attributes: Attributes;
  resource: Attributes;
  scope: string | null;
  events: SpanEvent[];
  links: { trace_id: string; span_id: string }[];
  payloads: Payload[];
  /** By policy the payloads were not captured, or in a debug session they were sealed unredacted. */
  capture?: 'structure' | 'opt_out' | 'full';
  references?: Reference[];
  ledger: number[];
  revisions: number;
}

export interface Approval {
  approval_id: string | null;
  tool: string | null;
  state: ApprovalState;
  requested_time: string | null;
  decided_time: string | null;
  wait_ms: number | null;
  approver_id: string | null;
  approver_role: string | null;
  identity_source: string;
  reason: string | null;
  reason_payload: string | null;
  executed_time: string | null;
  execution_status: string | null;
  request_span_id: string | null;
  executed_span_id: string | null;
  args_match: boolean | null;
  sentence: string;
}

export interface LedgerRef { seq: number; type: string; span_id: string | null; this_hash: string }

export interface RunStory {
  run: Run & { budget: Budget | null; versions: Versions };
  spans: Span[];
  approvals: Approval[];
  ledger: LedgerRef[];
  first_wrong: { span_id: string; why: string } | null;
  missing_parents: number;
  evals: Evaluation[];
}

export interface Heartbeat { seq: number; recorded: string; state: 'started' | 'running' | 'stopping'; interval_ms: number }

/** What a `ledger.anchor` entry says: somebody outside confirmed the first `size` entries. */
export interface Anchored {
  size: number;
  kind: string;
  witness: string | null;
  key_id: string | null;
  time: string | null;
  recorded: string;
  seq: number;
  file_there: boolean | null;
}

export interface LedgerHead {
  origin: string;
  size: number;
  root: string;
  checkpoint: string;
  published_size: number;
  published_time: string | null;
  identity_vkey: string;
  epoch: number;
  /** The published head as five lines that can be typed from paper. */
  text?: string | null;
  last_heartbeat: Heartbeat | null;
  anchored: Anchored | null;
}

/** An object of an entry whose members differ by type. */
export type Members = { [member: string]: string | number | boolean | string[] | Members | undefined };

/** One entry as LJ-1 has it, plus its own hash. Members beyond these differ by type; docs/ledger-format.md has all of them. */
export interface LedgerEntry {
  seq: number;
  type: string;
  id: string;
  recorded: string;
  timestamp?: string;
  batch: number;
  epoch: number;
  boot: string;
  mono: number;
  workspace?: string;
  environment?: string;
  tenant_id?: string;
  workflow_id?: string;
  run_id?: string;
  session_id?: string;
  trace_id?: string;
  span_id?: string;
  scope_seq?: number;
  actor?: { id?: string; kind?: string; role?: string; identity_source?: string };
  action?: { tool_name?: string; target?: string; side_effect_level?: SideEffect; type?: string; attempt?: number };
  approval?: {
    state?: string; approver_id?: string; approver_role?: string; args_match?: boolean; identity_source?: string; latency_ms?: number; reason_code?: string; approval_id?: string;
    requested?: string; decided?: string;
  };
  policy?: { decision?: string; name?: string; version?: string; rule?: string; kind?: string; reason_code?: string };
  result?: { status?: string; error_class?: string; latency_ms?: number };
  payload?: Record<string, { ref: string; commitment: string; bytes: number }>;
  refers?: Record<string, string>;
  integrity: { prev_hash: string; this_hash: string };
  [member: string]: unknown;
}

export interface LedgerPage {
  entries: LedgerEntry[];
  next: string | null;
  size: number;
  indexed: number;
  looked_to: number;
  matches?: number;
  matches_complete?: boolean;
}

export interface Finding { code: number; sentence: string; file?: string; line?: number; from_byte?: number; to_byte?: number; from_seq?: number; to_seq?: number }

/** The JSON of `evident verify`. */
export interface VerifyReport {
  verdict: string;
  code: number;
  summary: string;
  entries: number;
  unanchored: number;
  root: string;
  first_time: string;
  last_time: string;
  newest_head: string;
  not_proven: string;
  verifier: string;
  findings: Finding[];
}

export interface LedgerCheck {
  state: 'idle' | 'running' | 'done' | 'failed';
  entries: number;
  of: number;
  started: string | null;
  finished: string | null;
  meaning: string;
  failure: string | null;
  report: VerifyReport | null;
  text: string | null;
}

/** While the vault is sealed the store is closed, and nothing is known of what it holds. */
export type Status = OpenStatus | SealedStatus;

interface House {
  version: string;
  workspace: string;
  open: boolean;
  started: string;
}

export interface SealedStatus extends House {
  ledger: null;
  vault: { state: 'sealed'; payloads_bytes: null };
  ingest: null;
  redaction: null;
  capture: null;
}

export interface OpenStatus extends House {
  ledger: { size: number; published_size: number; published_time: string | null; anchored_size: number | null; anchored_time: string | null };
  vault: { state: 'open'; payloads_bytes: number };
  ingest: { accepted_spans: number; duplicate_spans: number; rejected_spans: number; refused_requests: number };
  redaction: { version: string; hash: string; in_force: number; found: number; rules: Record<string, number> };
  capture: Capture;
}

export const isSealed = (status: Status): status is SealedStatus => status.ledger === null;

export type CaptureMode = 'redacted' | 'structure' | 'opt_out' | 'full';
export interface CaptureRule { tenant: string | null; workflow: string | null; environment: string | null; mode: CaptureMode }
/** What is captured of whom. `unnamed`: what holds for a span that does not say what the rules ask for. */
export interface Capture { mode: CaptureMode; unnamed: 'strict' | 'mode'; hash: string; rules: CaptureRule[]; debug_sessions: DebugSession[] }

/** Full capture of one tenant's workflow: asked for by one person, approved by another, over at `until`. An empty tenant stands for steps that name none. */
export interface DebugSession {
  id: string;
  state: 'requested' | 'open';
  tenant: string;
  workflow: string;
  environment: string | null;
  minutes: number;
  reason: string;
  requested_by: string;
  requested: string;
  approved_by: string | null;
  single_operator: boolean;
  opened: string | null;
  until: string | null;
}

/** A reply that is not the asked-for JSON. `status` is 0 when nobody answered. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

async function ask<T>(path: string, signal?: AbortSignal, post = false): Promise<T> {
  let reply: Response;
  const how: RequestInit = post ? { method: 'POST', body: '{}', headers: { accept: 'application/json', 'content-type': 'application/json' } } : { headers: { accept: 'application/json' } };
  try {
    reply = await fetch(path, { ...how, credentials: 'same-origin', signal: signal ?? null });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, 'unreachable', 'The appliance did not answer. It may be restarting, or this browser lost the way to it.');
  }
  if (reply.ok) return (await reply.json()) as T;
  const body = (await reply.json().catch(() => null)) as { error?: { code?: string; message?: string } } | null;
  throw new ApiError(reply.status, body?.error?.code ?? 'http', body?.error?.message ?? `The appliance answered ${reply.status}.`);
}

const get = <T>(path: string, signal?: AbortSignal) => ask<T>(path, signal);

const query = (fields: Record<string, string | number | undefined>) => {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined && value !== '') text.set(name, String(value));
  return text.toString();
};

export const api = {
  runs: (filter: Record<string, string | number | undefined>, signal?: AbortSignal) =>
    get<{ runs: Run[]; next: string | null }>(`/api/v1/runs?${query(filter)}`, signal),
  run: (id: string, signal?: AbortSignal) => get<RunStory>(`/api/v1/runs/${encodeURIComponent(id)}`, signal),
  trace: (id: string, signal?: AbortSignal) =>
    get<{ trace_id: string; run_id: string; spans: Span[] }>(`/api/v1/traces/${encodeURIComponent(id)}`, signal),
  ledgerHead: (signal?: AbortSignal) => get<LedgerHead>('/api/v1/ledger/head', signal),
  ledgerEntries: (from: number, limit: number, signal?: AbortSignal) =>
    get<{ entries: LedgerEntry[]; next: number | null; size: number }>(`/api/v1/ledger/entries?${query({ from, limit })}`, signal),
  /** Newest first; with a cursor what is older. */
  findEntries: (filter: Record<string, string | number | undefined>, signal?: AbortSignal) => get<LedgerPage>(`/api/v1/ledger/entries?${query({ ...filter, order: 'newest' })}`, signal),
  ledgerCheck: (signal?: AbortSignal) => get<LedgerCheck>('/api/v1/ledger/verify', signal),
  startLedgerCheck: (signal?: AbortSignal) => ask<LedgerCheck>('/api/v1/ledger/verify', signal, true),
  status: (signal?: AbortSignal) => get<Status>('/api/v1/status', signal),
};
