// The doctor's look at a project's tracker and forge: who Orch is there, what it may do, what is left of the budget, and
// whether what the configuration names exists. Looks alone; vendors are asked only by the whole doctor.

import type { ResolvedProject } from '../config/config.ts'
import type { ChangeMemory, Driver, Identity } from '../drivers/driver.ts'
import { ExternalError, UserError, messageOf } from '../lib/errors.ts'
import type { Project, Queries } from '../store/store.ts'
import type { Check } from './app.ts'
import type { Remotes } from './capabilities.ts'
import { forgeAdvice, whyForge } from './dispatch.ts'
import { named, reporter } from './doctor-parts.ts'
import { type Place, lacksOptional, placesOf, wantedColumns, wantedLabels, webhookMark } from './onboard-project.ts'

const { ok, warning, failed } = reporter('project')

/** Below this part of the budget polling stands still (U13). */
const LITTLE = 0.2

interface RemoteDeps {
  remotes: Remotes
  now: () => number
  /** Null where the books can't be opened. */
  books: Pick<Queries, 'mark' | 'listEvidence'> | null
}

/** Checks of one vendor's project each; none where the project has neither tracker nor forge. Throws nothing. */
export async function checkRemotes(deps: RemoteDeps, at: Pick<At, 'project' | 'resolved' | 'base'>): Promise<Check[]> {
  const places = placesOf(at.project)
  const needed = at.project.forge || !at.resolved ? null : whyForge(at.resolved.policy)
  // Two projects of one vendor have their checks apart.
  const isAlone = (place: Place): boolean => places.filter(({ driver }) => driver === place.driver).length === 1
  const checks = places.map((place) =>
    checkPlace(deps, {
      ...at,
      place,
      name: isAlone(place) ? place.driver : `${place.driver}-${place.isForge ? 'forge' : 'tracker'}`,
    }),
  )
  return [
    ...(needed === null ? [] : [failed('project.forge', needed, forgeAdvice(at.project))]),
    ...(await Promise.all(checks)).flat(),
  ]
}

interface At {
  project: Project
  resolved: ResolvedProject | null
  /** As its origin has it; null where that could not be reached. */
  base: { branch: string; sha: string } | null
  place: Place
  name: string
}

async function checkPlace(deps: RemoteDeps, at: At): Promise<Check[]> {
  const { place, name, project } = at
  const what = `${place.ref} at ${place.driver}`
  try {
    const driver = deps.remotes.driver(place.driver)
    const identity = await driver.identity()
    const who = ok(`${name}.identity`, `${identity.login}, by ${identity.source}`)
    const found = await driver.findProject(place.ref)
    if (!found) {
      const fix = `give ${identity.login} access to it, or \`orch project add ${project.path} --tracker … --forge …\` anew`
      return [who, failed(`${name}.project`, `there is no ${what} that ${identity.login} may see`, fix)]
    }
    return [
      who,
      projectCheck(at, found.ref),
      permissionCheck(name, identity),
      budgetCheck(deps, { name, driver }),
      ...(await thingChecks(driver, at)),
      ...(await ciChecks(deps, { ...at, driver })),
      await webhookCheck(deps, { ...at, driver }),
    ]
  } catch (error) {
    if (!(error instanceof ExternalError) && !(error instanceof UserError)) throw error
    return [failed(`${name}.reached`, `${what}: ${messageOf(error)}`, adviceFor(error))]
  }
}

function adviceFor(error: ExternalError | UserError): string {
  if (error instanceof UserError) return 'set what it names in the environment of `orch up`, and of this shell'
  if (error.kind === 'auth') return 'give it a credential that may do this; README, "Trackers and forges", says which'
  return 'check the network and the vendor; Orch itself tries again'
}

function projectCheck({ place, name, project }: At, now: string): Check {
  if (now.toLowerCase() === place.ref.toLowerCase()) return ok(`${name}.project`, `${place.ref} is there`)
  const flags = [
    place.isTracker ? `--tracker ${place.driver}:${now}` : '',
    place.isForge ? `--forge ${place.driver}:${now}` : '',
  ]
  const fix = `\`orch project add ${project.path} ${flags.filter(Boolean).join(' ')}\``
  return warning(`${name}.project`, `${place.ref} is called ${now} now`, fix)
}

function permissionCheck(name: string, identity: Identity): Check {
  const { missing } = identity
  const check = `${name}.permissions`
  if (missing === null) return ok(check, 'the vendor does not say what the credential may do')
  if (missing.length === 0) return ok(check, `the credential may do what Orch needs${lacksOptional(identity)}`)
  return warning(
    check,
    `the credential lacks ${missing.join(', ')}${lacksOptional(identity)}`,
    'grant it; until then what needs it is held',
  )
}

function budgetCheck({ now }: RemoteDeps, { name, driver }: { name: string; driver: Driver }): Check {
  const quota = driver.quota()
  if (!quota) return ok(`${name}.budget`, 'the vendor names no budget of requests')
  const text = `${quota.remaining} of ${quota.limit} requests are left`
  if (quota.remaining >= quota.limit * LITTLE || quota.resetAt <= now()) return ok(`${name}.budget`, text)
  const until = new Date(quota.resetAt).toISOString()
  return warning(`${name}.budget`, `${text} until ${until}`, 'wait, or give Orch a credential of its own')
}

/** Names of the configuration that the vendor doesn't know stay without effect, in silence: said here. */
async function thingChecks(driver: Driver, { place, resolved, name, project }: At): Promise<Check[]> {
  if (!resolved) return []
  const { policy, tracker } = resolved
  const there = driver.onboarding(place.ref)
  const has = (names: readonly string[], wanted: string): boolean =>
    names.some((one) => one.toLowerCase() === wanted.toLowerCase())
  const check = (what: 'labels' | 'columns', wanted: string[], names: readonly string[] | null): Check => {
    const missing = names === null ? wanted : wanted.filter((one) => !has(names, one))
    if (missing.length === 0) return ok(`${name}.${what}`, `all ${what} that the configuration means are there`)
    const why =
      names === null ? `there are no ${what} at ${place.driver}, and the configuration names` : `missing ${what}:`
    const fix = names === null ? 'take them out of .orch.yml' : `\`orch onboard ${project.id} --apply\` makes them`
    return warning(`${name}.${what}`, `${why} ${named(missing)}`, fix)
  }
  const labels = wantedLabels(place, resolved).map((label) => label.name)
  const columns = wantedColumns(place, { ...policy, approveBy: policy.approveBy, tracker }).map((column) => column.name)
  const board = columns.length > 0 ? await there.columns() : null
  return [
    ...(labels.length > 0 ? [check('labels', labels, await there.labels())] : []),
    ...(columns.length > 0 ? [check('columns', columns, board?.map((column) => column.name) ?? null)] : []),
  ]
}

/**
 * A change of a repository without CI would wait for it for a day, and then for a person. What CI said of an earlier change
 * is proof of one and costs no request; else the base's head shows whether anything reports there.
 */
async function ciChecks(
  { books }: RemoteDeps,
  { place, name, project, resolved, base, driver }: At & { driver: Driver },
): Promise<Check[]> {
  const waits = resolved?.policy.pipeline.stages.find(({ kind, gates }) => kind === 'await' && gates?.includes('ci'))
  if (!place.isForge || !waits) return []
  const check = `${name}.ci`
  const judged = books?.listEvidence({ project: project.id, gate: 'ci' }) ?? []
  if (judged.some(({ result }) => result === 'pass' || result === 'fail'))
    return [ok(check, 'CI has judged a change of Orch before')]
  const forge = base && driver.forge(place.ref, NO_CHANGES)
  if (!forge) return []
  const where = `${base.branch} at ${base.sha.slice(0, 10)}`
  try {
    const { checks } = await forge.checksOf(base.sha)
    if (checks.length > 0) return [ok(check, `${checks.length} check(s) have reported on ${where}`)]
    const text = `stage ${waits.name} waits for CI, and no check has reported on ${where}: without CI a change waits for a day, then for you`
    const fix =
      'give the repository a CI that runs on pull requests, or take gate `ci` out of the pipeline; one that runs on pull requests alone is seen with the first'
    return [warning(check, text, fix)]
  } catch (error) {
    if (!(error instanceof ExternalError)) throw error
    return [warning(check, `it can't be seen: ${messageOf(error)}`, adviceFor(error))]
  }
}

/** Checks are a commit's: no change need be remembered to see them. */
const NO_CHANGES: ChangeMemory = {
  getChange: () => null,
  listChanges: () => [],
  saveChange: () => Promise.reject(new Error('a doctor remembers no change')),
}

async function webhookCheck(
  { books }: RemoteDeps,
  { place, name, project, driver }: At & { driver: Driver },
): Promise<Check> {
  const check = `${name}.webhook`
  const apply = `\`orch onboard ${project.id} --apply --url https://…\``
  const url = books?.mark({ project: project.id, what: webhookMark(place.driver) }) ?? null
  if (url === null) return ok(check, `none was set up, so Orch looks every half minute; ${apply} sets one up`)
  try {
    const found = await driver.onboarding(place.ref).findWebhook(url)
    if (found?.active) return ok(check, `${url} is there and active`)
    return warning(check, `${url} ${found ? 'is switched off' : 'is gone'}: Orch only looks every half minute`, apply)
  } catch (error) {
    if (!(error instanceof ExternalError)) throw error
    return warning(check, `it can't be seen: ${messageOf(error)}`, 'webhooks may be seen only by who may administrate')
  }
}
