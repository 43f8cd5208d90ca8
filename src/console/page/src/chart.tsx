import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Sample } from './api';
import { bytes, duration } from './format';
import { language, t } from './words';

const height = 150;
const quarter = 15 * 60_000;
const whole = 24 * 3_600_000;
const colors = ['--line-1', '--line-2', '--line-3', '--line-4'];

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// All of the time that is asked for, however little of it was seen.
function make(place: HTMLElement, names: string[], span: () => number): uPlot {
  const axis = () => ({ stroke: color('--text'), grid: { stroke: color('--edge'), width: 1 }, ticks: { show: false } });
  return new uPlot(
    {
      width: place.clientWidth,
      height,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: (_, __, max) => [(max ?? Date.now() / 1000) - span() / 1000, max ?? Date.now() / 1000] }, y: { range: (_, __, max) => [0, Math.max((max ?? 0) * 1.1, 0.1)] } },
      axes: [
        { ...axis(), size: 28, space: 64, incrs: [60, 120, 300, 900, 1800, 3600, 7200, 14400], values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit' })) },
        { ...axis(), size: 56, space: 28, values: (_, values) => values.map((value) => `${new Intl.NumberFormat(language).format(value)} s`) },
      ],
      series: [{}, ...names.map((name, i) => ({ label: name, stroke: color(colors[i % colors.length]), width: 2, spanGaps: false }))],
    },
    [[], ...names.map(() => [])],
    place,
  );
}

// The greatest lags, for those who cannot see the line, and of the WAL, which it does not show; '' where
// nothing is known.
function most(samples: Sample[], name: string): string {
  const greatest = (lag: 'lag_seconds' | 'lag_bytes') =>
    samples.map((sample) => sample.nodes[name]?.[lag] ?? null).reduce((most, one) => (one === null || (most !== null && most >= one) ? most : one), null);
  const [seconds, size] = [greatest('lag_seconds'), greatest('lag_bytes')];
  return [seconds === null ? '' : duration(seconds * 1000), size === null ? '' : bytes(size)].filter((text) => text !== '').join(', ');
}

// Seconds of lag of each replica.
export function LagChart({ samples, names }: { samples: Sample[]; names: string[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const key = names.join(' ');
  const [day, setDay] = useState(false);
  const span = useRef(quarter);
  span.current = day ? whole : quarter;
  const from = (samples.at(-1)?.time_ms ?? 0) - quarter;
  const shown = day ? samples : samples.filter((sample) => sample.time_ms >= from);
  useEffect(() => {
    // Kept: an element that has gone from the page is no longer in the ref, and its observer may still call.
    const here = place.current;
    if (!here) return;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const draw = () => {
      plot.current?.destroy();
      plot.current = make(here, names, () => span.current);
      plot.current.setData(data(shown, names));
    };
    const size = new ResizeObserver(() => plot.current?.setSize({ width: here.clientWidth, height }));
    draw();
    size.observe(here);
    dark.addEventListener('change', draw);
    return () => {
      size.disconnect();
      dark.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [key]);
  useEffect(() => plot.current?.setData(data(shown, names)), [samples, day]);
  return (
    <>
      <div class="spread">
        <h3>{t('lagOverTime')}</h3>
        <div class="buttons" role="group" aria-label={t('range')}>
          <button type="button" aria-pressed={!day} onClick={() => setDay(false)}>
            {t('quarter')}
          </button>
          <button type="button" aria-pressed={day} onClick={() => setDay(true)}>
            {t('day')}
          </button>
        </div>
      </div>
      <div ref={place} class="chart" role="img" aria-label={t('lagOverTime')} />
      <ul class="legend">
        {names.map((name, i) => (
          <li key={name}>
            <span class="swatch" style={{ background: `var(${colors[i % colors.length]})` }} /> {name}
            {most(shown, name) !== '' && `: ${t('lagMost', { lag: most(shown, name) })}`}
          </li>
        ))}
      </ul>
    </>
  );
}

const longest = 150_000; // between two samples of those that are a minute apart

// Where nobody looked there is no line.
function withGaps(samples: Sample[]): Sample[] {
  return samples.flatMap((sample, i) => (i > 0 && sample.time_ms - samples[i - 1].time_ms > longest ? [{ time_ms: samples[i - 1].time_ms + 1000, nodes: {} }, sample] : [sample]));
}

function data(all: Sample[], names: string[]): uPlot.AlignedData {
  const samples = withGaps(all);
  return [
    samples.map((sample) => sample.time_ms / 1000),
    ...names.map((name) => samples.map((sample) => sample.nodes[name]?.lag_seconds ?? null)),
  ];
}
