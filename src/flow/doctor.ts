// `orch doctor`: looks at everything a task will need and says what is missing before the night does; mends what is safe.
// Invariant: without `fix` it changes nothing but the mirror's fetched refs; a check that can't be made is never `ok`;
// what a service might be at is mended only under the service's own lock.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../lib/errors.ts'
import type { DoctorReport, DoctorRequest, Profile } from './app.ts'
import { checkAgents } from './doctor-agents.ts'
import { checkBranches } from './doctor-branches.ts'
import { checkIntents, checkPlaces } from './doctor-drift.ts'
import { checkHost, checkProbes } from './doctor-host.ts'
import { type DoctorDeps, type Finding, type Mended, reporter } from './doctor-parts.ts'
import { type ProjectLook, checkProject } from './doctor-project.ts'
import { checkRuns, checkSteps } from './doctor-runs.ts'
import { checkDatabase, checkQueue, checkService } from './doctor-service.ts'
import { MARKER } from './settle-restore.ts'

export type Doctor = (request: DoctorRequest) => Promise<DoctorReport>

/** Makes the doctor. Each call looks anew; it never throws for what it finds. */
export function makeDoctor(deps: DoctorDeps): Doctor {
  return async (request) => {
    const looks = looksFor(deps, request)
    return request.fix ? mendAll(deps, looks) : report(await Promise.all(looks.map((look) => look())))
  }
}

/** A part of the doctor: may be called again, and then tells what is so by then. */
type Look = () => Promise<Finding[]>

function looksFor(deps: DoctorDeps, { cwd, profiles }: DoctorRequest): Look[] {
  let looked: Promise<ProjectLook> | undefined
  const project = (): Promise<ProjectLook> => (looked ??= lookAtProject(deps, cwd))
  const byProfile: Record<Profile, Look[]> = {
    host: [() => checkHost(deps), () => checkProbes(deps)],
    project: [
      async () => (await project()).checks.map((check) => ({ check })),
      async () => branchesOf(deps, await project()),
    ],
    agents: [async () => (await checkAgents(deps, await project())).map((check) => ({ check }))],
    // What is mended first may be what the next one looks at.
    service: [
      () => checkService(deps),
      () => checkDatabase(deps),
      () => checkQueue(deps),
      () => checkSteps(deps),
      () => checkRuns(deps),
      () => checkPlaces(deps),
      () => checkIntents(deps),
    ],
  }
  return (Object.keys(byProfile) as Profile[]).flatMap((name) => (profiles.includes(name) ? byProfile[name] : []))
}

function report(findings: Finding[][], mended: Mended = { fixed: [], notFixed: [] }): DoctorReport {
  return { checks: findings.flat().map(({ check }) => check), ...mended }
}

/** Part by part: looked at, mended, looked at again. */
async function mendAll(deps: DoctorDeps, looks: Look[]): Promise<DoctorReport> {
  const mended: Mended = { fixed: [], notFixed: [] }
  const { lock, why } = takeLock(deps)
  let held = false
  try {
    const findings: Finding[][] = []
    for (const look of looks) {
      const found = await look()
      const mends = found.flatMap(({ mend }) => mend ?? [])
      const may = mends.filter((mend) => lock !== null || !mend.alone)
      held ||= may.length < mends.length
      for (const mend of may) {
        const { fixed, notFixed } = await mend.run()
        mended.fixed.push(...fixed)
        mended.notFixed.push(...notFixed)
      }
      findings.push(may.length > 0 ? await look() : found)
    }
    if (held) mended.notFixed.push(why)
    return report(findings, mended)
  } finally {
    lock?.release()
  }
}

/** While it is held no service begins, and none is there: what nobody follows now, nobody will. */
function takeLock(deps: DoctorDeps): { lock: { release(): void } | null; why: string } {
  // What the books of a backup don't know is looked for in the world first: until then it only looks like drift.
  if (existsSync(join(deps.home, MARKER)))
    return { lock: null, why: 'a restore has not been settled yet: run `orch up` first, then `orch doctor --fix`' }
  try {
    const lock = deps.lock()
    const pid = deps.books.ok ? deps.books.value.reader.service().pid : null
    const who =
      pid === null ? 'another `orch doctor --fix` or `orch up` is at work here' : `orch up runs here (pid ${pid})`
    return {
      lock,
      why: `${who} and mends much of this itself: what it leaves is mended by \`orch doctor --fix\` when it is stopped`,
    }
  } catch (error) {
    return {
      lock: null,
      why: `nothing was mended that a service might be at: its lock can't be had: ${messageOf(error)}`,
    }
  }
}

async function lookAtProject(deps: DoctorDeps, cwd: string): Promise<ProjectLook> {
  const { warning, failed } = reporter('project')
  const nothing = { policy: null, missingPrograms: [], place: null }
  if (!deps.books.ok) {
    const text = "no project can be looked at: the database can't be opened"
    return { checks: [failed('project.registered', text, 'see service.database')], ...nothing }
  }
  const { reader } = deps.books.value
  const project = reader.projectAt(cwd)
  if (project) return checkProject(deps, project)
  const known = reader.projects().map((one) => one.id)
  const check =
    known.length === 0
      ? warning('project.registered', 'no project is registered', 'run `orch init` in a clone')
      : warning(
          'project.registered',
          `this folder belongs to no project (known: ${known.join(', ')})`,
          "run `orch doctor` in a project's clone",
        )
  return { checks: [check], ...nothing }
}

async function branchesOf({ books }: DoctorDeps, { place }: ProjectLook): Promise<Finding[]> {
  return books.ok && place ? checkBranches({ books: books.value, ...place }) : []
}
