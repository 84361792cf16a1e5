import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addedLines } from './diff-lines.ts'
import { findSecrets, mask, MAX_HITS } from './secret-search.ts'

// Put together here, so that this file itself holds no token.
const RANDOM = 'Zk3Qp9Lr7Tn2Vx8Bm4Wc6Yd1Hf5Jg0SaEuRi'
const HEX = '9f3a7c1e5b8d2046a1c3e5f7091b2d4f6a8c0e13'
const join = (...parts: string[]): string => parts.join('')
const SECRETS: [string, string][] = [
  ['GitHub', join('gh', 'p_', RANDOM)],
  ['GitHub fine', join('github_', 'pat_', RANDOM, RANDOM.toLowerCase())],
  ['GitLab', join('glp', 'at-', RANDOM.slice(0, 20))],
  ['Slack', join('xo', 'xb-', '918273645546-', RANDOM.slice(0, 24))],
  ['npm', join('np', 'm_', RANDOM)],
  ['npmrc', join('//registry.acme.io/:_auth', 'Token=', RANDOM)],
  ['AWS', join('AK', 'IA', 'Q3ZT7MLP2WX5RNYK')],
  ['AWS secret', join('aws_secret_access', '_key = ', RANDOM, 'Q+/9')],
  ['Google', join('AI', 'za', RANDOM.slice(0, 35))],
  ['Anthropic', join('sk-', 'ant-api03-', RANDOM)],
  ['OpenAI', join('sk-', 'proj-', RANDOM)],
  ['Stripe', join('sk_', 'live_', RANDOM.slice(0, 24))],
  ['Telegram', join('918273645', ':A', 'A', RANDOM.slice(0, 33))],
  ['Plane', join('plane_', 'api_', HEX.slice(0, 32))],
  ['Gitea', join('GITEA_TOK', 'EN=', HEX)],
  ['Postgres', join('postgres', '://shop:', 'hT7x', 'Kq2m@db.acme.io:5432/shop')],
  ['any URL', join('https', '://bot:', RANDOM, '@git.acme.io/x.git')],
  ['password', join('const pass', 'word = "', 'tR8#kLm2', 'Qx5!vB"')],
  ['JSON key', join('"api', 'Key": "', RANDOM, '"')],
  ['.env', join('DB_PASS', 'WORD=', 'tR8kLm2Qx5vB9')],
]

const at = (text: string, file = 'a.ts'): Parameters<typeof findSecrets>[0] =>
  text.split('\n').map((line, index) => ({ file, line: index + 1, text: line }))

test.each(SECRETS)('finds: %s', async (_name, text) => {
  expect(await findSecrets(at(text))).toHaveLength(1)
})

test('finds a private key by its body, not by a header alone', async () => {
  const header = join('-----BEGIN RSA ', 'PRIVATE KEY-----')
  const body = `${RANDOM}${RANDOM}`
  expect(await findSecrets(at(`${header}\n${body}`))).toMatchObject([{ kind: 'private key', line: 1 }])
  expect(await findSecrets(at(`key = "${header}\\n${body}"`))).toMatchObject([{ kind: 'private key' }])
  expect(await findSecrets(at(`Keys begin with ${header}\nand end otherwise.`))).toEqual([])
})

test.each([
  'password = "changeme-please-1"',
  'const password = process.env.DB_PASSWORD',
  'password: "${DB_PASSWORD}"',
  'api_key = "<your-api-key-here>"',
  'token: "{{ secrets.TOKEN_12345678 }}"',
  'AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE',
  'postgres://user:password@localhost:5432/db',
  'postgres://shop:hT7xKq2m@localhost/shop',
  'postgres://$USER:$PASSWORD@db.acme.io/shop',
  'postgres://user:password@db.acme.io/shop',
  'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'ghp_000000000000000000000000000000000000',
  'const secret = "correct horse battery staple"',
  'token = "node:internal/modules/cjs/loader"',
  'passwordField: "user.settings.password1"',
  'integrity sha512-9f3a7c1e5b8d2046a1c3e5f7091b2d4f6a8c0e13',
  'commit 9f3a7c1e5b8d2046a1c3e5f7091b2d4f6a8c0e13',
  'const TOKEN = readToken(config.path, "utf8")',
  'https://example.com:8080/path@2x.png',
  'sk-learn-is-a-library-for-machine-learning-in-python',
  '"password": "must have 8 characters"',
])('is no secret: %s', async (text) => {
  expect(await findSecrets(at(text))).toEqual([])
})

test('guesses are left out of lock files, tokens are not', async () => {
  expect(await findSecrets(at(`"token": "${RANDOM}"`, 'package-lock.json'))).toEqual([])
  expect(await findSecrets(at(join('gh', 'p_', RANDOM), 'package-lock.json'))).toHaveLength(1)
})

test('secrets are found wherever a piece begins or ends, and a flood of them is cut', async () => {
  const token = join('gh', 'p_', RANDOM)
  const filler = 'const nothing = 1\n'.repeat(40_000)
  const found = await findSecrets(at(`${token}\n${filler}${token}\n${filler}${token}`))
  expect(found.map((hit) => hit.line)).toEqual([1, 40_002, 80_003])
  expect(await findSecrets(at(`${token}\n`.repeat(50_000)))).toHaveLength(MAX_HITS)
})

test('long and odd lines take no long time', async () => {
  const started = performance.now()
  for (const text of [
    'a'.repeat(500_000),
    'password="'.repeat(50_000),
    'https://a:'.repeat(50_000),
    'token = '.repeat(60_000),
    'x://'.repeat(100_000),
    ' '.repeat(300_000),
    'a:b@'.repeat(100_000),
  ])
    await findSecrets(at(text))
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('a mask shows no more than four characters and never a quarter', async () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (secret) => {
      const shown = mask(secret).split('…')[0] ?? ''
      expect(shown.length).toBeLessThanOrEqual(Math.min(4, secret.length / 4))
    }),
  )
  expect(mask(join('gh', 'p_', RANDOM))).toBe('ghp_… (40 characters)')
})

test('reads added lines by the counts of hunks, whatever they look like', async () => {
  const diff = [
    'diff --git a/x b/x',
    '--- a/x',
    '+++ b/x',
    '@@ -1,2 +1,3 @@',
    ' a',
    '--- old',
    '+++ b/evil',
    '+@@ -1 +1 @@',
    '@@ -9,0 +11 @@',
    '+z',
    '\\ No newline at end of file',
    'diff --git "a/\\303\\274" "b/\\303\\274"',
    '--- /dev/null',
    '+++ "b/\\303\\274"',
    '@@ -0,0 +1 @@',
    '+u',
  ].join('\n')
  expect(addedLines(diff)).toEqual([
    { file: 'x', line: 2, text: '++ b/evil' },
    { file: 'x', line: 3, text: '@@ -1 +1 @@' },
    { file: 'x', line: 11, text: 'z' },
    { file: 'ü', line: 1, text: 'u' },
  ])
})
