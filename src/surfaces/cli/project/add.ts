import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { printInit } from '../init-report.ts'

export const command = defineCommand({
  summary: 'Register a repository: a clone of yours, or one that Orch clones',
  details:
    'A folder is registered as it is, and nothing is shown anywhere unless --tracker or --forge says so. For `owner/name` (at GitHub, or where --forge says) and for an address Orch makes a clone of its own below ORCH_HOME, with your git credentials; its issues become tasks and its changes pull requests there, unless you choose otherwise.\n' +
    'Tracker and forge are chosen separately: `github`, `gitea`, `plane` or `none`, with the project there after a colon where that is not the repository itself. Given again for a project that is registered, they count from then on.',
  positionals: [
    {
      name: 'SOURCE',
      required: false,
      description: 'A clone (default: this folder), `owner/name`, or an address',
      complete: 'file',
    },
  ],
  options: {
    prefix: { kind: 'text', value: 'PREFIX', description: 'Prefix of its task ids (default: made from its name)' },
    tracker: {
      kind: 'text',
      value: 'NAME[:PROJECT]',
      description: 'Where its issues come from',
      complete: ['github', 'gitea', 'plane', 'none'],
    },
    forge: {
      kind: 'text',
      value: 'NAME[:OWNER/NAME]',
      description: 'Where its changes are shown',
      complete: ['github', 'gitea', 'none'],
    },
  },
  examples: [
    'orch project add ~/code/shop',
    'orch project add acme/shop',
    'orch project add . --tracker github --forge github',
    'orch project add git@git.example.org:acme/shop.git --forge gitea --tracker plane:acme/6f1d…',
    'orch project add acme/shop --tracker none --prefix SHOP',
  ],
  mutates: true,
  needs: ['home', 'git'],
  async run({ positionals: [source = '.'], values, json }, context) {
    const app = await context.app()
    const { prefix = null, tracker = null, forge = null } = values
    printInit(await app.addProject({ source, cwd: context.cwd, prefix, tracker, forge }), { json, context })
    return EXIT.ok
  },
})
