// Cuts the operations that the GitHub driver uses out of GitHub's own OpenAPI description, for its tests:
//   npm pack @octokit/openapi@23.0.2 && tar xf octokit-openapi-*.tgz package/generated/api.github.com.json
//   node scripts/slice-github-api.ts package/generated/api.github.com.json
// The package is 385 MB with all of its variants; the slice is what a test needs of it.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const REPOSITORY = '/repos/{owner}/{repo}'
const OPERATIONS: Record<string, string[]> = {
  '/user': ['get'],
  '/app': ['get'],
  '/app/installations/{installation_id}/access_tokens': ['post'],
  [REPOSITORY]: ['get'],
  [`${REPOSITORY}/installation`]: ['get'],
  [`${REPOSITORY}/issues`]: ['get'],
  [`${REPOSITORY}/issues/{issue_number}`]: ['get', 'patch'],
  [`${REPOSITORY}/issues/{issue_number}/comments`]: ['get', 'post'],
  [`${REPOSITORY}/issues/comments/{comment_id}`]: ['patch', 'delete'],
  [`${REPOSITORY}/issues/comments/{comment_id}/reactions`]: ['post'],
  [`${REPOSITORY}/issues/{issue_number}/labels`]: ['post'],
  [`${REPOSITORY}/issues/{issue_number}/labels/{name}`]: ['delete'],
  [`${REPOSITORY}/issues/{issue_number}/events`]: ['get'],
  [`${REPOSITORY}/issues/{issue_number}/dependencies/blocked_by`]: ['get'],
  [`${REPOSITORY}/issues/{issue_number}/sub_issues`]: ['get'],
  [`${REPOSITORY}/labels`]: ['get', 'post'],
  [`${REPOSITORY}/collaborators/{username}/permission`]: ['get'],
  [`${REPOSITORY}/pulls`]: ['get', 'post'],
  [`${REPOSITORY}/pulls/{pull_number}`]: ['get', 'patch'],
  [`${REPOSITORY}/pulls/{pull_number}/merge`]: ['put'],
  [`${REPOSITORY}/pulls/{pull_number}/reviews`]: ['get', 'post'],
  [`${REPOSITORY}/pulls/{pull_number}/reviews/{review_id}`]: ['put'],
  [`${REPOSITORY}/pulls/{pull_number}/comments`]: ['get'],
  [`${REPOSITORY}/pulls/{pull_number}/comments/{comment_id}/replies`]: ['post'],
  [`${REPOSITORY}/pulls/{pull_number}/requested_reviewers`]: ['post'],
  [`${REPOSITORY}/pulls/comments/{comment_id}/reactions`]: ['post'],
  [`${REPOSITORY}/commits/{ref}/check-runs`]: ['get'],
  [`${REPOSITORY}/commits/{ref}/status`]: ['get'],
  [`${REPOSITORY}/actions/runs`]: ['get'],
  [`${REPOSITORY}/actions/jobs/{job_id}/logs`]: ['get'],
  [`${REPOSITORY}/rules/branches/{branch}`]: ['get'],
  [`${REPOSITORY}/compare/{basehead}`]: ['get'],
  [`${REPOSITORY}/hooks`]: ['get', 'post'],
  [`${REPOSITORY}/hooks/{hook_id}`]: ['patch'],
}
/** What says nothing about what is valid. */
const WORDS = [
  'description',
  'summary',
  'example',
  'examples',
  'externalDocs',
  'x-github',
  'tags',
  'operationId',
  'title',
]

type Json = Record<string, unknown>

function main([path]: string[]): void {
  if (path === undefined) throw new Error('say where api.github.com.json is')
  const whole = JSON.parse(readFileSync(path, 'utf8')) as { info: Json; paths: Record<string, Json>; components: Json }
  const paths = Object.entries(OPERATIONS).map(([at, methods]) => {
    const found = whole.paths[at]
    const operations = methods.map((method) => {
      if (!found?.[method]) throw new Error(`the description has no ${method} ${at}`)
      return [method, bare(found[method])]
    })
    return [at, Object.fromEntries(operations) as Json]
  })
  const slice: Json = { version: whole.info['version'], paths: Object.fromEntries(paths) as Json }
  const components: Record<string, Json> = {}
  const todo = refsIn(slice)
  for (let ref = todo.pop(); ref !== undefined; ref = todo.pop()) {
    const [kind = '', name = ''] = ref.replace('#/components/', '').split('/')
    if (components[kind]?.[name] !== undefined) continue
    const part = bare((whole.components[kind] as Json)[name])
    components[kind] = { ...components[kind], [name]: part }
    todo.push(...refsIn(part))
  }
  const target = join(import.meta.dirname, '../src/drivers/github/__fixtures__/api.github.com.json')
  writeFileSync(target, `${JSON.stringify({ ...slice, components })}\n`)
}

/** Without words; below `properties` the same names are fields and stay. */
function bare(value: unknown, areFields = false): unknown {
  if (Array.isArray(value)) return value.map((item) => bare(item))
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(
    ([key, part]) => areFields || !WORDS.includes(key) || (key === 'title' && typeof part === 'object'),
  )
  return Object.fromEntries(kept.map(([key, part]) => [key, bare(part, key === 'properties')]))
}

function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, part]) =>
    key === '$ref' && typeof part === 'string' ? [part] : refsIn(part),
  )
}

main(process.argv.slice(2))
