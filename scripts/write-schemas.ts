// Writes schemas/ from the code's schemas. Run it after a change to src/config/*schema.ts or src/surfaces/cli/schemas/;
// tests compare them.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jsonSchema } from '../src/config/make-config.ts'
import { OUTPUTS, outputSchema, schemaFile } from '../src/surfaces/cli/schemas/verbs.ts'

const dir = join(import.meta.dirname, '..', 'schemas')
mkdirSync(dir, { recursive: true })
for (const [of, name] of [
  ['config', 'orch.schema.json'],
  ['user', 'user.schema.json'],
  ['pipeline', 'pipeline.schema.json'],
] as const) {
  writeFileSync(join(dir, name), `${JSON.stringify(jsonSchema(of), null, 2)}\n`)
}

const cli = join(dir, 'cli')
rmSync(cli, { recursive: true, force: true })
mkdirSync(cli)
for (const verb of [...Object.keys(OUTPUTS), 'error'])
  writeFileSync(join(cli, schemaFile(verb)), `${JSON.stringify(outputSchema(verb), null, 2)}\n`)
