// Places on the shared time scale. Waiting for a person is hatched, never solid.
import { clock, duration } from './format.js';
import { kindHue } from './icons.js';

export interface Scale { readonly start: number; readonly end: number }
export interface Wait { readonly start: number; readonly end: number; readonly label: string; readonly words: string }

/** Per cent of the scale for an interval, clipped; at least a visible sliver wide (the sheet of style adds 2 px). */
export function place(scale: Scale, from: number, to: number): { left: number; width: number } {
  const whole = Math.max(scale.end - scale.start, 1e-6);
  const a = Math.min(1, Math.max(0, (from - scale.start) / whole));
  const b = Math.min(1, Math.max(a, (to - scale.start) / whole));
  return { left: a * 100, width: (b - a) * 100 };
}

/** Round offsets (1, 2 or 5 of a unit; 15 and 30 for minutes) that cut the scale into at most `most` parts. */
export function ticks(scale: Scale, most: number): number[] {
  const whole = scale.end - scale.start;
  if (!(whole > 0)) return [0];
  const least = whole / Math.max(1, most);
  const steps = [1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000];
  const decade = 10 ** Math.floor(Math.log10(least));
  const step = least <= 1000 ? [1, 2, 5, 10].map((n) => n * decade).find((s) => s >= least * 0.999999)!
    : steps.find((s) => s >= least) ?? Math.ceil(least / 86_400_000) * 86_400_000;
  return Array.from({ length: Math.floor(whole / step + 1e-9) + 1 }, (_, i) => i * step);
}

const per = (n: number) => `${n.toFixed(4)}%`;

export function Axis({ scale, most }: { scale: Scale; most: number }) {
  return (
    <div class="axis" aria-hidden title={`starts ${clock(scale.start)}`}>
      {ticks(scale, most).map((t) => {
        const { left } = place(scale, scale.start + t, scale.start + t);
        return left > 96 && t > 0 ? null : <span key={t} style={{ left: per(left) }}>{t === 0 ? clock(scale.start) : `+${duration(t).replace(/ 00 [sm]$/, '').replace('.0 s', ' s')}`}</span>;
      })}
    </div>
  );
}

export interface BarFacts {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly failed: boolean;
  /** Holds other steps: drawn light, so that the leaves read first. */
  readonly holds: boolean;
  readonly waits: readonly Wait[];
  /** This row is the wait itself: label it. */
  readonly label: string;
}

/** `wide`: pixels of the lane, which decide where a label has room. */
export function Bar({ scale, bar, wide }: { scale: Scale; bar: BarFacts; wide: number }) {
  const at = place(scale, bar.start, bar.end);
  const labelled = bar.waits[0] && bar.label ? place(scale, bar.waits[0].start, bar.waits[0].end) : null;
  const room = (share: number) => (share / 100) * wide > 170;
  const side = !labelled ? '' : room(labelled.width) ? 'in' : room(100 - labelled.left - labelled.width) ? 'after' : room(labelled.left) ? 'before' : '';
  return (
    <>
      {!(labelled && bar.kind === 'approval') && (
        <i class={`b b-${kindHue(bar.kind)} ${bar.holds ? 'holds' : ''} ${bar.failed ? 'bad' : ''}`} style={{ left: per(at.left), width: per(at.width) }} />
      )}
      {bar.waits.map((w, i) => {
        const p = place(scale, w.start, w.end);
        return <i key={i} class={`b hatch ${bar.label ? '' : 'thin'}`} style={{ left: per(p.left), width: per(p.width) }} title={w.words} />;
      })}
      {labelled && side && (
        <span class={`waitlabel ${side}`} title={bar.label}
          style={side === 'in' ? { left: per(labelled.left), width: per(labelled.width) }
            : side === 'after' ? { left: per(labelled.left + labelled.width), right: '0' }
            : { right: per(100 - labelled.left), left: '0', textAlign: 'right' }}><b>{bar.label}</b></span>
      )}
    </>
  );
}
