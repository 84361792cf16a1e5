import { expect, test } from 'vitest'
import { parseAddress, repositoryBelow } from './repository-address.ts'

const at = (text: string, web: string): string | null => {
  const address = parseAddress(text)
  return address && repositoryBelow(address, web)
}

test.each([
  ['https://github.com/acme/shop', 'acme/shop'],
  ['https://github.com/acme/shop.git', 'acme/shop'],
  ['https://GitHub.com/acme/shop/', 'acme/shop'],
  ['https://me:secret@github.com/acme/shop.git', 'acme/shop'],
  ['https://github.com/acme/shop/issues/3?x=y', 'acme/shop'],
  ['git@github.com:acme/shop.git', 'acme/shop'],
  ['github.com:acme/shop', 'acme/shop'],
  ['ssh://git@github.com:22/acme/shop.git', 'acme/shop'],
  ['git+ssh://git@github.com/acme/shop', 'acme/shop'],
  ['https://github.com/acme', null],
  ['https://github.com/acme/..', null],
  ['https://github.com/acme/sh%20op', null],
  ['https://example.com/acme/shop', null],
  ['https://github.com.example.com/acme/shop', null],
  ['https://example.com/github.com/acme/shop', null],
  ['file:///srv/acme/shop.git', null],
])('%s', (text, ref) => expect(at(text, 'https://github.com')).toBe(ref))

test.each(['acme/shop', './shop', '/srv/shop.git', 'shop', '', 'C:\\shop', 'https://', 'javascript://github.com/a/b'])(
  'no address: %s',
  (text) => expect(parseAddress(text)).toBeNull(),
)

test('a server of one’s own may have a port, and live under a path', () => {
  expect(at('http://localhost:3000/acme/shop', 'http://localhost:3000')).toBe('acme/shop')
  expect(at('http://localhost:3001/acme/shop', 'http://localhost:3000')).toBeNull()
  expect(at('https://example.org/gitea/acme/shop.git', 'https://example.org/gitea')).toBe('acme/shop')
  expect(at('https://example.org/acme/shop.git', 'https://example.org/gitea')).toBeNull()
  expect(at('ssh://git@example.org:2222/acme/shop.git', 'https://example.org/gitea')).toBe('acme/shop')
})
