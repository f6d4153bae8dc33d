// The vocabulary in shapes. Shape carries the meaning, colour repeats it, a word stands beside it or in its label.
import type { ComponentChildren, JSX } from 'preact';
import type { SideEffect } from './api.js';

const shapes: Record<string, ComponentChildren> = {
  agent: <><circle cx="8" cy="8" r="5.5" /><circle cx="8" cy="8" r="1.6" class="full" /></>,
  workflow: <rect x="2.5" y="3.5" width="11" height="9" rx="2" />,
  plan: <path d="M3 4.5h10M3 8h7M3 11.5h4.5" />,
  llm: <path d="M8 2l1.5 4.5L14 8l-4.5 1.5L8 14l-1.5-4.5L2 8l4.5-1.5z" />,
  tool: <path d="M8 2l5.2 3v6L8 14l-5.2-3V5z" />,
  retrieval: <><circle cx="7" cy="7" r="4.2" /><path d="M10.2 10.2L14 14" /></>,
  shield: <path d="M8 2l5 1.8v4c0 3-2 5-5 6.2-3-1.2-5-3.2-5-6.2v-4z" />,
  verify: <><circle cx="8" cy="8" r="5.8" /><path d="M5.4 8.2l1.9 1.9 3.4-3.9" /></>,
  handoff: <path d="M2.5 3v10M5 8h8.5M10 4.5L13.5 8 10 11.5" />,
  approval: <><circle cx="8" cy="5.2" r="2.7" /><path d="M2.8 13.5c.6-2.8 2.6-4.2 5.2-4.2s4.6 1.4 5.2 4.2" /></>,
  retry: <path d="M13 8a5 5 0 1 1-1.7-3.7M13 2v3h-3" />,
  fallback: <path d="M3 3v4a3 3 0 0 0 3 3h7M10 7l3 3-3 3" />,
  breaker: <path d="M9 2L4 9h3.5L7 14l5-7H8.5z" />,
  finish: <path d="M4 14V2.5M4 3h8l-2 3 2 3H4" />,
  plumbing: <circle cx="8" cy="8" r="1.8" class="full" />,
  http: <path d="M2.5 5.5h10M10 3l2.5 2.5M13.5 10.5h-10M6 8l-2.5 2.5L6 13" />,
  db: <><ellipse cx="8" cy="4" rx="4.8" ry="1.9" /><path d="M3.2 4v8c0 1 2.1 1.9 4.8 1.9s4.8-.9 4.8-1.9V4" /></>,
  missing: <circle cx="8" cy="8" r="5.2" class="dashed" />,
  runs: <path d="M2.5 4h2M7 4h6.5M2.5 8h2M7 8h6.5M2.5 12h2M7 12h4.5" />,
  privacy: <><path d="M8 2l5 1.8v4c0 3-2 5-5 6.2-3-1.2-5-3.2-5-6.2v-4z" /><circle cx="8" cy="7" r="1.3" class="full" /><path d="M8 8v2.4" /></>,
  ledger: <><circle cx="8" cy="3.3" r="1.8" /><circle cx="8" cy="12.7" r="1.8" /><path d="M8 5.1v5.8M11.5 3.3H14M11.5 12.7H14" /></>,
  lock: <><rect x="3.5" y="7" width="9" height="6.5" rx="1.2" /><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2" /></>,
  eye: <><path d="M1.5 8s2.4-4.5 6.5-4.5S14.5 8 14.5 8s-2.4 4.5-6.5 4.5S1.5 8 1.5 8z" /><circle cx="8" cy="8" r="1.9" /></>,
  uncaptured: <><circle cx="8" cy="8" r="5.2" class="dashed" /><path d="M4.4 11.6l7.2-7.2" /></>,
  close: <path d="M4 4l8 8M12 4l-8 8" />,
  chevron: <path d="M6 4l4 4-4 4" />,
  copy: <><rect x="5.5" y="5.5" width="8" height="8" rx="1.2" /><path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2" /></>,
  flag: <path d="M4 14V2.5M4 3h8.5l-2 2.8 2 2.7H4" />,
  search: <><circle cx="7" cy="7" r="4.2" /><path d="M10.2 10.2L14 14" /></>,
  failure: <rect x="3" y="3" width="10" height="10" rx="1" class="full" />,
  rejected: <circle cx="8" cy="8" r="4.6" class="thick" />,
  timeout: <><circle cx="8" cy="8" r="5.5" /><path d="M8 4.8V8l2.3 1.7" /></>,
  interrupted: <path d="M5.5 3.5v9M10.5 3.5v9" class="thick" />,
  running: <circle cx="8" cy="8" r="4.8" class="dashed" />,
  partial: <><circle cx="8" cy="8" r="5" /><path d="M8 3a5 5 0 0 1 0 10z" class="full" /></>,
  anchor: <><circle cx="8" cy="3.6" r="1.6" /><path d="M8 5.2V14M5.4 7.6h5.2M2.8 9.6c.4 2.6 2.4 4.4 5.2 4.4s4.8-1.8 5.2-4.4" /></>,
  pulse: <path d="M1.5 8.5h3.2l1.8-4.5 2.6 8 1.9-3.5h3.5" />,
  knot: <><circle cx="8" cy="8" r="5.4" /><circle cx="8" cy="8" r="2.6" class="full" /></>,
  key: <><circle cx="5" cy="11" r="2.6" /><path d="M7 9l6-6M10.6 5.4l2 2" /></>,
  retention: <><path d="M3 4.5h10M6.2 4.5V3h3.6v1.5M4.4 4.5l.6 9h6l.6-9" /></>,
  download: <path d="M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13.5h10" />,
  qr: <><rect x="2.5" y="2.5" width="4.2" height="4.2" /><rect x="9.3" y="2.5" width="4.2" height="4.2" /><rect x="2.5" y="9.3" width="4.2" height="4.2" /><path d="M9.5 9.5h1.8v1.8M13.4 9.5v4h-2" /></>,
  up: <path d="M4 10l4-4 4 4" />,
  down: <path d="M4 6l4 4 4-4" />,
  success: <path d="M3.5 8.5l3 3 6-7" />,
};

const kinds: Record<string, [shape: string, hue: string]> = {
  agent: ['agent', 'agent'], workflow: ['workflow', 'agent'], step: ['workflow', 'agent'], plan: ['plan', 'agent'], prompt: ['plan', 'agent'],
  llm: ['llm', 'model'], embedding: ['llm', 'model'], retrieval: ['retrieval', 'retrieval'], rerank: ['retrieval', 'retrieval'],
  tool_select: ['tool', 'tool'], tool: ['tool', 'tool'], guardrail: ['shield', 'guard'], policy: ['shield', 'guard'],
  evaluation: ['verify', 'verify'], verify: ['verify', 'verify'], handoff: ['handoff', 'handoff'], approval: ['approval', 'approval'],
  retry: ['retry', 'approval'], fallback: ['fallback', 'approval'], state_transition: ['handoff', 'agent'], circuit_breaker: ['breaker', 'guard'],
  finish: ['finish', 'agent'], http: ['http', 'plumbing'], db: ['db', 'plumbing'], event: ['plumbing', 'plumbing'], span: ['plumbing', 'plumbing'],
  missing: ['missing', 'plumbing'],
};
export const kindHue = (kind: string) => kinds[kind]?.[1] ?? 'plumbing';
export const kindWord = (kind: string) => ({ llm: 'model', missing: 'not received' })[kind] ?? kind.replaceAll('_', ' ');

export function Icon({ name, label, ...rest }: { name: string; label?: string } & Omit<JSX.IntrinsicElements['svg'], 'name' | 'icon' | 'label'>) {
  const alone = label ? { role: 'img' as const, 'aria-label': label } : { 'aria-hidden': true as const };
  return <svg viewBox="0 0 16 16" width="16" height="16" {...alone} {...rest} class={`icon ${rest.class ?? ''}`}>{shapes[name]}</svg>;
}

export const KindIcon = ({ kind }: { kind: string }) => <Icon name={kinds[kind]?.[0] ?? 'plumbing'} class={`k-${kindHue(kind)}`} />;

export const isOutcome = (word: string) => outcomeShapes.has(word);
const outcomeShapes = new Set(['failure', 'rejected', 'timeout', 'interrupted', 'running', 'partial', 'fallback']);

/** How something ended. Success has no shape where rows are dense; `always` draws it. */
export function OutcomeShape({ outcome, always = false }: { outcome: string; always?: boolean }) {
  if (!isOutcome(outcome) && !(always && outcome === 'success')) return null;
  return <Icon name={outcome} class={`o-${outcome}`} />;
}

const effects: Record<SideEffect, [path: ComponentChildren, word: string]> = {
  none: [null, 'no side effect'],
  read: [<circle cx="5" cy="5" r="3" />, 'read'],
  write: [<circle cx="5" cy="5" r="3.6" class="full" />, 'write'],
  irreversible: [<path d="M5 .6L9.4 5 5 9.4.6 5z" class="full" />, 'irreversible'],
  unknown: [null, 'unknown effect'],
};

/** Hollow dot read, solid dot write, solid diamond irreversible, question mark unknown. */
export function SideEffectMark({ level, word = true }: { level: SideEffect; word?: boolean }) {
  if (level === 'none' || !(level in effects)) return null;
  const [path, text] = effects[level];
  return (
    <span class={`effect e-${level}`} title={`side effect: ${text}`}>
      {path ? <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden>{path}</svg> : <b aria-hidden>?</b>}
      <span class={word ? '' : 'unseen'}>{text}</span>
    </span>
  );
}
