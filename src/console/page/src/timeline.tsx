import type { Backup } from './api';
import { moment } from './format';
import { t } from './words';

export function reach(backup: Backup): number {
  return Math.max(backup.stopped, ...(backup.recovery?.lines.map((line) => line.reaches) ?? []));
}

const whole = 2 ** 32; // bytes of the segments that have the same sixteen digits before their last eight

// Bytes of a segment, as the end of a line tells; the usual size where there is none, and no gap.
export function segmentSize(backups: Backup[]): number {
  for (const { last_segment, end_lsn } of backups.flatMap((backup) => backup.recovery?.lines ?? [])) {
    if (!last_segment) continue;
    const [high, low] = end_lsn.split('/').map((part) => parseInt(part, 16));
    return ((high - parseInt(last_segment.slice(8, 16), 16)) * whole + low) / (parseInt(last_segment.slice(16, 24), 16) + 1);
  }
  return 16 << 20;
}

// Where a segment stands among others of its cluster, whatever its timeline.
function place(segment: string, size: number): number {
  return parseInt(segment.slice(8, 16), 16) + (parseInt(segment.slice(16, 24), 16) * size) / whole;
}

// About when a segment was written: between the ends of backups, which tell both.
export function timeOf(segment: string, backups: Backup[], end: number): number {
  const size = segmentSize(backups);
  const known = backups.filter((backup) => backup.wal_last).map((backup) => ({ at: place(backup.wal_last, size), time: backup.stopped }));
  known.sort((a, b) => a.at - b.at);
  const at = place(segment, size);
  const before = known.filter((entry) => entry.at <= at).at(-1);
  const after = known.find((entry) => entry.at > at);
  if (!before) return after?.time ?? end;
  if (!after) return Math.min(end, before.time + 1);
  return before.time + ((at - before.at) / (after.at - before.at)) * (after.time - before.time);
}

const lane = 22;
const inset = 8;

// A lane for each backup: where it was made, on what it builds, how far WAL leads from it, and where WAL
// is missing. The table below says the same in words.
export function Timeline({ backups, from, to, chosen, width }: { backups: Backup[]; from: number; to: number; chosen: number; width: number }) {
  const x = (time: number) => inset + Math.min(1, Math.max(0, (time - from) / Math.max(1, to - from))) * (width - 2 * inset);
  const y = (i: number) => i * lane + lane / 2 + 4;
  const largest = Math.max(...backups.map((backup) => backup.size), 1);
  const row = new Map(backups.map((backup, i) => [backup.label, i]));
  const height = backups.length * lane + 8;
  return (
    <svg class="timeline" width={width} height={height} role="img" aria-label={t('timelineOf')}>
      {backups.map((backup, i) => {
        const prior = backup.prior === null ? undefined : row.get(backup.prior);
        const size = 5 + 6 * Math.sqrt(backup.size / largest);
        const gaps = backup.recovery?.lines.flatMap((line) => line.gaps) ?? [];
        return (
          <g key={backup.label}>
            <line class="lane" x1={inset} x2={width - inset} y1={y(i)} y2={y(i)} />
            {prior !== undefined && <path class="builds" d={`M${x(backups[prior].stopped)} ${y(prior)} V${y(i)} H${x(backup.stopped)}`} />}
            {backup.recovery && !backup.recovery.missing && <rect class="reach" x={x(backup.recovery.from)} y={y(i) - 3} width={Math.max(2, x(reach(backup)) - x(backup.recovery.from))} height={6} />}
            {gaps.map((gap) => {
              const begin = x(timeOf(gap.first, backups, to));
              return <rect key={gap.first} class="gap" x={begin} y={y(i) - 6} width={Math.max(6, x(timeOf(gap.last, backups, to)) - begin)} height={12} />;
            })}
            {backup.type === 'full' ? (
              <rect class="backup" x={x(backup.stopped) - size / 2} y={y(i) - size / 2} width={size} height={size} />
            ) : (
              <circle class={`backup ${backup.type}`} cx={x(backup.stopped)} cy={y(i)} r={size / 2} />
            )}
            <title>{`${backup.label}, ${moment(backup.stopped * 1000)}`}</title>
          </g>
        );
      })}
      <line class="chosen" x1={x(chosen)} x2={x(chosen)} y1={0} y2={height} />
    </svg>
  );
}

export function Legend() {
  return (
    <ul class="legend">
      <li><svg width="12" height="12" aria-hidden="true"><rect class="backup" x="1" y="1" width="10" height="10" /></svg> {t('legendFull')}</li>
      <li><svg width="12" height="12" aria-hidden="true"><circle class="backup diff" cx="6" cy="6" r="5" /></svg> {t('legendDiff')}</li>
      <li><svg width="12" height="12" aria-hidden="true"><circle class="backup incr" cx="6" cy="6" r="4" /></svg> {t('legendIncr')}</li>
      <li><svg width="16" height="12" aria-hidden="true"><rect class="reach" y="3" width="16" height="6" /></svg> {t('legendWal')}</li>
      <li><svg width="16" height="12" aria-hidden="true"><rect class="gap" width="16" height="12" /></svg> {t('legendGap')}</li>
      <li><svg width="6" height="12" aria-hidden="true"><line class="chosen" x1="3" x2="3" y1="0" y2="12" /></svg> {t('legendChosen')}</li>
    </ul>
  );
}
