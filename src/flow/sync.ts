// `orch sync`: what trackers and forges have to say is asked now, and led where webhooks and polling lead it. Beside a running
// service it is one more who asks: the store settles who was first.

import { ExternalError, UserError, messageOf } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { SyncView } from './outside-views.ts'
import type { Capabilities } from './capabilities.ts'
import { dryRun } from './dry-run.ts'
import type { HappeningDeps } from './happenings.ts'
import { makeInLine } from './in-line.ts'
import { type PollDeps, makePoll } from './poll.ts'
import { makeRemoteNames } from './remote-names.ts'

export type SyncDeps = Omit<HappeningDeps, 'names' | 'inLine'> & Pick<Capabilities, 'remotes'>

/** One project after the other; trouble with one holds up no other. Throws UserError (6) when there is none to ask. */
export async function sync(deps: SyncDeps, request: { only: Project | null; dryRun: boolean }): Promise<SyncView> {
  const projects = projectsOf(deps, request.only)
  const real: HappeningDeps = { ...deps, names: makeRemoteNames(deps), inLine: makeInLine() }
  const view: SyncView = { dryRun: request.dryRun, projects: [] }
  for (const { id } of projects) view.projects.push(await syncOne(request.dryRun ? dryRun(real) : real, id))
  return view
}

function projectsOf({ store }: SyncDeps, only: Project | null): Project[] {
  const projects = (only ? [only] : store.listProjects()).filter(({ tracker, forge }) => tracker || forge)
  if (projects.length > 0) return projects
  const text = `${only ? only.id : 'no project'} has ${only ? 'neither' : 'a'} tracker ${only ? 'nor' : 'or'} forge: see \`orch help project add\``
  throw new UserError(6, 'no-remotes', text)
}

async function syncOne(deps: HappeningDeps, project: string): Promise<SyncView['projects'][number]> {
  const troubles: unknown[] = []
  // Who asks is told what the trouble is, once, and all of it.
  const quiet = { onError: () => undefined, onNotice: () => undefined }
  const asked: PollDeps = {
    ...deps,
    ...quiet,
    webhooksHealthy: () => false,
    quotaOf: () => null,
    // Asked once, and now.
    pollIntervals: () => ({ healthyMs: 0, unhealthyMs: 0, ciMs: 0 }),
    heardAt: () => null,
  }
  const said = await makePoll(asked)({ force: true, only: project, onTrouble: (error) => troubles.push(error) })
  const [first] = troubles
  if (first === undefined) return { project, said, trouble: null }
  return { project, said, trouble: troubleOf(first) }
}

/** What a person can mend is told; a fault of Orch is thrown on. */
function troubleOf(error: unknown): SyncView['projects'][number]['trouble'] {
  if (error instanceof UserError) return { code: error.code, text: error.message, exit: error.exit === 3 ? 3 : 6 }
  if (!(error instanceof ExternalError)) throw error
  const isElsewhere = error.kind === 'auth' || error.kind === 'unreachable'
  return { code: error.kind, text: messageOf(error), exit: isElsewhere ? 6 : error.kind === 'not-found' ? 3 : 1 }
}
