// What keeps a project from being asked, told once when it begins and once when it is over: a forge that is down for a night
// is one notice, not one for each look (191 equal ones were sent once).

import { ExternalError, UserError, messageOf } from '../lib/errors.ts'

/** What may be over at the next look, and is no person's to mend: said when it was met this often in a row. */
const PASSING: readonly string[] = ['unreachable', 'timed-out', 'conflict', 'rate-limited']
const PASSING_LOOKS = 2

export interface PollTroubles {
  /** One look at a project has failed. False: it is neither the world's nor the user's, but a fault of Orch. */
  failed(project: string, error: unknown): boolean
  succeeded(project: string): void
  /** Ends a round: says what is new, vendors that fail in the same way together. */
  tell(say: (sentence: string) => void): void
}

interface Trouble {
  /** Vendor and kind: another kind is another trouble. */
  what: string
  looks: number
  isTold: boolean
  text: string
}

export function makePollTroubles(): PollTroubles {
  const troubles = new Map<string, Trouble>()
  const over: { project: string; what: string }[] = []
  return {
    failed(project, error) {
      const found = readTrouble(error)
      if (!found) return false
      const before = troubles.get(project)
      if (before?.what === found.what) troubles.set(project, { ...before, looks: before.looks + 1, text: found.text })
      else troubles.set(project, { ...found, looks: 1, isTold: false })
      return true
    },
    succeeded(project) {
      const before = troubles.get(project)
      if (before?.isTold) over.push({ project, what: before.what })
      troubles.delete(project)
    },
    tell(say) {
      const fresh = [...troubles].filter(([, trouble]) => !trouble.isTold && isDue(trouble))
      for (const [what, group] of Map.groupBy(fresh, ([, trouble]) => trouble.what)) {
        const [first] = group
        if (first)
          say(
            beginText(
              what,
              group.map(([project]) => project),
              first[1].text,
            ),
          )
        for (const [, trouble] of group) trouble.isTold = true
      }
      for (const [what, group] of Map.groupBy(over.splice(0), (one) => one.what))
        say(`${systemOf(what)} answers again for ${group.map(({ project }) => project).join(', ')}`)
    },
  }
}

function readTrouble(error: unknown): Pick<Trouble, 'what' | 'text'> | null {
  if (error instanceof ExternalError) return { what: `${error.system} ${error.kind}`, text: messageOf(error) }
  // A credential that is not there.
  return error instanceof UserError ? { what: `its vendor ${error.code}`, text: messageOf(error) } : null
}

function isDue({ what, looks }: Trouble): boolean {
  return looks >= PASSING_LOOKS || !PASSING.some((kind) => what.endsWith(` ${kind}`))
}

function beginText(what: string, projects: string[], text: string): string {
  const isPassing = PASSING.some((kind) => what.endsWith(` ${kind}`))
  const next = isPassing ? 'Orch goes on asking, and nothing is lost' : '`orch doctor` says more; Orch goes on asking'
  return `${projects.join(', ')} can't be followed at the moment: ${text}; ${next}`
}

const systemOf = (what: string): string => what.slice(0, what.lastIndexOf(' '))
