// What a registered clone says, with the user's own configuration behind it.

import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { sh, temporaryFolder } from './__fixtures__/world.ts'
import { readClone } from './clone.ts'

async function place(global: string): Promise<{ clone: string; env: Record<string, string> }> {
  const folder = await temporaryFolder()
  const user = path.join(folder, 'user')
  const env = { PATH: process.env['PATH'] ?? '', HOME: user, GIT_CONFIG_NOSYSTEM: '1' }
  await mkdir(user)
  await writeFile(path.join(user, '.gitconfig'), global)
  const clone = path.join(folder, 'clone')
  await sh(env, folder, 'git', 'init', '-q', clone)
  return { clone, env }
}

test('commits are the user’s own: of their git configuration, where the clone names nobody', async () => {
  const { clone, env } = await place('[user]\n\tname = Ada\n\temail = ada@example.org\n')
  expect((await readClone(clone, env)).identity).toEqual({ name: 'Ada', email: 'ada@example.org' })
  await sh(env, clone, 'git', 'config', 'user.name', 'Ada at work')
  expect((await readClone(clone, env)).identity).toEqual({ name: 'Ada at work', email: 'ada@example.org' })
})

test('nobody is named anywhere: Orch', async () => {
  const { clone, env } = await place('')
  expect((await readClone(clone, env)).identity).toEqual({ name: 'Orch', email: 'orch@localhost' })
})

test('an ssh command of the user’s own stands; of what is not the clone’s nothing is taken along', async () => {
  const { clone, env } = await place('[core]\n\tsshCommand = ssh -i key\n')
  expect(await readClone(clone, env)).toMatchObject({ sshChosen: true, config: [] })
  await sh(env, clone, 'git', 'config', 'http.proxy', 'http://proxy')
  expect((await readClone(clone, env)).config).toEqual([['http.proxy', 'http://proxy']])
})

test('a file named in place of the user’s configuration is read in its place', async () => {
  const { clone, env } = await place('[user]\n\tname = Ada\n')
  const file = path.join(path.dirname(clone), 'other')
  await writeFile(file, '[user]\n\tname = Eve\n')
  expect((await readClone(clone, { ...env, GIT_CONFIG_GLOBAL: file })).identity.name).toBe('Eve')
})
