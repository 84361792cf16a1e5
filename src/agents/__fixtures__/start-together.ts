// Starts one run after the other at times that several of these agree on: argv is the runs' folder, the supervisor's file,
// the first spec as JSON, how many runs, and when the first one starts, in ms. Each run has the spec's id with its number.
import { sleep } from '../../lib/process.ts'
import { makeAdapters } from '../adapters.ts'
import { makeRunner } from '../runner.ts'

const [runsDir = '', supervisor = '', text = '', count = '', firstAt = ''] = process.argv.slice(2)
const runner = makeRunner({
  runsDir,
  supervisor: [process.execPath, supervisor],
  adapters: makeAdapters({ scripted: [process.execPath, ''], acp: [process.execPath, ''] }),
})
const spec = JSON.parse(text)
runner.prepare()
for (let n = 0; n < Number(count); n += 1) {
  await sleep(Math.max(0, Number(firstAt) + n * 250 - Date.now()))
  await runner.start({ ...spec, runId: `${spec.runId}-${n}` })
}
process.exit(0)
