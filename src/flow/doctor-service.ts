// The doctor's look at the service and its database. Drift between the books and the world is in doctor-drift.ts.

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../lib/errors.ts'
import type { StoreHealth } from '../store/store.ts'
import type { Check } from './app.ts'
import { size } from './doctor-host.ts'
import { lookAtJournal } from './doctor-journal.ts'
import { type Books, type DoctorDeps, type Finding, count, mendEach, named, reporter } from './doctor-parts.ts'
import { parkedView } from './views.ts'

const { ok, warning, failed } = reporter('service')

/** The service itself, and what one that died left. */
export async function checkService(deps: DoctorDeps): Promise<Finding[]> {
  const version: Finding = { check: ok('orch.version', `orch ${deps.version}`) }
  if (!deps.books.ok) return [version]
  const service = deps.books.value.reader.service()
  if (service.running)
    return [
      version,
      { check: ok('service.running', `orch up is running (pid ${service.pid}, since ${service.since ?? 'unknown'})`) },
    ]
  const running = warning('service.running', 'orch up is not running: tasks wait', 'run `orch up`')
  return [version, { check: running }, ...staleFile(join(deps.home, 'service.json'))]
}

function staleFile(path: string): Finding[] {
  if (!existsSync(path)) return []
  const fix = '`orch doctor --fix` removes it, as the next `orch up` would'
  const check = warning('service.file', `${path} is of a service that died`, fix)
  const work = async (): Promise<string> => {
    await rm(path, { force: true })
    return `removed ${path}, of a service that died`
  }
  return [{ check, mend: { alone: true, run: () => mendEach([path], { name: () => path, work }) } }]
}

/** A mended row is a fault of Orch: told for so long, and kept in the books for ever. */
const HEALED_TOLD_MS = 7 * 24 * 3_600_000

/** What the queue has put aside, and what had to be mended in it. */
export async function checkQueue({ books, now }: DoctorDeps): Promise<Finding[]> {
  if (!books.ok) return []
  const { store } = books.value
  const parked = store.parkedJobs().map((job) => ({ id: job.task, ...parkedView(job) }))
  const told = parked.map(({ id, what, failures, error }) => `${what} of ${id} (${failures} failures: ${error})`)
  const healed = store.healed()
  const counts = healed.map(({ what, n, lastAt }) => `${n} ${what}, last ${new Date(lastAt).toISOString()}`)
  const isRecent = healed.some(({ lastAt }) => now() - lastAt < HEALED_TOLD_MS)
  const checks = [
    parked.length === 0
      ? ok('service.parked', 'no job is put aside')
      : warning('service.parked', `put aside: ${named(told)}`, '`orch task retry ID` tries them again'),
    isRecent
      ? warning(
          'service.healed',
          `rows that should not exist were mended: ${named(counts)}`,
          'they are in order now; how it came to this is a fault of Orch and worth a report',
        )
      : ok(
          'service.healed',
          healed.length === 0 ? 'no row ever had to be mended' : `mended long ago: ${named(counts)}`,
        ),
  ]
  return checks.map((check) => ({ check }))
}

/** The database: that it opens, that it is whole, and that it says what its journal says. */
export async function checkDatabase({ books, home }: DoctorDeps): Promise<Finding[]> {
  const path = join(home, 'orch.db')
  if (!books.ok) return [{ check: failed('service.database', books.text, RESTORE) }]
  const { store } = books.value
  const checks: Check[] = []
  try {
    const { ready, delayed, running } = store.jobSummary()
    checks.push(
      ok(
        'service.database',
        `opens; ${count(store.lastSeq(), 'event')}, ${count(ready + delayed + running, 'open job')}`,
      ),
    )
    checks.push(...healthChecks(store.health(), path))
    checks.push(journalCheck(books.value))
  } catch (error) {
    checks.push(failed(checks.length === 0 ? 'service.database' : 'database.reads', messageOf(error), RESTORE))
  }
  return checks.map((check) => ({ check }))
}

const RESTORE = 'stop `orch up`, then `orch restore --force FILE` with a backup: it keeps what is there now'

/** The log is brought into the database at every 16 MiB; far more means that something keeps it from that. */
const LOG_WARN_BYTES = 256 * 2 ** 20

function healthChecks(health: StoreHealth, path: string): Check[] {
  const { version, knownVersion, damage, dangling, settings, looked, bytes, logBytes } = health
  const sizes = `${size(bytes)}, and ${size(logBytes)} of log`
  return [
    version === knownVersion
      ? ok('database.version', `version ${version}`)
      : failed('database.version', `version ${version}; this orch knows ${knownVersion}`, 'install that orch again'),
    damage.length === 0
      ? ok('database.integrity', `whole: ${looked}`)
      : failed('database.integrity', `${path} is damaged: ${named(damage)}`, RESTORE),
    dangling.length === 0
      ? ok('database.references', 'every row has its parent')
      : failed('database.references', named(dangling), RESTORE),
    settings.length === 0
      ? ok('database.settings', 'write-ahead log, synchronous FULL, foreign keys on')
      : failed('database.settings', named(settings), 'set ORCH_HOME to a folder on a local disk'),
    logBytes <= LOG_WARN_BYTES
      ? ok('database.size', sizes)
      : warning('database.size', sizes, 'look for a process that reads the database without end, and end it'),
  ]
}

function journalCheck({ store }: Books): Check {
  const { looked, differ } = lookAtJournal(store)
  if (differ.length === 0)
    return ok('database.journal', `${count(looked, 'task')} looked at: each is what its events say`)
  return failed(
    'database.journal',
    `not what their events say: ${named(differ)}`,
    `${RESTORE}; \`orch task events ID\` shows what happened, and how it came to this is worth a report`,
  )
}
