// What every bench shares: alternation, medians, percentiles, one row a measure.
// Only ratios to a limit measured in the same rounds carry over between machines.

export interface Measure {
  name: string
  value: number
  unit: string
  /** The physical or bare limit measured beside it, in the same unit; null where the target is absolute. */
  limit: number | null
  /** value / limit: the median of the rounds' ratios, not the ratio of the medians. */
  ratio?: number
  /** In words, such as `≥ 0.9 × bare`; empty for a row that only informs. */
  target: string
  ok: boolean
  /** Missed by half or more: the run fails. A busy machine may miss a target by less. */
  failed: boolean
}

/** How far a target may be missed before the run fails. */
const TOLERANCE = 1.5

export const atMost = (value: number, most: number): { ok: boolean; failed: boolean } => ({
  ok: value <= most,
  failed: !(value <= most * TOLERANCE),
})

export const atLeast = (value: number, least: number): { ok: boolean; failed: boolean } => ({
  ok: value >= least,
  failed: !(value >= least / TOLERANCE),
})

/** A row that only informs. */
export const INFORMS = { target: '', ok: true, failed: false } as const

/** Value at or below which the share `p` (0..1) of the samples lies. Throws on none. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]
  if (value === undefined) throw new Error('a percentile of no samples')
  return value
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5)

/**
 * Runs every contender once a round, the first one rotating, so that none always follows the same neighbour.
 * Each gives one number (a rate or a time) a round; the first round warms up and is dropped.
 */
export async function rotatedRounds<Name extends string>(
  contenders: Record<Name, () => number | Promise<number>>,
  rounds: number,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[]
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length]
      if (name === undefined) continue
      const value = await contenders[name]()
      if (round > 0) results[name].push(value)
    }
  }
  return results
}

/** Median of the rounds' ratios. */
export function ratioOf(values: readonly number[], limits: readonly number[]): number {
  return median(values.map((value, round) => value / (limits[round] ?? Number.NaN)))
}

/** One aligned line a measure. */
export function formatMeasures(measures: readonly Measure[]): string {
  const cells = measures.map((m) => [
    m.failed ? 'FAILED' : m.ok ? 'ok' : 'missed',
    m.name,
    `${formatNumber(m.value)} ${m.unit}`,
    m.limit === null ? '' : `limit ${formatNumber(m.limit)} ${m.unit}`,
    m.ratio === undefined ? '' : `ratio ${m.ratio.toFixed(2)}`,
    m.target === '' ? '' : `target ${m.target}`,
  ])
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(0, ...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function formatNumber(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
