// What many seeds have gone through together, as a table for people, and the floor below which they prove too little.

import { EFFECT_KINDS } from './effect-kinds.ts'
import { KNOWN_POINTS, POINTS, STRIKES, type Strike } from './cells.ts'
import { HAPPENING_NAMES } from './outside.ts'
import { DEED_NAMES } from './vendor-people.ts'
import type { Result } from './simulate.ts'

export interface Coverage {
  seeds: number
  /** Blows by kind of job and strike, in seeds that came to rest with every invariant kept: what was recovered from. */
  blows: Map<string, Map<Strike, number>>
  passed: Set<string>
  struck: Set<string>
  happened: Set<string>
  eventTypes: Set<string>
  transitions: number
  writes: number
  deaths: number
  refused: Result['refused']
  done: number
  cancelled: number
}

const REFUSALS = ['conflict', 'stale-lease', 'duplicate'] as const

export function newCoverage(): Coverage {
  const sets = {
    passed: new Set<string>(),
    struck: new Set<string>(),
    happened: new Set<string>(),
    eventTypes: new Set<string>(),
  }
  return {
    seeds: 0,
    blows: new Map(),
    ...sets,
    transitions: 0,
    writes: 0,
    deaths: 0,
    refused: { conflict: 0, 'stale-lease': 0, duplicate: 0 },
    done: 0,
    cancelled: 0,
  }
}

export function addResult(coverage: Coverage, result: Result): void {
  if (result.violations.length > 0) return
  coverage.seeds += 1
  coverage.transitions += result.counts.journal
  coverage.writes += result.counts.writes
  coverage.deaths += result.counts.deaths
  coverage.done += result.counts.done
  coverage.cancelled += result.counts.cancelled
  for (const because of REFUSALS) coverage.refused[because] += result.refused[because]
  for (const point of result.points) coverage.passed.add(point)
  for (const name of result.happened) coverage.happened.add(name)
  for (const type of result.eventTypes) coverage.eventTypes.add(type)
  for (const { point, strike } of result.blows) {
    const kind = point.split(':')[0] ?? ''
    const row = coverage.blows.get(kind) ?? new Map<Strike, number>()
    row.set(strike, (row.get(strike) ?? 0) + 1)
    coverage.blows.set(kind, row)
    coverage.struck.add(`${point} ${strike}`)
  }
}

/** What webhooks do. */
const TOLD = ['a delivery is lost', 'a delivery comes twice'] as const
/** Fewer seeds than these are for looking at something, not for proof: each cell of the table wants its share. */
const FLOOR_FROM_SEEDS = 400
/** Of the points that are passed at all, so many are also died at: the rest are passed in rare seeds only. */
const STRUCK_SHARE = 0.6
/** A task that goes straight through commits about 25 events; with trouble and restarts there must be clearly more. */
const TRANSITIONS_PER_SEED = 40
/** Else the world is so bad that nothing is merged, and the invariants hold of nothing. */
const DONE_SHARE = 0.6

/** What is missing, in sentences; empty when it is enough or was not meant to be. */
export function missing(coverage: Coverage): string[] {
  const gaps = [...coverage.passed]
    .filter((point) => !KNOWN_POINTS.has(point) && !point.startsWith('command:'))
    .map((point) => `point "${point}" is not among the cells; add it to cells.ts`)
  if (coverage.seeds < FLOOR_FROM_SEEDS) return gaps
  for (const kind of [...EFFECT_KINDS, 'delivery', 'poll']) gaps.push(...missingOf(coverage, kind))
  for (const because of REFUSALS) if (coverage.refused[because] === 0) gaps.push(`no commit was refused for ${because}`)
  for (const name of [...HAPPENING_NAMES, ...DEED_NAMES, ...TOLD])
    if (!coverage.happened.has(name)) gaps.push(`it never happened that ${name}`)
  const struck = [...coverage.passed].filter(
    (point) => coverage.struck.has(`${point} before`) || coverage.struck.has(`${point} after`),
  )
  if (struck.length < STRUCK_SHARE * coverage.passed.size)
    gaps.push(`processes died at ${struck.length} of ${coverage.passed.size} points`)
  if (coverage.transitions < TRANSITIONS_PER_SEED * coverage.seeds)
    gaps.push(
      `${(coverage.transitions / coverage.seeds).toFixed(1)} transitions a seed; the floor is ${TRANSITIONS_PER_SEED}`,
    )
  if (coverage.done < DONE_SHARE * (coverage.done + coverage.cancelled))
    gaps.push(`${coverage.done} tasks done and ${coverage.cancelled} cancelled: too few are merged`)
  return gaps
}

function missingOf(coverage: Coverage, kind: string): string[] {
  const wanted: Strike[] = POINTS[kind]?.calls.length ? ['before', 'after', 'failed'] : ['before', 'after']
  return wanted
    .filter((strike) => !coverage.blows.get(kind)?.get(strike))
    .map((strike) => `no ${kind} was struck ${strike}`)
}

/** The table and the sums, as lines. */
export function describe(coverage: Coverage): string[] {
  const { seeds, transitions, writes, deaths, done, cancelled, passed, struck } = coverage
  const each = (n: number): string => (seeds === 0 ? '0' : (n / seeds).toFixed(1))
  const cell = (kind: string, strike: Strike): string => {
    const isPossible = strike === 'before' || strike === 'after' || (POINTS[kind]?.calls.length ?? 0) > 0
    return String(coverage.blows.get(kind)?.get(strike) ?? (isPossible ? 0 : '-')).padStart(9)
  }
  return [
    `recovered from  ${STRIKES.map((strike) => strike.padStart(9)).join('')}`,
    ...Object.keys(POINTS).map(
      (kind) =>
        `${kind.padEnd(18)}${STRIKES.map((strike) => cell(kind, strike))
          .join('')
          .slice(2)}`,
    ),
    `${seeds} seeds, ${deaths} deaths (${each(deaths)} a seed), ${each(transitions)} transitions and ${each(writes)} durable writes a seed`,
    `${passed.size} points passed, ${struck.size} of their cells struck; ${done} tasks done, ${cancelled} cancelled; ${coverage.eventTypes.size} types of events`,
    `commits refused: ${REFUSALS.map((because) => `${because} ${coverage.refused[because]}`).join(', ')}`,
  ]
}
