// The safeguards of each step: intents before effects, looking before doing again, whose fault it is.

import { inFile, type Mutant } from './mutant.ts'

const LAND = 'src/flow/land.test.ts'
const LANDING = 'src/flow/landing.test.ts'
const PUBLISH = 'src/flow/publish.test.ts'
const RUN = 'src/flow/run.test.ts'

export const stepMutants: Mutant[] = [
  ...inFile(
    'src/flow/landing.ts',
    ['src/flow/landing.test.ts#green alone and red'],
    [
      {
        name: 'flow-merged-tree-verified',
        breaks: ['S5'],
        find: 'sha: candidate.mergeSha,\n    policy',
        replace: "sha: landing.task.headSha ?? '',\n    policy",
      },
    ],
  ),
  ...inFile(
    'src/flow/land.ts',
    [LAND, LANDING],
    [
      {
        name: 'flow-open-merge-settled-first',
        breaks: ['S9'],
        find: 'const settled = await settleIntent(landing)',
        replace: 'const settled = null as Command | null',
        failsWith: 'is not a function',
      },
      {
        name: 'flow-merge-looked-for',
        breaks: ['S4', 'S9'],
        find: "if (proof.kind === 'merged') return confirm(landing, mergeSha, proof.mergedSha)",
        replace: '',
      },
      {
        name: 'flow-cancelled-merge-not-made',
        breaks: ['S12'],
        find: '&& !task.cancelRequested) return pushMerge(',
        replace: ') return pushMerge(',
      },
      {
        name: 'flow-merged-means-main-holds-it',
        breaks: ['S4'],
        find: 'if (await mirror.isAncestor(intent.mergeSha, now.sha)) return confirm(',
        replace: 'if (now.sha) return confirm(',
        killers: ['test/incidents/landing.test.ts#merged on record'],
      },
      {
        name: 'flow-merge-intended-first',
        breaks: ['S9'],
        find: 'const { mergeSha, onto, tree, policy } = candidate\n',
        replace:
          'const { mergeSha, onto, tree, policy } = candidate\n  await landing.mirror.push({ sha: mergeSha, branch: landing.base.branch, expected: onto })\n',
        killers: ['src/flow/landing.test.ts#each effect is intended first'],
      },
      {
        name: 'flow-merge-needs-its-intent',
        breaks: ['S9', 'S12'],
        find: 'if (intended.ok) return pushMerge(',
        replace: 'if (intended) return pushMerge(',
        killers: ['src/flow/landing.test.ts#a cancel that comes'],
      },
      {
        name: 'flow-merge-verified',
        breaks: ['S5'],
        find: 'const failed = await test(landing, candidate)',
        replace: 'const failed = null as Command | null',
        killers: ['src/flow/landing.test.ts#green alone and red'],
      },
      {
        name: 'flow-merge-swaps-from-what-was-tested',
        breaks: ['S5'],
        find: 'expected: intent.onto })',
        replace: 'expected: (await mirror.fetchBase(base.branch)).sha })',
        killers: ['src/flow/landing.test.ts#main moves between'],
      },
      {
        name: 'flow-second-red-looked-at-afresh',
        breaks: ['S11'],
        find: '{ fresh: reds > 0 }',
        replace: '{ fresh: reds > 5 }',
        killers: ['src/flow/landing.test.ts#green alone and red'],
      },
      {
        name: 'flow-landing-trouble-is-not-the-codes',
        breaks: ['S13', 'S11'],
        find: "if (judgement.result === 'unknown') {",
        replace: "if (judgement.result === 'unknown' && reds > 9) {",
        killers: ['src/flow/landing.test.ts#was killed is infrastructure'],
      },
      {
        name: 'flow-unanswered-push-stays-open',
        breaks: ['S9'],
        find: "if (pushed.because === 'unreachable' || pushed.because === 'auth') {",
        replace: "if (pushed.because === 'auth') {",
        killers: ['src/flow/landing.test.ts#answer was lost'],
      },
      {
        name: 'flow-landing-needs-verification',
        breaks: ['S5'],
        find: 'if (candidate.policy.verify.length === 0) {',
        replace: 'if (candidate.policy.verify.length < 0) {',
        killers: ['src/flow/landing.test.ts#names no verify command'],
      },
      {
        name: 'flow-mains-configuration-judges',
        breaks: ['S16'],
        find: '    sha: base.sha,\n    baseName: base.branch,',
        replace: '    sha: head,\n    baseName: base.branch,',
        killers: ['src/flow/landing.test.ts#own configuration judges'],
      },
      {
        name: 'flow-merged-elsewhere-is-told',
        breaks: ['S4'],
        find: 'if (await mirror.isAncestor(head, base.sha)) {',
        replace: "if (head === '') {",
        killers: ['src/flow/landing.test.ts#merged by hand'],
      },
      {
        name: 'flow-conflict-goes-back',
        breaks: ['S5'],
        find: 'if (!merged.ok) {',
        replace: 'if (!merged.ok && merged.files.length > 99) {',
        killers: ['test/incidents/landing.test.ts#changelog line'],
        failsWith: 'undefined',
      },
    ],
  ),
  ...inFile(
    'src/flow/publish.ts',
    [PUBLISH],
    [
      {
        name: 'flow-push-intended-first',
        breaks: ['S9'],
        find: 'const intended = await context.submit(',
        replace: 'await push(mirror, { sha, branch, expected })\n    const intended = await context.submit(',
      },
      {
        name: 'flow-push-needs-its-intent',
        breaks: ['S9', 'S12'],
        find: 'if (!intended.ok) throw new StepOver()',
        replace: '',
      },
      {
        name: 'flow-pushed-head-not-pushed-again',
        breaks: ['S9'],
        find: 'if (expected !== sha) await push(',
        replace: 'if (sha) await push(',
      },
      {
        name: 'flow-foreign-branch-left-alone',
        breaks: ['S15'],
        find: 'const isOurs = at === null || at === sha ||',
        replace: 'const isOurs = name !== sha ||',
      },
      {
        name: 'flow-moved-branch-holds',
        breaks: ['S15', 'L6'],
        find: 'if (task.publishedSha !== null) {',
        replace: 'if (task.publishedSha === name) {',
      },
      {
        name: 'flow-push-with-lease',
        breaks: ['S15'],
        find: 'return { branch: name, expected: at }',
        replace: 'return { branch: name, expected: at === sha ? at : null }',
      },
      {
        name: 'flow-refused-push-holds',
        breaks: ['S13'],
        find: "if (pushed.because === 'refused') throw",
        replace: "if (pushed.because === 'refused' && request.expected === '') throw",
      },
    ],
  ),
  ...inFile(
    'src/flow/run.ts',
    [RUN],
    [
      {
        name: 'flow-earlier-run-over-first',
        breaks: ['S15'],
        find: 'if (row.id !== runId) await stopRun(',
        replace: 'if (row.id === runId) await stopRun(',
      },
      {
        name: 'flow-run-started-once',
        breaks: ['S1', 'S10'],
        find: "const absent = (await runner.state(runId)) === 'absent'",
        replace: "const absent = (await runner.state(runId)) !== 'lost'",
        failsWith: 'started twice',
      },
      {
        name: 'flow-cancel-while-starting',
        breaks: ['L4'],
        find: "if (!failed && store.getTask(task)?.state.runId !== runId) await runner.stop(runId, 'cancel')",
        replace: '',
      },
      {
        name: 'flow-stopped-run-ends-once',
        breaks: ['S10'],
        find: 'idempotencyKey: `end-run/${runId}`,',
        replace: '',
      },
      {
        name: 'flow-followed-run-left-to-its-job',
        breaks: ['S10'],
        find: "if (store.jobsOf(id).some((job) => job.kind === 'run' && job.epoch === epoch)) return",
        replace: '',
      },
      {
        name: 'flow-reviewers-writes-discarded',
        breaks: ['S16'],
        find: 'if (stage?.independent) {',
        replace: 'if (stage?.independent && stage.name === "") {',
      },
      {
        name: 'flow-lost-work-is-not-success',
        breaks: ['S13'],
        find: "else if (outcome.kind === 'succeeded')",
        replace: "else if (outcome.kind === 'lost')",
      },
      {
        name: 'flow-work-of-left-step-not-taken',
        breaks: ['S12'],
        find: "task.status !== 'cancelled' && task.epoch === epoch",
        replace: "task.status !== 'cancelled'",
      },
      {
        name: 'flow-after-run-costs-nothing',
        breaks: ['S13'],
        find: 'try {\n    await part.work()\n  } catch (error) {',
        replace: 'await part.work()\n  try {\n  } catch (error) {',
        failsWith: 'read-only file system',
      },
    ],
  ),
  ...inFile(
    'src/flow/start-run.ts',
    ['src/flow/start-run.test.ts'],
    [
      {
        name: 'flow-run-on-the-books-first',
        breaks: ['S9', 'S10'],
        find: 'await begin()\n    const startedAt = now()',
        replace: 'const startedAt = now()',
      },
      {
        name: 'flow-run-needs-its-books',
        breaks: ['S12'],
        find: 'if (!begun.ok || begun.task.runId !== runId) throw new StepOver()',
        replace: '',
      },
      {
        name: 'flow-workspace-of-who-holds-the-step',
        breaks: ['S2'],
        find: 'await stillHolds(context, { task: place.task.id, epoch })\n',
        replace: '',
      },
      {
        name: 'flow-handoff-directory-is-secret',
        breaks: ['S16'],
        find: 'known ?? `handoff-${deps.newId()}`',
        replace: "known ?? 'handoff-1'",
      },
    ],
  ),
  {
    // Two looks: before anything is put into its place, and before it is on the books.
    name: 'flow-start-stopped-in-time',
    breaks: ['S12'],
    killers: ['src/flow/start-run.test.ts'],
    edits: [
      {
        file: 'src/flow/start-run.ts',
        find: 'const spec = await specOf(deps, run)\n    if (context.signal.aborted) throw new Interrupted()',
        replace: 'const spec = await specOf(deps, run)',
      },
      {
        file: 'src/flow/start-run.ts',
        find: '  if (signal.aborted) throw new Interrupted()\n  const configDir',
        replace: '  const configDir',
      },
    ],
  },
  ...inFile(
    'src/flow/dispatch.ts',
    ['src/flow/dispatch.test.ts'],
    [
      {
        name: 'flow-red-base-holds',
        breaks: ['S10'],
        find: "if (judgement.result === 'fail') {",
        replace: "if (judgement.result === 'fail' && judgement.note === '') {",
        killers: ['src/flow/dispatch.test.ts#base that is red'],
      },
      {
        name: 'flow-base-verified',
        breaks: ['S10'],
        find: 'await requireGreenBase(deps, context, { project, mirror, base, task, policy: resolved.policy })',
        replace: '',
        killers: ['src/flow/dispatch.test.ts#base that is red'],
      },
      {
        name: 'flow-base-trouble-is-no-red',
        breaks: ['S13'],
        find: "if (judgement.result === 'unknown') {",
        replace: "if (judgement.result === 'unknown' && judgement.note === '') {",
        killers: ['src/flow/dispatch.test.ts#could not be verified'],
      },
      {
        name: 'flow-step-claimed-before-acting',
        breaks: ['S2', 'S12'],
        find: 'if (!begun.ok) throw new StepOver()',
        replace: '',
        killers: ['src/flow/dispatch.test.ts#not to be begun'],
        failsWith: 'Cannot read properties of undefined',
      },
      {
        name: 'flow-base-pinned',
        breaks: ['S16'],
        find: 'await mirror.pin(`refs/orch/${task.id}/base`, base.sha)',
        replace: '',
        killers: ['src/flow/dispatch.test.ts#base is pinned'],
        failsWith: 'ambiguous argument',
      },
    ],
  ),
]
