// Writes schemas/*.json from the code's schemas. Run it after a change to src/config/*schema.ts; a test compares them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jsonSchema } from '../src/config/make-config.ts'

const dir = join(import.meta.dirname, '..', 'schemas')
mkdirSync(dir, { recursive: true })
for (const [of, name] of [
  ['config', 'orch.schema.json'],
  ['pipeline', 'pipeline.schema.json'],
] as const) {
  writeFileSync(join(dir, name), `${JSON.stringify(jsonSchema(of), null, 2)}\n`)
}
