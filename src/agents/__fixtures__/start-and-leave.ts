// Starts a run from a process that then ends at once: argv is the runs' folder, the supervisor's file and the spec as JSON.
import { makeAdapters } from '../adapters.ts'
import { makeRunner } from '../runner.ts'

const [runsDir = '', supervisor = '', spec = ''] = process.argv.slice(2)
const runner = makeRunner({
  runsDir,
  supervisor: [process.execPath, supervisor],
  adapters: makeAdapters({ scripted: [process.execPath, ''], acp: [process.execPath, ''] }),
})
await runner.start(JSON.parse(spec))
process.exit(0)
