import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Sample } from './api';
import { language, t } from './words';

const colors = ['--line-1', '--line-2', '--line-3', '--line-4'];

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function make(place: HTMLElement, names: string[]): uPlot {
  const axis = () => ({ stroke: color('--text'), grid: { stroke: color('--edge'), width: 1 }, ticks: { show: false } });
  return new uPlot(
    {
      width: place.clientWidth,
      height: 180,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, __, max) => [0, Math.max(max ?? 0, 0.1)] } },
      axes: [
        { ...axis(), values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit' })) },
        { ...axis(), size: 56, values: (_, values) => values.map((value) => `${new Intl.NumberFormat(language).format(value)} s`) },
      ],
      series: [{}, ...names.map((name, i) => ({ label: name, stroke: color(colors[i % colors.length]), width: 2, spanGaps: false }))],
    },
    [[], ...names.map(() => [])],
    place,
  );
}

// Seconds of lag of each replica. The picture says nothing that the cards beside it do not say.
export function LagChart({ samples, names }: { samples: Sample[]; names: string[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const key = names.join(' ');
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const draw = () => {
      plot.current?.destroy();
      plot.current = make(place.current!, names);
      plot.current.setData(data(samples, names));
    };
    const size = new ResizeObserver(() => plot.current?.setSize({ width: place.current!.clientWidth, height: 180 }));
    draw();
    size.observe(place.current!);
    dark.addEventListener('change', draw);
    return () => {
      size.disconnect();
      dark.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [key]);
  useEffect(() => plot.current?.setData(data(samples, names)), [samples]);
  return (
    <div>
      <div ref={place} class="chart" role="img" aria-label={t('lagOverTime')} />
      <ul class="legend">
        {names.map((name, i) => (
          <li key={name}>
            <span class="swatch" style={{ background: `var(${colors[i % colors.length]})` }} /> {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

function data(samples: Sample[], names: string[]): uPlot.AlignedData {
  return [
    samples.map((sample) => sample.time_ms / 1000),
    ...names.map((name) => samples.map((sample) => sample.nodes[name]?.lag_seconds ?? null)),
  ];
}
