// The safeguards of what follows a decision: gates, budgets, whose fault it was, what a task's end leaves behind.

import { inFile, type Mutant } from './mutant.ts'

const DECIDE = 'src/core/decide.test.ts'
const BETWEEN = 'src/core/interleavings.test.ts'
const PROPERTIES = 'src/core/properties.test.ts'
const FAULT = 'src/core/fault.test.ts'
const SAFEGUARDS = 'src/core/safeguards.test.ts'
const ENDED = 'src/core/ended.test.ts'
const VERDICT = 'src/core/verdict.test.ts'

export const draftMutants: Mutant[] = [
  ...inFile(
    'src/core/draft.ts',
    [SAFEGUARDS, DECIDE, BETWEEN, FAULT],
    [
      {
        name: 'core-gate-of-this-head',
        breaks: ['S8'],
        find: 'verdict.sha === task.headSha &&',
        replace: '',
      },
      {
        name: 'core-gate-of-this-configuration',
        breaks: ['S8'],
        find: '&&\n        verdict.configHash === task.policy?.configHash',
        replace: '',
      },
      {
        name: 'core-gate-of-this-stage',
        breaks: ['S8'],
        find: 'verdict.stage === stage &&\n',
        replace: '',
      },
      {
        name: 'core-gate-passed',
        breaks: ['S8'],
        find: "verdict.result === 'pass' &&",
        replace: '',
      },
      {
        name: 'core-every-gate',
        breaks: ['S8'],
        find: 'return gates.every((gate) =>',
        replace: 'return gates.length === 0 || gates.some((gate) =>',
      },
      {
        name: 'core-every-stage-before',
        breaks: ['S8'],
        find: 'pipeline.stages.slice(0, end).every(',
        replace: 'pipeline.stages.slice(0, end).some(',
      },
      {
        name: 'core-landing-approved',
        breaks: ['S8'],
        find: 'if (needsPerson && !approvalOf(draft.task, landing.sha)) {',
        replace: 'if (needsPerson && draft.task.approvals.length < 0) {',
      },
      {
        name: 'core-step-voids-older-jobs',
        breaks: ['L4'],
        find: 'draft.supersede = { task: draft.task.id, epoch }',
        replace: '',
      },
      {
        name: 'core-done-voids-jobs',
        breaks: ['L4'],
        find: "emit(draft, { type: 'task.done', data: {} })\n  draft.supersede = { task: draft.task.id, epoch: draft.task.epoch }",
        replace: "emit(draft, { type: 'task.done', data: {} })",
      },
      {
        name: 'core-hold-voids-jobs',
        breaks: ['L4'],
        find: 'draft.supersede = { task: draft.task.id, epoch: draft.task.epoch + 1 }',
        replace: '',
      },
      {
        name: 'core-paused-leaves-train',
        breaks: ['L2'],
        find: 'if (draft.task.paused) leaveTrain(draft)',
        replace: '',
      },
      {
        name: 'core-paused-has-no-job',
        breaks: ['L4'],
        find: 'if (draft.task.paused || waits) return',
        replace: 'if (waits) return',
      },
      {
        name: 'core-train-waits',
        breaks: ['S6'],
        find: 'if (draft.task.paused || waits) return',
        replace: 'if (draft.task.paused) return',
      },
      {
        name: 'core-train-goes-on',
        breaks: ['L2'],
        find: "addEffect(draft, { kind: 'land', task: entry.task, epoch: entry.epoch })",
        replace: '',
      },
      {
        name: 'core-held-leaves-train',
        breaks: ['L2'],
        find: 'step: Step | null = draft.task.step): void {\n  leaveTrain(draft)',
        replace: 'step: Step | null = draft.task.step): void {',
      },
      {
        name: 'core-held-change-intent',
        breaks: ['S9'],
        find: "settleChange(draft, 'held')",
        replace: '',
      },
      {
        name: 'core-held-merge-intent',
        breaks: ['S9'],
        find: 'if (draft.task.landing) {\n    draft.intents.push({',
        replace: 'if (draft.task.landing) {\n    void ({',
      },
      {
        name: 'core-done-releases-dependants',
        breaks: ['L6'],
        find: "addEffect(draft, { kind: 'release-dependants', task: draft.task.id, outcome: 'done' })",
        replace: '',
      },
      {
        name: 'core-done-cleans',
        breaks: ['L4'],
        find: "addEffect(draft, { kind: 'clean', task: draft.task.id, keepBranch: draft.task.mergedSha === null })",
        replace: '',
      },
      {
        name: 'core-unmerged-branch-kept',
        breaks: ['S12'],
        find: 'keepBranch: draft.task.mergedSha === null',
        replace: 'keepBranch: false',
      },
    ],
  ),
  ...inFile(
    'src/core/outcomes.ts',
    [FAULT, DECIDE, BETWEEN],
    [
      {
        name: 'core-passes-only-with-all-gates',
        breaks: ['S8'],
        find: 'if (gatesPassed(draft.task, stage)) passStage(draft, stage)',
        replace: 'if (stage) passStage(draft, stage)',
      },
      {
        name: 'core-code-budget',
        breaks: ['S10'],
        find: 'if (attempts.code - codeBase >= limit) {',
        replace: 'if (attempts.code - codeBase >= limit + 1e9) {',
      },
      {
        name: 'core-repeat-budget',
        breaks: ['S10'],
        find: 'if (spent >= limit) {',
        replace: 'if (spent >= limit + 1e9) {',
      },
      {
        name: 'core-repeats-counted',
        breaks: ['S10'],
        find: "emit(draft, { type: 'retry.counted', data: { budget, why: `${trouble.code}: ${trouble.text}` } })",
        replace: '',
      },
      {
        name: 'core-budgets-apart',
        breaks: ['S10', 'S13'],
        find: "repeat(draft, { budget: 'transient', trouble, step })",
        replace: "repeat(draft, { budget: 'infra', trouble, step })",
      },
      {
        name: 'core-back-off-waited',
        breaks: ['S10'],
        find: 'runAt: backoff,\n      waitingFor: budget',
        replace: 'waitingFor: budget',
      },
      {
        name: 'core-unknown-is-not-the-codes-fault',
        breaks: ['S13'],
        find: "applyTrouble(draft, { class: 'infra', ...reason }, again)",
        replace: "applyTrouble(draft, { class: 'code', ...reason, findings: [] }, again)",
      },
      {
        name: 'core-sent-back-leaves-train',
        breaks: ['L2'],
        find: "leaveTrain(draft)\n  settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.sent_back'",
        replace: "settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.sent_back'",
      },
      {
        name: 'core-sent-back-change-intent',
        breaks: ['S9'],
        find: "settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.sent_back'",
        replace: "emit(draft, { type: 'task.sent_back'",
      },
      {
        name: 'core-cancelled-leaves-train',
        breaks: ['L4'],
        find: "leaveTrain(draft)\n  settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.cancelled'",
        replace: "settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.cancelled'",
      },
      {
        name: 'core-cancelled-change-intent',
        breaks: ['S9'],
        find: "settleChange(draft, 'compensated')\n  emit(draft, { type: 'task.cancelled'",
        replace: "emit(draft, { type: 'task.cancelled'",
      },
      {
        name: 'core-cancel-voids-jobs',
        breaks: ['L4'],
        find: 'draft.supersede = { task: id, epoch: draft.task.epoch }',
        replace: '',
      },
      {
        name: 'core-cancel-stops-run',
        breaks: ['L4'],
        find: "if (runId) addEffect(draft, { kind: 'stop-run', task: id, runId })\n  addEffect(draft, { kind: 'release",
        replace: "addEffect(draft, { kind: 'release",
      },
      {
        name: 'core-cancel-tells-dependants',
        breaks: ['L6'],
        find: "addEffect(draft, { kind: 'release-dependants', task: id, outcome: 'cancelled' })",
        replace: '',
      },
      {
        name: 'core-cancel-cleans',
        breaks: ['L4'],
        find: "addEffect(draft, { kind: 'clean', task: id, keepBranch: false })",
        replace: '',
      },
      {
        name: 'core-adopted-once',
        breaks: ['S1', 'S12'],
        find: "if (status === 'done') return decided(draft)",
        replace: '',
        killers: ['src/core/adopt-merge.test.ts'],
      },
      {
        name: 'core-adopt-of-cancelled',
        breaks: ['S12'],
        find: "if (isTerminal(status)) return refuse('task-ended')",
        replace: '',
        killers: ['src/core/adopt-merge.test.ts'],
      },
      {
        name: 'core-adopted-leaves-train',
        breaks: ['L4'],
        find: "if (status !== 'running') emit(draft, { type: 'step.begun', data: { epoch: draft.task.epoch } })\n  leaveTrain(draft)",
        replace: "if (status !== 'running') emit(draft, { type: 'step.begun', data: { epoch: draft.task.epoch } })",
        killers: ['src/core/adopt-merge.test.ts'],
      },
      {
        name: 'core-adopted-settles-merge',
        breaks: ['S9'],
        find: "const as = landing.mergeSha === mergedSha ? 'confirmed' : 'compensated'\n    draft.intents.push(",
        replace: "const as = landing.mergeSha === mergedSha ? 'confirmed' : 'compensated'\n    void (",
        killers: ['src/core/adopt-merge.test.ts'],
      },
      ...(['run-timeout', 'run-could-not-start', 'run-lost'] as const).map((code) => ({
        name: `core-${code}-is-infra`,
        breaks: ['S13'],
        find: `return { class: 'infra', code: '${code}', text: outcome.text }`,
        replace: `return { class: 'code', code: '${code}', text: outcome.text, findings: [] }`,
      })),
      {
        name: 'core-crash-is-infra',
        breaks: ['S13'],
        find: "case 'crash':\n      return { class: 'infra', code, text: outcome.text }",
        replace: "case 'crash':\n      return { class: 'code', code, text: outcome.text, findings: [] }",
      },
      {
        name: 'core-rate-limit-is-transient',
        breaks: ['S13'],
        find: "return {\n        class: 'transient',",
        replace: "return {\n        class: 'infra',",
      },
      {
        name: 'core-login-is-a-persons',
        breaks: ['S13', 'L6'],
        find: "case 'waiting-for-input':\n      return { class: 'hold', code, text: outcome.text }",
        replace: "case 'waiting-for-input':\n      return { class: 'infra', code, text: outcome.text }",
      },
    ],
  ),
  ...inFile(
    'src/core/task.ts',
    [FAULT, BETWEEN, DECIDE, ENDED, PROPERTIES],
    [
      {
        name: 'core-approval-of-this-head',
        breaks: ['S8'],
        find: 'task.approvals.find((approval) => approval.sha === sha)',
        replace: 'task.approvals.find((approval) => approval.sha !== sha || approval.sha === sha)',
      },
      {
        name: 'core-late-head-ignored',
        breaks: ['S12'],
        find: 'headSha: current ? (data.headSha ?? task.headSha) : task.headSha',
        replace: 'headSha: data.headSha ?? task.headSha',
      },
      {
        name: 'core-attempt-counted',
        breaks: ['S10'],
        find: 'attempts: { code: task.attempts.code + 1, transient: 0, infra: 0 },',
        replace: 'attempts: { code: task.attempts.code, transient: 0, infra: 0 },',
      },
      {
        name: 'core-retry-grants-once',
        breaks: ['S10'],
        find: 'codeBase: data.freshBudget ? task.attempts.code + 1 : task.codeBase',
        replace: 'codeBase: task.attempts.code + 1',
      },
      {
        name: 'core-spend-of-task-grows',
        breaks: ['S10'],
        find: 'costUsd: task.costUsd + data.costUsd',
        replace: 'costUsd: data.costUsd',
      },
      {
        name: 'core-cancelled-has-new-epoch',
        breaks: ['S12'],
        find: "status: 'cancelled',\n    step: null,\n    epoch: task.epoch + 1,",
        replace: "status: 'cancelled',\n    step: null,",
      },
      {
        name: 'core-done-has-new-epoch',
        breaks: ['S12'],
        find: "status: 'done', step: null, epoch: task.epoch + 1,",
        replace: "status: 'done', step: null,",
      },
      {
        name: 'core-sent-back-voids-later-verdicts',
        breaks: ['S8'],
        find: 'verdicts: dropStages(task, data.to)',
        replace: 'verdicts: task.verdicts',
      },
      {
        name: 'core-full-session-not-resumed',
        breaks: ['L6'],
        find: 'session && !full ? {',
        replace: 'session ? {',
        killers: [FAULT],
      },
    ],
  ),
  ...inFile(
    'src/core/policy.ts',
    [FAULT, 'src/core/limits.test.ts', BETWEEN],
    [
      {
        name: 'core-wait-within-reason',
        breaks: ['L6'],
        find: 'return Math.min(Math.max(0, retryAfterMs), MAX_RETRY_AFTER_MS)',
        replace: 'return Math.max(0, retryAfterMs)',
      },
      {
        name: 'core-back-off-bounded',
        breaks: ['L1'],
        find: 'return Math.min(BACKOFF.baseMs * 2 ** Math.min(attempt, 20), BACKOFF.maxMs)',
        replace: 'return BACKOFF.baseMs * 2 ** Math.min(attempt, 20)',
      },
      {
        name: 'core-fail-over-as-named',
        breaks: ['S16'],
        find: 'return agent === undefined || fallback.some((name) => name !== agent)',
        replace: 'return agent === undefined || fallback.length >= 0',
      },
    ],
  ),
  ...inFile(
    'src/core/verdict.ts',
    [VERDICT],
    [
      {
        name: 'core-fail-wins',
        breaks: ['S8'],
        find: "for (const result of ['fail', 'unknown', 'wait'] as const) {",
        replace: "for (const result of ['wait'] as const) {",
      },
      {
        name: 'core-unknown-is-no-pass',
        breaks: ['S8', 'S13'],
        find: "for (const result of ['fail', 'unknown', 'wait'] as const) {",
        replace: "for (const result of ['fail', 'wait'] as const) {",
      },
      {
        name: 'core-time-out-is-no-red',
        breaks: ['S13'],
        find: "if (command.outcome === 'timed-out') {",
        replace: "if (command.outcome === 'timed-out' && command.exitCode === 0) {",
      },
      {
        name: 'core-killed-is-no-red',
        breaks: ['S13'],
        find: "if (command.outcome === 'killed' || command.exitCode === 137 || command.exitCode === 143) {",
        replace: "if (command.outcome === 'killed') {",
      },
      {
        name: 'core-missing-tool-is-no-red',
        breaks: ['S13'],
        find: "if (command.outcome === 'could-not-start' || command.exitCode === 127 || command.exitCode === 126) {",
        replace: "if (command.outcome === 'could-not-start') {",
      },
      {
        name: 'core-exit-code-judges',
        breaks: ['S5'],
        find: 'if (command.exitCode === 0) continue',
        replace: 'if (command.exitCode !== null) continue',
      },
      {
        name: 'core-negative-word-wins',
        breaks: ['S16'],
        find: "if (NEGATIVE.has(value)) return { word: 'negative', value }",
        replace: "if (NEGATIVE.has(value) && positive === undefined) return { word: 'negative', value }",
      },
      {
        name: 'core-unknown-word-is-no-pass',
        breaks: ['S16'],
        find: 'else strange = `${name}: "${raw}" is no known verdict`',
        replace: 'else positive ??= value',
      },
      {
        name: 'core-strange-key-is-no-pass',
        breaks: ['S16'],
        find: "if (strange) return { word: 'none', problem: strange }",
        replace: '',
      },
      {
        name: 'core-a-word-is-needed',
        breaks: ['S16'],
        find: "return { word: 'none', problem: `none of ${VERDICT_KEYS.join(', ')} is set` }",
        replace: "return { word: 'positive', value: 'pass' }",
      },
      {
        name: 'core-measure-limits',
        breaks: ['S8'],
        find: 'measure.value > measure.max',
        replace: 'measure.value > measure.max + 1e9',
      },
    ],
  ),
  ...inFile(
    'src/core/pipeline.ts',
    ['src/core/pipeline.test.ts'],
    [
      {
        name: 'core-landing-needs-publication',
        breaks: ['S9'],
        find: "if (kind === 'land' && !kinds.slice(0, index).includes('publish')) {",
        replace: "if (kind === 'land' && kinds.length === 0) {",
      },
      {
        name: 'core-failure-goes-back-only',
        breaks: ['S8'],
        find: 'if (target > where.index) {',
        replace: 'if (target > where.index + 1e9) {',
      },
      {
        name: 'core-gate-is-known',
        breaks: ['S8'],
        find: 'if (!kinds) {',
        replace: 'if (!kinds && gate.length < 0) {',
        failsWith: 'Cannot read properties of undefined',
      },
    ],
  ),
]
