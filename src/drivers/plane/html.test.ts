import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HOSTILE } from '../remote.contract.ts'
import { typed } from './fake-plane-state.ts'
import { toMarkdown } from './html.ts'
import { externalId, toHtml } from './texts.ts'

describe('from HTML', () => {
  test.each([
    ['<p>One</p><p>Two<br>lines</p>', 'One\n\nTwo\nlines'],
    ['<p>a <strong>b </strong>c <em>d</em> <s>e</s> <code>f</code></p>', 'a **b** c *d* ~~e~~ `f`'],
    ['<h2>Title <em>x</em></h2>text<hr>more', '## Title *x*\n\ntext\n\n---\n\nmore'],
    ['<ul><li><p>a</p></li><li><p>b</p><ul><li>c</li></ul></li></ul>', '- a\n- b\n  - c'],
    ['<ol><li>a</li><li>b</ol>', '1. a\n2. b'],
    [
      '<ul data-type="taskList"><li data-checked="true"><p>a</p></li><li data-checked="false">b</li></ul>',
      '- [x] a\n- [ ] b',
    ],
    ['<blockquote><p>a</p><p>b</p></blockquote>', '> a\n>\n> b'],
    ['<pre><code class="language-ts">if (a &lt; b) {\n\n  c()\n}\n</code></pre>', '```\nif (a < b) {\n\n  c()\n}\n```'],
    ['<pre>a ``` b</pre>', '````\na ``` b\n````'],
    [
      '<a href="https://example.org/x">here</a> <a href="https://example.org">https://example.org</a>',
      '[here](https://example.org/x) https://example.org',
    ],
    [
      '<table><tbody><tr><th><p>a</p></th><th>b</th></tr><tr><td>1</td><td>x|y</td></tr></tbody></table>',
      '| a | b |\n|---|---|\n| 1 | x\\|y |',
    ],
    ['<p>a&nbsp;&amp;&#39;&#x1F4A5;&lt;1m &unknown; &#0; &#xD800;</p>', "a &'\u{1F4A5}<1m &unknown; \ufffd \ufffd"],
    ['plain, 3 < 4 and <1m', 'plain, 3 < 4 and <1m'],
    ['', ''],
  ])('%s', (html, markdown) => {
    expect(toMarkdown(html)).toBe(markdown)
  })

  test.each([
    ['<script>alert(1)</script>x<style>p{}</style><template>t</template>', 'x'],
    ['<SCRIPT src="https://evil.example">', ''],
    ['a<!-- orch:hidden -->b<!-- <b>', 'ab'],
    ['<img src=x onerror="alert(1)" alt="a picture">', 'a picture'],
    ['<a href="javascript:alert(1)">x</a><a href=" java\nscript:1">y</a>', 'xy'],
    ['<p onclick="steal()" style="display:none">seen</p>', 'seen'],
    ['<a href="https://example.org/)](javascript:1)">x</a>', 'x'],
    ['</p></ul></li><li>a</b>', '- a'],
    ['<b><i>x', '***x***'],
    ['&lt;script&gt;alert(1)&lt;/script&gt;', '<script>alert(1)</script>'],
    ['<!DOCTYPE html><?xml version="1.0"?><p>x</p>', 'x'],
  ])('hostile: %s', (html, text) => {
    expect(toMarkdown(html)).toBe(text)
  })

  test('what somebody typed is the text they typed, whatever it looks like', () => {
    expect(toMarkdown(typed(HOSTILE))).toBe(HOSTILE)
  })

  test('whatever comes is read, and huge or endless markup in a moment', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof toMarkdown(text) === 'string'))
    const many = 200_000
    const huge = [
      '<',
      '<!--',
      '<a href="',
      '<p>',
      '<b>',
      '<li>',
      '</p>',
      '&#',
      '<pre>',
      '<script>',
      '<td>x',
      '<br>',
      ' \n',
    ]
    const startedAt = performance.now()
    for (const part of huge) toMarkdown(part.repeat(many))
    // 200,000 of each take under two seconds together on a machine that is not busy; what is quadratic takes hours.
    expect(performance.now() - startedAt).toBeLessThan(30_000)
  })
})

describe('to HTML', () => {
  test.each([
    ['Running.', '<p>Running.</p>'],
    ['**T-1** is `done`\nnow', '<p><strong>T-1</strong> is <code>done</code><br>now</p>'],
    ['# Title\ntext', '<h1>Title</h1><p>text</p>'],
    ['- a\n- b\n\n1. c', '<ul><li><p>a</p></li><li><p>b</p></li></ul><ol><li><p>c</p></li></ol>'],
    ['> a\n> b', '<blockquote><p>a<br>b</p></blockquote>'],
    ['```ts\na < b\n```\nc', '<pre><code>a &lt; b</code></pre><p>c</p>'],
    [
      '| a | b |\n|---|---|\n| 1 | 2 |',
      '<table><tbody><tr><th><p>a</p></th><th><p>b</p></th></tr><tr><td><p>1</p></td><td><p>2</p></td></tr></tbody></table>',
    ],
    [
      'Change: https://example.org/1?a=1&b=2',
      '<p>Change: <a href="https://example.org/1?a=1&amp;b=2">https://example.org/1?a=1&amp;b=2</a></p>',
    ],
    [
      '[x](https://example.org) [y](javascript:alert(1))',
      '<p><a href="https://example.org">x</a> [y](javascript:alert(1))</p>',
    ],
    ['<b onclick="x">&amp;</b>', '<p>&lt;b onclick=&quot;x&quot;&gt;&amp;amp;&lt;/b&gt;</p>'],
    ['2*3*4 and *this*', '<p>2*3*4 and <em>this</em></p>'],
    ['a\u0000b\ud800c', '<p>ab\ufffdc</p>'],
    ['', '<p></p>'],
  ])('%j', (markdown, html) => {
    expect(toHtml(markdown)).toBe(html)
  })

  test('and back it is what it was', () => {
    const said =
      '**T-1** is running at `develop`. A person must look.\n\nChange: https://example.org/1\n\n| role | cost |\n|---|---|\n| all | $0.10 |'
    expect(toMarkdown(toHtml(said))).toBe(said)
  })

  test('no tag comes from the text, whatever it is, and nothing takes long', () => {
    const known =
      /<\/?(?:p|br|hr|h[1-6]|strong|em|code|pre|ul|ol|li|blockquote|table|tbody|tr|th|td|a)(?: href="https?:[^"<>]*")?>/g
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'<>"&`*[]()|->#1. \nhttps:/ab'.split('')) }), (text) => {
        expect(toHtml(text).replaceAll(known, '')).not.toMatch(/[<>"]/)
      }),
    )
    for (const part of ['`', '**', '[', '> ', '|a', '- ', '*a', 'https://'])
      expect(toHtml(part.repeat(100_000)).length).toBeLessThan(3_000_000)
  })

  test('one that is too long is cut, always at the same place', () => {
    const html = toHtml('x'.repeat(70_000))
    expect(html.length).toBeLessThan(66_000)
    expect(html).toContain('cut, 70000 characters')
    expect(toHtml('x'.repeat(70_000))).toBe(html)
  })
})

test('a key is one for each issue, and fits', () => {
  expect(externalId('i1', 'k')).toBe('i1:k')
  expect(externalId('i1', 'k')).not.toBe(externalId('i2', 'k'))
  expect(externalId('i1', `${'k'.repeat(300)}1`).length).toBeLessThan(256)
  expect(externalId('i1', `${'k'.repeat(300)}1`)).not.toBe(externalId('i1', `${'k'.repeat(300)}2`))
})
