// A vendor as it is: a tracker's issues and a forge's changes, checks and words of people. What it holds outlives every
// crash, its clock is its own, and what it tells of itself by webhooks may never arrive.

import { signed } from '../../src/flow/test-webhooks.ts'
import type { Happening, Issue, IssueView, Person } from '../../src/drivers/driver.ts'
import { EPOCH } from './scheduler.ts'
import { type Sim, remoteOf } from './sim.ts'
import type { Vendor, VendorChange, VendorIssue } from './vendor-state.ts'

export const DRIVER = 'github'
/** Whose words and writes are Orch's own. */
export const SELF: Person = { login: 'orch-bot', isBot: true }
/** Who may do what: others have no rights. */
export const MEMBERS: Record<string, 'owner' | 'member'> = { ann: 'owner', bob: 'member' }

export function makeVendor(sim: Sim, project: string): Vendor {
  const vendor: Vendor = {
    project,
    ref: `ann/${project.toLowerCase()}`,
    remote: remoteOf(sim, project),
    issues: new Map(),
    changes: [],
    checks: new Map(),
    limitedUntil: 0,
    muteUntil: 0,
    nextNumber: 0,
    nextId: 0,
    newsAt: 0,
    listedAt: -1,
    polledAt: -1,
  }
  vendor.remote.moved = (branch) => onMove(sim, vendor, branch)
  return vendor
}

/** The vendor's own time, which no machine's clock moves. */
export function vendorNow(sim: Sim): number {
  return EPOCH + Math.floor(sim.scheduler.elapsedMs())
}

/** A branch of the repository moved: its change has another head, is closed with it, or is merged by it. */
function onMove(sim: Sim, vendor: Vendor, branch: string): void {
  const { remote } = vendor
  const sha = remote.refs.get(branch) ?? null
  for (const change of vendor.changes) {
    if (change.state !== 'open') continue
    if (change.branch === branch) {
      if (sha === null) endChange(sim, vendor, change, { state: 'closed', by: 'git' })
      else if (change.head !== sha) {
        change.head = sha
        runChecks(sim, vendor, sha)
        touch(sim, vendor, change)
      }
    } else if (branch === change.base && sha !== null && sim.objects.isAncestor(change.head, sha)) {
      endChange(sim, vendor, change, { state: 'merged', by: 'git', mergedSha: sha })
    }
  }
}

export function touch(sim: Sim, vendor: Vendor, change: VendorChange): void {
  change.updatedAt = vendorNow(sim)
  tell(sim, vendor, { kind: 'change', number: change.number })
}

export function endChange(
  sim: Sim,
  vendor: Vendor,
  change: VendorChange,
  end: { state: 'merged' | 'closed'; by: 'orch' | 'person' | 'git'; mergedSha?: string },
): void {
  change.state = end.state
  change.endedBy = end.by
  change.mergedSha = end.mergedSha ?? null
  touch(sim, vendor, change)
}

/** CI begins after a while and ends after another; red where the tree is, now and then for nothing. */
export function runChecks(sim: Sim, vendor: Vendor, sha: string): void {
  const { random, scheduler, chaos, plan } = sim
  if (vendor.checks.has(sha)) return
  scheduler.at(random.int(500, 60_000), null, () => {
    if (vendor.checks.has(sha)) return
    vendor.checks.set(sha, 'pending')
    news(sim, vendor, { kind: 'checks', sha })
    scheduler.at(random.int(5_000, 240_000), null, () => {
      const isFlaky = !chaos.isCalm && random.chance(plan.trouble / 2)
      vendor.checks.set(sha, isFlaky || sim.isRed(sha) ? 'failed' : 'passed')
      news(sim, vendor, { kind: 'checks', sha })
    })
  })
}

/** People or CI did something that Orch has to hear of, one way or the other. */
export function news(sim: Sim, vendor: Vendor, happening: Happening): void {
  vendor.newsAt = sim.scheduler.elapsedMs()
  tell(sim, vendor, happening)
}

/** By webhook: now and then twice, late, under another id, or never. */
export function tell(sim: Sim, vendor: Vendor, happening: Happening, sender = 'ann'): void {
  const { random, plan, chaos, scheduler } = sim
  if (plan.webhooks === 'none' || scheduler.elapsedMs() < vendor.muteUntil) return
  const isLost = !chaos.isCalm && random.chance(plan.webhooks === 'bad' ? 0.5 : 0.1)
  if (isLost) return void sim.happened.add('a delivery is lost')
  const body = Buffer.from(JSON.stringify({ ref: vendor.ref, happenings: [happening], sender, n: vendor.nextId++ }))
  const copies = random.chance(0.15) ? 2 : 1
  if (copies > 1) sim.happened.add('a delivery comes twice')
  const id = random.hex()
  for (let copy = 0; copy < copies; copy++) {
    const named = random.chance(0.5) ? id : random.hex()
    const delayMs = random.chance(0.85) ? random.int(20, 2_000) : random.int(2_000, 120_000)
    scheduler.at(delayMs, null, () => deliver(sim, { id: named, body }))
  }
}

/** To whoever listens; nobody sends it again. */
function deliver(sim: Sim, { id, body }: { id: string; body: Buffer }): void {
  const open = [...sim.doors].filter(([process]) => process.alive && process.frozenUntil <= sim.scheduler.elapsedMs())
  if (open.length === 0) return void sim.happened.add('a delivery is lost')
  const [, door] = sim.random.pick(open)
  door
    .ingest({ source: DRIVER, headers: signed({ id, body }), body })
    .then(({ status }) => {
      if (status !== 202 && status !== 200) sim.errors.push(new Error(`a delivery was answered ${status}`))
    })
    .catch((error: unknown) => sim.errors.push(error))
}

export function taskOfIssue(sim: Sim, vendor: Vendor, id: string): string | null {
  return sim.store.tasksOfOrigin({ project: vendor.project, origin: `${DRIVER}:${id}` }).at(-1) ?? null
}

/** As a vendor shows it: a copy, which no later change reaches. */
export function issueShown({
  comments: _comments,
  wishes: _wishes,
  shown: _shown,
  isReopened: _isReopened,
  ...issue
}: VendorIssue): Issue {
  return { ...issue, labels: [...issue.labels], assignees: [...issue.assignees], blockedBy: [...issue.blockedBy] }
}

export function viewText(view: IssueView): string {
  return JSON.stringify([view.column, view.labelsOn, view.close])
}
