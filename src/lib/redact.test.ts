import { expect, test } from 'vitest'
import { makeRedactor, secretsIn } from './redact.ts'

// Put together here, so that no file holds what looks like one.
const GITHUB = `ghp_${'aB3dE5fG7h'.repeat(4).slice(0, 36)}`
const KNOWN = 'correct-horse-battery'
const PEM = `-----BEGIN RSA ${'PRIVATE'} KEY-----\n${'MIIEabc1'.repeat(8)}\n${'zzzz9999'.repeat(8)}\n-----END RSA ${'PRIVATE'} KEY-----`

test('what looks like a secret goes, wherever it stands, and what is around it stays', () => {
  const redactor = makeRedactor([])
  expect(redactor.text(`first\ntoken ${GITHUB} end\nlast`)).toBe('first\ntoken [hidden: GitHub token] end\nlast')
  expect(redactor.text('https://ann:s3cr3tPw9@git.corp.io/x')).toBe(
    'https://ann:[hidden: password in a URL]@git.corp.io/x',
  )
  expect(redactor.hidden()).toBe(2)
})

test('a line of JSON stays one, also where the secret is escaped or its name is the key', () => {
  const redactor = makeRedactor([])
  const line = JSON.stringify({
    text: `export DB_PASSWORD=aB3$eF6hJ9kL2mN\nnext`,
    nested: { apiKey: 'aB3_eF6hJ9kL2mN5' },
  })
  const clean = JSON.parse(redactor.text(line)) as { text: string; nested: { apiKey: string } }
  expect(clean.text).toBe('export DB_PASSWORD=[hidden: password or key]\nnext')
  expect(clean.nested.apiKey).toBe('[hidden: password or key]')
  // Nothing to hide: byte for byte as it was.
  const plain = '{ "a" :  1 }'
  expect(redactor.text(plain)).toBe(plain)
})

test('a private key goes whole, also one that was cut off; the header alone is documentation', () => {
  expect(makeRedactor([]).text(`a\n${PEM}\nb`)).toBe('a\n[hidden: private key]\nb')
  expect(makeRedactor([]).text(`a\n${PEM.slice(0, 120)}`)).toBe('a\n[hidden: private key]')
  const header = `see -----BEGIN ${'PRIVATE'} KEY----- in the manual`
  expect(makeRedactor([]).text(header)).toBe(header)
})

test('values known to be secret go everywhere, keys included; others of the environment stay', () => {
  const known = secretsIn({
    MY_TOKEN: KNOWN,
    HOME: '/home/ann/somewhere',
    SHORT_TOKEN: 'abc',
    KEY_TOKEN_FILE: '/etc/token',
  })
  expect(known).toEqual([KNOWN])
  const redactor = makeRedactor(known)
  const clean = redactor.value({ list: [`x${KNOWN}y`, 1, null], [KNOWN]: { deep: KNOWN } })
  expect(JSON.stringify(clean)).not.toContain(KNOWN)
  expect(clean.list).toEqual(['x[hidden: known secret]y', 1, null])
  expect(redactor.value(clean)).toEqual(clean)
})
