import { expect, test } from 'vitest'
import { webhookSettings } from './webhook-settings.ts'

const user = (text: string) => ({ name: 'config.yml', text })

test('the environment is over the file, the file over the default, and each value says where it is from', () => {
  const env = { ORCH_WEBHOOKS_PORT: '8081', ORCH_WEBHOOKS_UNSIGNED: 'yes', ORCH_WEBHOOKS_HOST: ' ' }
  const { settings, sources, problems } = webhookSettings({
    user: user('approval: auto\nwebhooks:\n  port: 8080\n  maxBytes: 4096\n'),
    env,
  })
  expect(problems).toEqual([])
  expect(settings).toEqual({ port: 8081, host: '127.0.0.1', maxBytes: 4096, unsigned: true })
  expect(sources).toEqual([
    { key: 'webhooks.port', value: 8081, source: 'ORCH_WEBHOOKS_PORT' },
    { key: 'webhooks.host', value: '127.0.0.1', source: 'default' },
    { key: 'webhooks.maxBytes', value: 4096, source: 'config.yml:4' },
    { key: 'webhooks.unsigned', value: true, source: 'ORCH_WEBHOOKS_UNSIGNED' },
  ])
})

test('without a word there is no listener', () => {
  const { settings } = webhookSettings({ user: null, env: { ORCH_GITHUB_WEBHOOK_SECRET: 's' } })
  expect(settings).toEqual({ port: null, host: '127.0.0.1', maxBytes: 1 << 20, unsigned: false })
})

test('what is wrong is said with its variable, and then nothing holds', () => {
  const env = { ORCH_WEBHOOKS_PORT: 'many', ORCH_WEBHOOKS_MAX_BYTE: '5000' }
  const found = webhookSettings({ user: null, env })
  expect(found).toMatchObject({ settings: null, sources: [] })
  expect(found.problems).toEqual([
    {
      file: 'environment',
      line: null,
      key: 'ORCH_WEBHOOKS_MAX_BYTE',
      text: expect.stringContaining('ORCH_WEBHOOKS_MAX_BYTES') as string,
    },
    {
      file: 'environment (ORCH_WEBHOOKS_PORT)',
      line: null,
      key: 'webhooks.port',
      text: expect.any(String) as string,
    },
  ])
  expect(webhookSettings({ user: user('webhooks: { prot: 1 }\n'), env: {} }).problems).toMatchObject([
    { file: 'config.yml', line: 1 },
  ])
})
