// An agent that tries to get out. With bubblewrap nothing works; with less, what stays open is listed as the sandbox itself says it.

import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { asAgent, BRANCH, collectOne, ensureOne, kindsHere, makeWorld, sh, type World } from './__fixtures__/world.ts'
import { OPEN_WITHOUT_SANDBOX, probeSandbox } from './sandbox.ts'

const kinds = await kindsHere()
const held = kinds.includes('bubblewrap')

/** A place outside of everything; what is written there was run outside the sandbox. */
const canaryOf = (world: World): string => path.join(world.folder, 'canary')

describe.skipIf(!held)('with bubblewrap (skipped where it is missing)', () => {
  test('nothing outside can be written or read', async () => {
    const world = await makeWorld('bubblewrap')
    const workspace = await ensureOne(world)
    await writeFile(path.join(world.home, 'orch.db'), 'DATABASE')
    const other = await world.workspaces.ensure(world.mirror, {
      task: 'SHOP-2',
      branch: 'orch/shop-2',
      baseSha: world.base,
      headSha: null,
      baseBranch: 'main',
    })
    const said = await asAgent(
      world,
      workspace,
      `
      echo x > ${canaryOf(world)}; echo x > /usr/orch-canary; echo x > /work-canary; echo x > ${other.path}/x
      for file in ${world.env['HOME']}/.ssh/id_ed25519 ${world.home}/orch.db ${world.clone}/.git/config ${world.remote}/config ${other.path}/a.txt ~root/.ssh/known_hosts; do
        cat "$file" && echo "READ $file"
      done
      ls /run /var/run/; ls -d /proc/[0-9]* | wc -l; grep CapEff /proc/self/status; env | grep -i -E 'token|ssh_auth|secret'
      umount ${world.home} && echo UMOUNTED; mount -o remount,rw / && echo REMOUNTED`,
      [world.folder],
    )
    // The folder all of it lies in is shown, so that each of the masks has to hold by itself.
    expect(await asAgent(world, workspace, `ls ${world.folder}`, [world.folder])).toContain('remote.git')
    expect(said).not.toMatch(/READ|PRIVATE KEY|DATABASE|UMOUNTED|REMOUNTED|secret/)
    expect(said).toMatch(/CapEff:\s+0{16}/)
    for (const file of [canaryOf(world), '/usr/orch-canary', '/work-canary', path.join(other.path, 'x')])
      expect(existsSync(file)).toBe(false)
    expect(await readFile(path.join(other.path, 'a.txt'), 'utf8')).toContain('one')
  })

  test('no ref but its own can be moved', async () => {
    const world = await makeWorld('bubblewrap')
    const workspace = await ensureOne(world)
    await world.mirror.pin('refs/orch/SHOP-2/1', world.base)
    const said = await asAgent(
      world,
      workspace,
      `
      echo evil > a.txt; git commit -qam evil
      git push ${world.remote} HEAD:main && echo PUSHED
      git push ${world.mirror.path} HEAD:refs/orch/SHOP-2/1 HEAD:refs/remotes/origin/main && echo PUSHED
      git --git-dir=${world.mirror.path} update-ref refs/orch/SHOP-2/1 HEAD && echo MOVED
      echo x > ${world.mirror.path}/objects/x && echo WROTE
      git branch main; git update-ref refs/remotes/origin/main HEAD`,
    )
    expect(said).not.toMatch(/PUSHED|MOVED|WROTE/)
    const collected = await collectOne(world, workspace)
    expect(collected.tampering).toEqual([
      'The agent made or moved the branch main in its workspace; it was ignored.',
      'The agent moved its copy of origin/main; it was ignored.',
    ])
    expect(await sh(world.env, world.remote, 'git', 'for-each-ref', '--format=%(refname) %(objectname)')).toBe(
      `refs/heads/main ${world.base}`,
    )
    const refs = await sh(world.env, world.mirror.path, 'git', 'for-each-ref', '--format=%(refname) %(objectname)')
    expect(refs.split('\n')).toEqual([
      `refs/orch/SHOP-1/1 ${collected.headSha}`,
      `refs/orch/SHOP-2/1 ${world.base}`,
      `refs/remotes/origin/HEAD ${world.base}`,
      `refs/remotes/origin/main ${world.base}`,
    ])
    expect((await collectOne(world, workspace, '2')).tampering).toEqual([
      'The agent moved its copy of origin/main; it was ignored.',
    ])
  })
})

describe.skipIf(!held)('with bubblewrap and a planted link (skipped where it is missing)', () => {
  test('a link in the place of its workspace makes nothing else writable', async () => {
    const world = await makeWorld('bubblewrap')
    const workspace = await ensureOne(world)
    await sh(world.env, world.folder, 'sh', '-c', `rm -rf '${workspace.path}' && ln -s /etc '${workspace.path}'`)
    await expect(asAgent(world, workspace, 'true')).rejects.toThrow('is a link')
    await ensureOne(world)
    expect(await readFile(path.join(workspace.path, 'a.txt'), 'utf8')).toContain('one')
    expect(existsSync('/etc/passwd')).toBe(true)
  })
})

/** Plants one thing in the agent's git directory, each meant to run a command that leaves a canary. */
const PLANTED: Record<string, { script: string; says: string | null }> = {
  'core.fsmonitor': { script: 'git config core.fsmonitor "$RUN"', says: 'core.fsmonitor' },
  hooks: {
    script:
      'mkdir -p .git/hooks; for h in pre-commit post-commit post-checkout post-merge reference-transaction commit-msg; do printf "#!/bin/sh\\n$RUN\\n" > .git/hooks/$h; chmod +x .git/hooks/$h; done',
    says: 'git hook',
  },
  'core.hooksPath': {
    script:
      'mkdir h; printf "#!/bin/sh\\n$RUN\\n" > h/pre-commit; cp h/pre-commit h/post-checkout; chmod +x h/*; git config core.hooksPath h',
    says: 'core.hooksPath',
  },
  filters: {
    script:
      'git config filter.evil.clean "$RUN"; git config filter.evil.smudge "$RUN"; git config filter.evil.required true; echo "* filter=evil" > .gitattributes',
    says: 'filter.evil.clean',
  },
  includes: {
    script:
      'printf "[core]\\n\\tfsmonitor = $RUN\\n" > .git/more; printf "[include]\\n\\tpath = more\\n" >> .git/config',
    says: 'include.path',
  },
  aliases: {
    script:
      'git config alias.status "!$RUN"; git config core.pager "$RUN"; git config diff.external "$RUN"; git config core.sshCommand "$RUN"',
    says: 'alias.status',
  },
  'upload-pack': {
    script:
      'git config uploadpack.packObjectsHook "$RUN"; git config core.alternateRefsCommand "$RUN"; git config gpg.program "$RUN"; git config commit.gpgSign true',
    says: 'uploadpack.packObjectsHook',
  },
  commondir: {
    script:
      'cp -r .git /tmp/evil 2>/dev/null; mkdir -p evil; cp -r .git/. evil/; git --git-dir=evil config core.fsmonitor "$RUN"; echo "$PWD/evil" > .git/commondir',
    says: 'commondir',
  },
  alternates: {
    script: 'mkdir -p elsewhere/info elsewhere/pack; echo "$PWD/elsewhere" > .git/objects/info/alternates',
    says: 'alternates',
  },
  '.git as a file': {
    script:
      'mkdir -p evil; cp -r .git/. evil/; git --git-dir=evil config core.fsmonitor "$RUN"; rm -rf .git; echo "gitdir: $PWD/evil" > .git',
    says: null,
  },
  '.git as a link': {
    script:
      'mkdir -p evil; cp -r .git/. evil/; git --git-dir=evil config core.fsmonitor "$RUN"; rm -rf .git; ln -s evil .git',
    says: null,
  },
  'config as a link': {
    script: 'git config core.fsmonitor "$RUN"; mv .git/config .git/other; ln -s other .git/config',
    says: null,
  },
  'a fake git on the PATH': {
    script:
      'mkdir -p bin; for p in git npm node sh; do printf "#!/bin/sh\\n$RUN\\n" > bin/$p; chmod +x bin/$p; cp bin/$p .; done',
    says: '',
  },
  'a nested repository': {
    script:
      'git init -q sub; cd sub; git config user.name x; git config user.email x; git commit -q --allow-empty -m x; git config core.fsmonitor "$RUN"; git config diff.external "$RUN"; echo dirty > d',
    says: '',
  },
}

// Without walls nothing but the engine's own care keeps a planted program from running, so each is tried there.
describe('the engine runs nothing that is planted, also without a sandbox', () => {
  test.each(Object.keys(PLANTED))('%s', async (name) => {
    const { script, says } = PLANTED[name] ?? { script: '', says: '' }
    const world = await makeWorld('none')
    const workspace = await ensureOne(world)
    const canary = canaryOf(world)
    await asAgent(
      world,
      workspace,
      `RUN="touch ${canary}"; echo b > b.txt; git add b.txt; git commit -qm work; ${script}`,
    )
    await sh(world.env, world.folder, 'rm', '-f', canary)
    await writeFile(path.join(workspace.path, 'left.txt'), 'left\n').catch(() => undefined)
    if (says === null) {
      await expect(collectOne(world, workspace)).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringContaining('replaced'),
      })
    } else {
      const collecting = collectOne(world, workspace)
      await expect(collecting).resolves.toMatchObject({ leftovers: true })
      const collected = await collecting
      if (says === '') expect(collected.tampering).toEqual([])
      else expect(collected.tampering.join('\n')).toContain(says)
      expect(await sh(world.env, world.mirror.path, 'git', 'log', '-1', '--format=%s', `${collected.headSha}~1`)).toBe(
        'work',
      )
      await collectOne(world, workspace, '2')
    }
    await ensureOne(world)
    await world.workspaces.remove('SHOP-1')
    expect(existsSync(canary)).toBe(false)
  })

  test('nor when its run was never collected', async () => {
    const world = await makeWorld('none')
    const workspace = await ensureOne(world)
    const scripts = Object.values(PLANTED)
      .filter((plant) => plant.says !== null)
      .map((plant) => `(${plant.script})`)
    await asAgent(world, workspace, `RUN="touch ${canaryOf(world)}"\n${scripts.join('\n')}`)
    await sh(world.env, world.folder, 'rm', '-f', canaryOf(world))
    await ensureOne(world)
    await world.workspaces.setup(world.mirror, workspace, {
      sha: world.base,
      commands: ['true'],
      env: { pass: [], set: {} },
      network: false,
      timeoutMs: 10_000,
    })
    await world.workspaces.remove('SHOP-1')
    expect(existsSync(canaryOf(world))).toBe(false)
  })
})

test.each(kinds.filter((kind) => kind !== 'none'))(
  'all that is planted at once is named and runs nowhere outside (%s)',
  async (kind) => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    const plants = Object.values(PLANTED).filter((plant) => plant.says !== null)
    const scripts = plants.map((plant) => `(${plant.script})`).join('\n')
    await asAgent(
      world,
      workspace,
      `RUN="touch ${canaryOf(world)}"\necho b > b.txt; git add b.txt; git commit -qm work\n${scripts}`,
    )
    await sh(world.env, world.folder, 'rm', '-f', canaryOf(world))
    const { tampering } = await collectOne(world, workspace)
    for (const { says } of plants) expect(tampering.join('\n')).toContain(says)
    await ensureOne(world)
    await world.workspaces.remove('SHOP-1')
    expect(existsSync(canaryOf(world))).toBe(false)
  },
)

test("commits made with missing or forged objects don't get into the mirror", async () => {
  const world = await makeWorld(kinds.at(-1))
  const workspace = await ensureOne(world)
  await asAgent(
    world,
    workspace,
    `tree=$(git write-tree); printf "tree $tree\\nauthor x\\n\\nforged" > c; sha=$(git hash-object -t commit -w --literally c); git update-ref refs/heads/${BRANCH} $sha; rm c`,
  )
  await expect(collectOne(world, workspace)).rejects.toMatchObject({ name: 'ExternalError' })
  expect(await sh(world.env, world.mirror.path, 'git', 'for-each-ref', 'refs/orch')).toBe('')
})

test('a deleted branch and a deleted workspace are told, and the next run has a new one', async () => {
  const world = await makeWorld(kinds.at(-1))
  const workspace = await ensureOne(world)
  await asAgent(world, workspace, `git checkout -q --detach; git branch -D ${BRANCH}`)
  await expect(collectOne(world, workspace)).rejects.toMatchObject({
    kind: 'not-found',
    message: expect.stringContaining('gone'),
  })
  await asAgent(world, workspace, 'rm -rf .git * .gitignore')
  await expect(collectOne(world, workspace)).rejects.toMatchObject({ kind: 'not-found' })
  await ensureOne(world)
  expect(await readdir(workspace.path)).toContain('a.txt')
})

test("an agent on a branch of its own is told that only the task's counts", async () => {
  const world = await makeWorld(kinds.at(-1))
  const workspace = await ensureOne(world)
  await asAgent(world, workspace, 'git checkout -q -b feature; echo b > b.txt; git add b.txt; git commit -qm work')
  const collected = await collectOne(world, workspace)
  expect(collected).toMatchObject({ headSha: world.base, leftovers: false })
  expect(collected.tampering[0]).toBe(`The agent left feature checked out; only commits on ${BRANCH} count.`)
  await ensureOne(world)
  expect(await asAgent(world, workspace, 'git branch --show-current')).toBe(`${BRANCH}\n`)
})

test.each(['unshare', 'none'] as const)('what stays open with %s is said by the sandbox itself', async (kind) => {
  if (!kinds.includes(kind)) return
  const { means } = await probeSandbox(process.env, { prefer: kind })
  expect(means.open).toEqual(expect.arrayContaining([...OPEN_WITHOUT_SANDBOX]))
  const world = await makeWorld(kind)
  const workspace = await ensureOne(world)
  // Each of these is open: if one ever is not, its sentence must go.
  const said = await asAgent(
    world,
    workspace,
    `echo x > ${canaryOf(world)}; cat ${world.env['HOME']}/.ssh/id_ed25519; ls ${world.home}`,
  )
  expect(existsSync(canaryOf(world))).toBe(true)
  expect(said).toContain('PRIVATE KEY')
  expect(said).toContain('mirrors')
})
