// The flow's safeguards: one writer, leases and heartbeats, what is remembered and what is looked at again.

import { inFile, type Mutant } from './mutant.ts'

const ENGINE = 'src/flow/engine.test.ts'
const WORKER = 'src/flow/worker.test.ts'
const LEASE = 'src/flow/worker-lease.test.ts'
const HOUSEKEEPING = 'src/flow/housekeeping.test.ts'
const VERIFIER = 'src/flow/verifier.test.ts'
const RECONCILE = 'src/flow/reconcile.test.ts'

export const flowMutants: Mutant[] = [
  ...inFile(
    'src/flow/engine.ts',
    [ENGINE],
    [
      {
        name: 'flow-race-decides-again',
        breaks: ['S1'],
        find: 'const MAX_RACES = 50',
        replace: 'const MAX_RACES = 1',
        failsWith: 'lost 1 races in a row',
        killers: ['src/flow/engine-race.test.ts'],
      },
      {
        name: 'flow-fence-handed-on',
        breaks: ['S2'],
        find: '...(fence ? { fence } : {}),',
        replace: '',
      },
      {
        name: 'flow-stale-lease-told',
        breaks: ['S2'],
        find: "if (result.because === 'stale-lease') return { ok: false, because: 'stale-lease' }",
        replace: "if (result.because === 'stale-lease') return answer(loaded.state.task)",
      },
      {
        name: 'flow-idempotency-key-handed-on',
        breaks: ['S7'],
        find: '...(idempotencyKey ? { idempotencyKey: { task, key: idempotencyKey } } : {}),',
        replace: '',
      },
      {
        name: 'flow-supersede-handed-on',
        breaks: ['L4'],
        find: '...(decision.supersede ? { supersede: decision.supersede } : {}),',
        replace: '',
        killers: [WORKER, LEASE],
      },
      {
        name: 'flow-repository-version-expected',
        breaks: ['S6'],
        find: "changes.push({ kind: 'repository', id: repository.id, expected: loaded.versions.repository, state: repository })",
        replace: '',
        killers: ['src/flow/engine-race.test.ts'],
      },
      {
        name: 'flow-intents-handed-on',
        breaks: ['S9'],
        find: '    intents: decision.intents,',
        replace: '    intents: [],',
        killers: [HOUSEKEEPING],
      },
    ],
  ),
  ...inFile(
    'src/flow/worker.ts',
    [WORKER, LEASE],
    [
      {
        name: 'flow-worker-fenced',
        breaks: ['S2'],
        find: 'fence: { jobId: job.id, token: job.token, then },',
        replace: '',
        killers: [LEASE],
      },
      {
        name: 'flow-heartbeat',
        breaks: ['S2', 'L1'],
        find: 'timers.every(deps.leaseMs / 3,',
        replace: 'timers.every(deps.leaseMs * 1_000,',
        killers: [LEASE],
      },
      {
        name: 'flow-lost-lease-ends-work',
        breaks: ['S2'],
        find: '(held ? undefined : lost.abort())',
        replace: '(held ? undefined : undefined)',
        killers: [LEASE],
      },
      {
        name: 'flow-stale-lease-ends-work',
        breaks: ['S2'],
        find: "if (!submitted.ok && submitted.because === 'stale-lease') throw new Interrupted()",
        replace: '',
        killers: [LEASE],
      },
      {
        name: 'flow-superseded-work-ended',
        breaks: ['L4'],
        find: 'if (!isWanted()) superseded.abort()',
        replace: '',
      },
      {
        name: 'flow-begun-run-followed',
        breaks: ['S10'],
        find: "hasBegun = effect.kind === 'run' && store.getRun(runIdOf(effect)) !== null",
        replace: 'hasBegun = false',
      },
      {
        name: 'flow-interruption-is-no-trouble',
        breaks: ['S13', 'S10'],
        find: 'if (failure.interrupted) {',
        replace: 'if (failure.interrupted && failure.superseded) {',
        killers: [LEASE],
      },
      {
        name: 'flow-own-fault-is-not-the-codes',
        breaks: ['S13'],
        find: "return { class: 'infra', code: 'internal-error', text: `a fault in Orch itself: ${messageOf(error)}` }",
        replace: "return { class: 'code', code: 'internal-error', text: messageOf(error), findings: [] }",
        killers: [LEASE],
      },
      {
        name: 'flow-network-is-not-the-codes',
        breaks: ['S13'],
        find: "case 'timed-out':\n      return { class: 'infra', code, text: error.message }",
        replace: "case 'timed-out':\n      return { class: 'code', code, text: error.message, findings: [] }",
        killers: [LEASE],
      },
      {
        name: 'flow-full-disk-is-not-the-codes',
        breaks: ['S13'],
        find: "return { class: 'infra', code: error.kind, text: error.message }",
        replace: "return { class: 'code', code: error.kind, text: error.message, findings: [] }",
        killers: [LEASE],
      },
      {
        name: 'flow-poison-job-parked',
        breaks: ['L2'],
        find: 'job.failures + 1 < MOST_FAILURES',
        replace: 'job.failures + 1 < MOST_FAILURES + 2',
      },
      {
        name: 'flow-capacity',
        breaks: ['L1'],
        find: 'running.size < deps.capacity) {',
        replace: 'running.size < 1e9) {',
        failsWith: 'no job to claim',
      },
      {
        name: 'flow-stopped-worker-claims-nothing',
        breaks: ['L1'],
        find: 'abort.abort()\n    timer?.cancel()',
        replace: 'timer?.cancel()',
        killers: [LEASE],
        failsWith: 'Test timed out',
      },
    ],
  ),
  ...inFile(
    'src/flow/reconcile.ts',
    [RECONCILE, WORKER],
    [
      {
        name: 'flow-dead-worker-seen',
        breaks: ['L1'],
        find: 'filter((name) => !isProcessAlive(identityOf(name)))',
        replace: 'filter((name) => name === "")',
      },
      {
        name: 'flow-live-worker-left-alone',
        breaks: ['S2'],
        find: 'filter((name) => !isProcessAlive(identityOf(name)))',
        replace: 'filter((name) => name !== "")',
      },
      {
        name: 'flow-orphaned-step-found',
        breaks: ['L6'],
        find: 'for (const id of store.tasksWithoutJob()) {',
        replace: 'for (const id of store.tasksWithoutJob().slice(0, 0)) {',
      },
      {
        name: 'flow-poisoned-step-held',
        breaks: ['L2', 'L6'],
        find: 'if (await holdPoisoned(deps, job)) done.push(',
        replace: 'if (job.id < 0) done.push(',
      },
      {
        name: 'flow-stray-run-ended',
        breaks: ['S10', 'L5'],
        find: 'if (!isFollowed(store, run)) await stopRun(',
        replace: 'if (!isFollowed(store, run) && run.id === "") await stopRun(',
      },
      {
        name: 'flow-followed-run-left-alone',
        breaks: ['S12'],
        find: 'if (!isFollowed(store, run)) await stopRun(',
        replace: 'if (run.id) await stopRun(',
      },
      {
        name: 'flow-notice-told-once',
        breaks: ['L6'],
        find: 'if (told.has(sentence)) return []',
        replace: '',
      },
      {
        name: 'flow-quiet-sweep-asks-nobody',
        breaks: ['L1'],
        find: 'if (store.changeMark() !== seen) {',
        replace: 'if (store.changeMark() !== null) {',
      },
      {
        name: 'flow-ended-dependency-told',
        breaks: ['L6'],
        find: "if (outcome !== 'done' && outcome !== 'cancelled') continue",
        replace: 'if (outcome) continue',
      },
      {
        name: 'flow-open-dependency-waited-for',
        breaks: ['S8'],
        find: "if (outcome !== 'done' && outcome !== 'cancelled') continue",
        replace: 'if (outcome === undefined) continue',
      },
    ],
  ),
  ...inFile(
    'src/flow/verifier.ts',
    [VERIFIER],
    [
      {
        name: 'flow-verdict-of-this-environment',
        breaks: ['S16'],
        find: "evidence.result === 'pass' && evidence.environmentId === environmentId",
        replace: "evidence.result === 'pass'",
      },
      {
        name: 'flow-only-green-remembered',
        breaks: ['S5'],
        find: "evidence.result === 'pass' && evidence.environmentId",
        replace: 'evidence.environmentId',
      },
      {
        name: 'flow-verdict-of-this-configuration',
        breaks: ['S5', 'S8'],
        find: 'tree: key.tree, configHash: key.configHash }',
        replace: 'tree: key.tree }',
      },
      {
        name: 'flow-verdict-of-this-tree',
        breaks: ['S5'],
        find: "{ gate: 'verify', tree: key.tree, configHash",
        replace: "{ gate: 'verify', configHash",
      },
      {
        name: 'flow-verdict-of-this-selection',
        breaks: ['S8'],
        find: 'return `${policy.configHash}:${paths.slice(0, 16)}`',
        replace: 'return policy.configHash',
      },
      {
        name: 'flow-fresh-look-is-fresh',
        breaks: ['S11'],
        find: 'const known = target.fresh ? null : recall(key, environmentId)',
        replace: 'const known = recall(key, environmentId)',
      },
      {
        name: 'flow-verifications-one-by-one',
        breaks: ['S13'],
        find: 'if (parallel) return work()',
        replace: 'if (project) return work()',
      },
    ],
  ),
  ...inFile(
    'src/flow/judge.ts',
    ['src/flow/judge.test.ts'],
    [
      {
        name: 'flow-closed-gate-stays-unknown',
        breaks: ['S8'],
        find: "judgement.result !== 'unknown' || gate.onUnknown === 'closed'",
        replace: "judgement.result !== 'unknown'",
      },
      {
        name: 'flow-verdict-bound-to-judged-head',
        breaks: ['S8'],
        find: 'stage: place.stage.name, sha: facts.sha, configHash',
        replace: "stage: place.stage.name, sha: place.task.publishedSha ?? '', configHash",
      },
      {
        name: 'flow-costly-gate-runs',
        breaks: ['S8'],
        find: "if (gate.costly && verdicts.some((verdict) => verdict.result === 'fail')) continue",
        replace: 'if (gate.costly) continue',
      },
    ],
  ),
  ...inFile(
    'src/flow/housekeeping.ts',
    [HOUSEKEEPING],
    [
      {
        name: 'flow-steps-over-before-cleaning',
        breaks: ['S15'],
        find: 'await untilStepsAreOver(capabilities, task.id)',
        replace: '',
      },
      {
        name: 'flow-run-stopped-before-cleaning',
        breaks: ['L4'],
        find: "for (const run of store.listRuns({ task: task.id, live: true })) await runner.stop(run.id, 'cancel')",
        replace: '',
      },
      {
        name: 'flow-kept-branch-kept',
        breaks: ['S12'],
        find: 'if (!job.effect.keepBranch) await deleteBranch(',
        replace: 'if (job.effect) await deleteBranch(',
      },
      {
        name: 'flow-only-own-branch-deleted',
        breaks: ['S15'],
        find: 'if (!branch || pushed.length === 0) return',
        replace: 'if (!branch) return\n  if (pushed.length === 0) pushed.push({ key: "" } as never)',
      },
      {
        name: 'flow-unreachable-branch-deleted-later',
        breaks: ['L5'],
        find: "const passes = deleted.because === 'unreachable' ||",
        replace: "const passes = deleted.because === 'auth' ||",
      },
      {
        name: 'flow-dependants-told',
        breaks: ['L6'],
        find: 'for (const task of store.dependantsOf(dependency)) {',
        replace: 'for (const task of store.dependantsOf(`${dependency}?`)) {',
      },
      {
        name: 'flow-cancelled-commits-kept',
        breaks: ['S12'],
        find: 'await keepCommits(task, project)',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/flow/choose-agent.ts',
    ['src/flow/choose-agent.test.ts'],
    [
      {
        name: 'flow-begun-run-keeps-agent',
        breaks: ['S1'],
        find: 'if (begun) return goOn(deps, post, begun)',
        replace: '',
      },
      {
        name: 'flow-limited-agent-passed-over',
        breaks: ['L2'],
        find: 'return candidate.may.ok ? null : `${name} ${candidate.may.why}`',
        replace: 'return null',
      },
      {
        name: 'flow-judge-is-not-the-author',
        breaks: ['S16'],
        find: 'const author = post.stage.independent ? authorOf(deps, post) : null\n  // The chosen',
        replace: 'const author = null as string | null\n  // The chosen',
      },
    ],
  ),
  ...inFile(
    'src/flow/settle.ts',
    ['src/flow/reconcile.test.ts'],
    [
      {
        name: 'flow-held-merge-looked-for',
        breaks: ['S4'],
        find: "if (proof.kind === 'merged') {\n    const { mergedSha } = proof",
        replace: "if (proof.kind !== 'untested') {\n    const mergedSha = key",
      },
      {
        name: 'flow-look-backs-off',
        breaks: ['L1'],
        find: 'now() < next || isAtWork',
        replace: 'isAtWork',
      },
    ],
  ),
  ...inFile(
    'src/flow/settle-restore.ts',
    ['src/flow/settle-restore.test.ts'],
    [
      {
        name: 'flow-restored-looks-before-landing',
        breaks: ['S4'],
        find: 'if (!mark || mark.settled.includes(project)) return',
        replace: 'if (mark || !mark) return',
      },
      {
        name: 'flow-restored-landing-adopted',
        breaks: ['S4'],
        find: 'if (sha === undefined) continue',
        replace: 'if (sha) continue',
      },
      {
        name: 'flow-unknown-runs-moved',
        breaks: ['S3'],
        find: 'if (store.getRun(run) !== null) continue',
        replace: 'if (run) continue',
      },
    ],
  ),
]
