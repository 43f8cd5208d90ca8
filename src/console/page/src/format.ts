import { language } from './words';

// As the command line writes them: powers of 1000, three digits at most.
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(value)} ${units[unit]}`;
}

export function count(value: number): string {
  return new Intl.NumberFormat(language).format(value);
}

export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function moment(ms: number): string {
  // The medium date of Portuguese (28 de nov. de 2026) is too long for a table.
  return new Intl.DateTimeFormat(language, { dateStyle: language === 'en' ? 'medium' : 'short', timeStyle: 'medium' }).format(new Date(ms));
}

// The same with its zone, for who has to tell it from those of others; the zone stands once on the page.
export function zoned(ms: number): string {
  return new Intl.DateTimeFormat(language, { dateStyle: language === 'en' ? 'medium' : 'short', timeStyle: 'long' }).format(new Date(ms));
}

// What a server has written ("2026-11-29 18:28:57.123456+00"), of which a part of a second matters; as it
// was written where it is no moment.
export function exactly(text: string): string {
  const ms = Date.parse(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
  if (Number.isNaN(ms)) return text;
  return new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, timeZoneName: 'short' }).format(new Date(ms));
}

// The value of an <input type="datetime-local">, in the browser's zone, and back.
export function toLocalInput(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
}

export function toPostgres(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}+00`;
}
