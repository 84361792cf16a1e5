import { resolve } from 'node:path'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { printInit } from '../init-report.ts'

export const command = defineCommand({
  summary: 'Register a clone as a project, without writing into it',
  positionals: [{ name: 'PATH', required: false, description: 'The clone (default: this folder)', complete: 'file' }],
  options: {
    prefix: { kind: 'text', value: 'PREFIX', description: 'Prefix of its task ids (default: made from its name)' },
  },
  examples: ['orch project add ~/code/shop', 'orch project add . --prefix SHOP'],
  mutates: true,
  async run({ positionals: [path = '.'], values, json }, context) {
    const app = await context.app()
    printInit(await app.addProject({ path: resolve(context.cwd, path), prefix: values.prefix ?? null }), {
      json,
      context,
    })
    return EXIT.ok
  },
})
