// Lengths of time, read and written.

import { UserError } from '../../lib/errors.ts'

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `10m`, `1h`, `250ms`, or a bare number of seconds, in milliseconds. Throws UserError(2). */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim())
  if (!match?.[1])
    throw new UserError(2, 'bad-value', `${option}: "${text}" is no length of time; write 90s, 10m or 1h`)
  return Number(match[1]) * (UNITS[match[2] ?? 's'] ?? 1_000)
}

/** `3s`, `12m`, `4h 05m`, `3d`. */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours}h ${String(minutes % 60).padStart(2, '0')}m`
  return `${Math.floor(hours / 24)}d`
}

/** ISO 8601, or null. */
export function isoTime(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}

/** The time of day on this machine, for people: `14:03:27`. */
export function clockTime(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

/** A moment on this machine's clock, for people: `14:03` today, else `2026-01-02 14:03`. */
export function shortTime(moment: Date, today = new Date()): string {
  const two = (part: number): string => String(part).padStart(2, '0')
  const day = (date: Date): string => [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}`
  return day(moment) === day(today) ? time : `${day(moment)} ${time}`
}
