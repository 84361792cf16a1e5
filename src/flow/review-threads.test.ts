// Whose words at a change reach an agent, and which of them have been answered.

import { expect, test } from 'vitest'
import type { IssueComment, ReviewThread } from '../drivers/driver.ts'
import { openThreads } from './review-threads.ts'

let count = 0
const said = (login: string, more: Partial<IssueComment> = {}): IssueComment => ({
  id: String(++count),
  author: { login, isBot: false },
  isOwn: false,
  body: `${login} ${count}`,
  url: '',
  createdAt: count,
  updatedAt: count,
  ...more,
})
const ours = (): IssueComment => said('orch', { isOwn: true })
const bot = (): IssueComment => said('copilot', { author: { login: 'copilot', isBot: true } })
const thread = (comments: IssueComment[], more: Partial<ReviewThread> = {}): ReviewThread => ({
  id: String(++count),
  resolved: false,
  file: 'a.ts',
  line: 1,
  diff: null,
  comments,
  ...more,
})
const open = (...threads: ReviewThread[]): Promise<ReviewThread[]> =>
  openThreads(threads, async (login) => login === 'ann' || login === 'bob')

test('what those with rights say is open, with our own words between', async () => {
  const asked = thread([said('ann'), ours(), said('bob')])
  expect(await open(asked)).toEqual([asked])
})

test('a stranger’s and a bot’s words reach no agent, alone or between others', async () => {
  const between = thread([said('ann'), said('eve'), bot()])
  expect(await open(thread([said('eve')]), thread([bot()]), between)).toEqual([
    { ...between, comments: between.comments.slice(0, 1) },
  ])
})

test('a thread that was resolved, or where ours is the last word, is answered; a stranger opens it again for nobody', async () => {
  expect(await open(thread([said('ann')], { resolved: true }))).toEqual([])
  expect(await open(thread([said('ann'), ours()]))).toEqual([])
  expect(await open(thread([said('ann'), ours(), said('eve')]))).toEqual([])
})

test('of the conversation what came before our last answer is settled', async () => {
  const news = said('bob')
  const talk = thread([said('ann'), ours(), news], { file: null, line: null })
  expect(await open(talk)).toEqual([{ ...talk, comments: [news] }])
})
