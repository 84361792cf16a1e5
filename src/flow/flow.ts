// The product as a sequence; this is its table of contents.
//
//   issue ─ intake ─► task ─ dispatch ─► run ─ judge ─► next stage … publish … land ─► done
//                               ▲                 │
//                               └── findings ─────┘
//
// A command is decided purely (core/decide.ts), its events and effects commit together (engine.ts), a worker carries
// the effects out (worker.ts) with the handlers below, and what came of it is the next command.

import type { Command } from '../core/messages.ts'
import type { Capabilities } from './capabilities.ts'
import { makeAwaitHandler } from './await.ts'
import { makeDispatch, StepOver, StepTrouble } from './dispatch.ts'
import type { Engine } from './engine.ts'
import { makeHousekeeping } from './housekeeping.ts'
import { makeJudgeHandler } from './judge.ts'
import { makeLandHandler } from './land.ts'
import { makePublishHandler } from './publish.ts'
import { makeRunHandler } from './run.ts'
import { requireSettled } from './settle-restore.ts'
import { makeStartRun } from './start-run.ts'
import { makeTellHandler } from './tell.ts'
import { makeVerifier } from './verifier.ts'
import { type Handler, type Handlers, Interrupted } from './worker.ts'

/** The handler of every kind of effect. */
export function makeHandlers(capabilities: Capabilities, engine: Engine): Handlers {
  const verifier = makeVerifier(capabilities)
  const dispatch = makeDispatch({ ...capabilities, verifier })
  const housekeeping = makeHousekeeping(capabilities, engine)
  return {
    run: step(makeRunHandler({ capabilities, engine, startRun: makeStartRun({ ...capabilities, dispatch }) })),
    judge: step(makeJudgeHandler({ ...capabilities, dispatch, verifier })),
    publish: step(makePublishHandler(capabilities, dispatch)),
    await: step(makeAwaitHandler(capabilities)),
    tell: makeTellHandler(capabilities),
    land: step(onceSettled(capabilities, makeLandHandler({ capabilities, dispatch, verifier }))),
    'stop-run': housekeeping.stopRun,
    'release-dependants': housekeeping.releaseDependants,
    clean: housekeeping.clean,
  }
}

/** After a restore main may hold what the books don't know: nothing is landed before that was looked up. */
function onceSettled(capabilities: Capabilities, handler: Handler): Handler {
  return async (job, context) => {
    const task = capabilities.store.getTask(job.effect.task)?.state
    await requireSettled(capabilities, task?.project ?? '')
    return handler(job, context)
  }
}

/** A step's known troubles are its result, not an accident: they go back as a command. */
function step(handler: Handler): Handler {
  return async (job, context) => {
    try {
      return await handler(job, context)
    } catch (error) {
      if (context.signal.aborted) throw new Interrupted()
      if (error instanceof StepOver) return null
      if (!(error instanceof StepTrouble) || !('epoch' in job.effect)) throw error
      const { task, epoch } = job.effect
      return { type: 'report-trouble', task, epoch, trouble: error.trouble } satisfies Command
    }
  }
}
