// When a limit ends, as agents and vendors write it: a wait ("try again in 6m0.5s", "retry-after: 30"), a moment (ISO, or
// a count since 1970) or a time of day ("resets Nov 23, 3pm (Europe/Berlin)"). Invariant: a number that can't be read for
// sure is none; nobody waits for what was misread.

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}
const MINUTE_MS = 60_000
const HALF_YEAR_MS = 183 * 86_400_000

const UNIT =
  '(?:ms|milli(?:second)?s?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:(?:ee)?ks?)?)'
const PART = String.raw`\d+(?:\.\d+)?\s?${UNIT}(?![a-z])`
const LEAD = String.raw`(?:retry|try again|resets?|available again|wait)[ _-]?(?:after|in|delay|for)`
const DURATION = new RegExp(String.raw`${LEAD}["':=\s]*(${PART}(?:[\s,]*(?:and\s)?\s*${PART})*)`, 'i')
const ONE_PART = new RegExp(String.raw`(\d+(?:\.\d+)?)\s?(${UNIT})(?![a-z])`, 'gi')
/** A number alone is of seconds, unless its name says otherwise. In prose nothing else may follow it ("in 5 attempts"). */
const NAMED =
  /(?:retry|resets?)[ _-]?(?:after|in)[_-]?(ms|s|seconds)?["']?\s*[:=]\s*["']?(\d{1,9}(?:\.\d+)?)(?![\d:-])/i
const BARE = new RegExp(String.raw`${LEAD}\s+(\d{1,9}(?:\.\d+)?)(?![\d:/-]|\.\d|\s?[a-z%])`, 'i')

const MOMENT =
  /(?:reset|retry|until|again)[^.{}]{0,40}?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?(?:Z|UTC|[+-]\d\d:?\d\d))/i
/** Seconds, or with three digits more milliseconds, since 1970. */
const EPOCH = /(?:reset[^.{}]{0,40}?|limit reached\|)\b(\d{10})(\d{3})?\b/i

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAY = String.raw`(${MONTHS.join('|')})[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?(?:,| at)? `
const CLOCK = new RegExp(
  String.raw`(?:resets?|try again|until)(?: at| on)? (?:${DAY})?(\d{1,2})(?:(?::(\d\d))? ?([ap])m|:(\d\d))\b(?: ?\(([\w/+-]+)\))?`,
  'i',
)

/**
 * How long the limit that `text` tells of lasts from `now` (ms since 1970), in ms; 0 when it is over, null when the text
 * does not say. A time of day is the next one, in the zone it names, else in this machine's.
 */
export function resetIn(text: string, now: number): number | null {
  const wait = waitIn(text)
  if (wait !== null) return wait
  const moment = Date.parse(MOMENT.exec(text)?.[1] ?? '')
  if (!Number.isNaN(moment)) return Math.max(0, moment - now)
  const epoch = EPOCH.exec(text)
  if (epoch) return Math.max(0, Number(epoch[1]) * 1_000 + Number(epoch[2] ?? 0) - now)
  return clockIn(text, now)
}

function waitIn(text: string): number | null {
  const duration = DURATION.exec(text)?.[1]
  if (duration !== undefined) {
    const parts = [...duration.matchAll(ONE_PART)]
    return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitOf(unit ?? ''), 0))
  }
  const named = NAMED.exec(text)
  if (named) return Math.round(Number(named[2]) * (named[1]?.toLowerCase() === 'ms' ? 1 : 1_000))
  const bare = BARE.exec(text)?.[1]
  return bare === undefined ? null : Math.round(Number(bare) * 1_000)
}

function unitOf(unit: string): number {
  const name = unit.toLowerCase()
  return UNIT_MS[/^(ms|mil)/.test(name) ? 'ms' : name.charAt(0)] ?? 0
}

function clockIn(text: string, now: number): number | null {
  const [found, month, day, year, hour, minute, half, minuteOf24, named] = CLOCK.exec(text) ?? []
  const hours = half === undefined ? Number(hour) : (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0)
  const minutes = Number(minute ?? minuteOf24 ?? 0)
  if (found === undefined || hours > 23 || Number(hour) > (half === undefined ? 23 : 12) || minutes > 59) return null
  const zone = zoneOf(named)
  const today = new Date(wallOf(now, zone))
  const at = (fullYear: number, monthIndex: number, dayOfMonth: number): number =>
    momentOf(Date.UTC(fullYear, monthIndex, dayOfMonth, hours, minutes), zone)
  if (month !== undefined) {
    const index = MONTHS.indexOf(month.toLowerCase())
    const until = at(Number(year ?? today.getUTCFullYear()), index, Number(day))
    // No limit lasts half a year: a day that long ago is the next year's, one less long ago is over.
    const next = year === undefined && until < now - HALF_YEAR_MS
    return Math.max(0, (next ? at(today.getUTCFullYear() + 1, index, Number(day)) : until) - now)
  }
  const until = at(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate())
  // It is told without its seconds: within its own minute it is over, not a day away.
  if (until + MINUTE_MS > now) return Math.max(0, until - now)
  return at(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + 1) - now
}

/** The zone by that name, or this machine's when there is none. */
function zoneOf(name: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone
  } catch {
    return new Intl.DateTimeFormat('en').resolvedOptions().timeZone
  }
}

/** What clocks of the zone show at a moment, as if they were in UTC, ms. */
function wallOf(moment: number, timeZone: string): number {
  const shown = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(moment)
  const part = (type: string): number => Number(shown.find((one) => one.type === type)?.value ?? 0)
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
}

/** The moment at which clocks of the zone show this; asked twice, since its offset may change on the way there. */
function momentOf(wall: number, zone: string): number {
  const near = wall - (wallOf(wall, zone) - wall)
  return near - (wallOf(near, zone) - wall)
}
