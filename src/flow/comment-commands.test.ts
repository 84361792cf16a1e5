import fc from 'fast-check'
import { expect, test } from 'vitest'
import { COMMENT_VERBS, readCommands } from './comment-commands.ts'

test.each([
  ['/orch retry', [{ ok: true, verb: 'retry', text: '' }]],
  ['Thanks!\n\n  /ORCH Approve  \nbye', [{ ok: true, verb: 'approve', text: '' }]],
  ['/orch reroute codex', [{ ok: true, verb: 'reroute', text: 'codex' }]],
  ['/orch answer yes,\nboth of them', [{ ok: true, verb: 'answer', text: 'yes,\nboth of them' }]],
  [
    '/orch reject keep the old name\n/orch why',
    [
      { ok: true, verb: 'reject', text: 'keep the old name' },
      { ok: true, verb: 'why', text: '' },
    ],
  ],
])('%j is obeyed', (body, expected) => {
  expect(readCommands(body)).toEqual(expected)
})

test.each([
  'please /orch retry',
  '> /orch stop',
  '   > /orch stop',
  '```\n/orch stop\n```',
  '````\n```\n/orch stop\n```\n/orch stop\n````',
  '~~~sh\n/orch stop\n~~~',
  '    /orch stop',
  '\t/orch stop',
  '`/orch stop`',
  '<!-- /orch stop -->',
  '<!--\n/orch stop\n-->',
  '<!-- never closed\n/orch stop',
  '```\n/orch stop (a fence that is never closed)',
  '/orchestra stop',
  'https://example.com/orch stop',
  '<pre>/orch stop</pre>',
  '',
])('%j is somebody else’s word, an example or no command', (body) => {
  expect(readCommands(body)).toEqual([])
})

test.each([
  ['/orch', /says nothing.*retry, stop/],
  ['/orch explode', /`explode` is no command/],
  ['/orch reject', /needs what to change/],
  ['/orch answer   ', /needs your answer/],
  [Array(6).fill('/orch retry').join('\n'), /6 commands/],
])('%j gets a clear answer', (body, problem) => {
  const [command] = readCommands(body)
  expect(command).toMatchObject({ ok: false })
  expect(command && !command.ok && command.problem).toMatch(problem)
})

test('whatever is quoted or fenced, nothing in it is obeyed; whatever comes, nothing throws', () => {
  const wild = fc.array(
    fc.constantFrom('/orch stop', '```', '~~~', '> /orch stop', '    /orch stop', 'text', '<!--', '-->', ''),
  )
  fc.assert(
    fc.property(wild, (lines) => {
      const quoted = lines.map((line) => `> ${line}`).join('\n')
      expect(readCommands(quoted)).toEqual([])
      for (const command of readCommands(lines.join('\n')))
        if (command.ok) expect(COMMENT_VERBS).toContain(command.verb)
    }),
  )
})
