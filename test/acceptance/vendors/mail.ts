// What a vendor's webhooks deliver to Orch, and what becomes of it on the way: some are lost, some come twice, some come
// later than what happened after them. By a seed, so that a run can be had again.

import { createHash } from 'node:crypto'

export interface Letter {
  url: string
  headers: Record<string, string>
  body: string
  /** For people. */
  about: string
}

/** Shares of all deliveries; the rest come once and in order. */
export interface Fates {
  lost: number
  doubled: number
  late: number
}

export interface Mail {
  send(letters: Letter[]): void
  /** From now on nothing comes, or all does. */
  lose(all: boolean): void
  /** All that was sent has come or is lost. */
  settled(): Promise<void>
  /** What became of each, in order. */
  readonly log: readonly string[]
  /** How many had which fate. */
  readonly counts: Readonly<Record<Fate, number>>
}

type Fate = 'once' | 'lost' | 'doubled' | 'late' | 'nobody'

const SURE: Fates = { lost: 0, doubled: 0, late: 0 }

export function makeMail({ seed, ...options }: { seed: number; fates?: Fates }): Mail {
  let fates = options.fates ?? SURE
  const log: string[] = []
  const counts: Record<Fate, number> = { once: 0, lost: 0, doubled: 0, late: 0, nobody: 0 }
  let sent = 0
  let queue = Promise.resolve()
  let held: Letter[] = []

  async function post(letter: Letter): Promise<string> {
    try {
      const { url, headers, body } = letter
      return String((await fetch(url, { method: 'POST', headers, body })).status)
    } catch {
      // Nobody listens: no vendor of ours tries again by itself.
      counts.nobody += 1
      return 'nobody there'
    }
  }
  async function carry(letter: Letter, fate: Fate): Promise<void> {
    counts[fate] += 1
    if (fate === 'late') {
      held.push(letter)
      return
    }
    const came = fate === 'lost' ? [] : [await post(letter)]
    if (fate === 'doubled') came.push(await post(letter))
    log.push(`${letter.about}: ${fate} ${came.join(' ')}`)
    const late = held
    held = []
    for (const one of late) log.push(`${one.about}: late ${await post(one)}`)
  }
  return {
    send(letters) {
      for (const letter of letters) {
        const fate = fateOf(fates, dice(seed, (sent += 1)))
        queue = queue.then(() => carry(letter, fate))
      }
    },
    lose: (all) => {
      fates = all ? { lost: 1, doubled: 0, late: 0 } : SURE
    },
    settled: () => queue,
    log,
    counts,
  }
}

function fateOf({ lost, doubled, late }: Fates, thrown: number): Fate {
  if (thrown < lost) return 'lost'
  if (thrown < lost + doubled) return 'doubled'
  return thrown < lost + doubled + late ? 'late' : 'once'
}

/** Between 0 and 1, the same for the same seed and number. */
function dice(seed: number, n: number): number {
  return createHash('sha256').update(`${seed}/${n}`).digest().readUInt32BE(0) / 2 ** 32
}
