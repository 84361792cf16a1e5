// Text from issues, agents and repositories is untrusted: nothing in it may move the cursor, hide or fake a line.

// C0 and C1 controls, DEL; the direction overrides of "Trojan Source" (CVE-2021-42574); line separators; zero-width marks.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g
const UNSAFE_IN_BLOCK =
  /(?![\n\t])[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g

function visible(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

/** One line: every unsafe character becomes a visible escape; line breaks and tabs become spaces. */
export function sanitizeLine(text: string): string {
  return text.replace(/\r?\n|\t/g, ' ').replace(UNSAFE, visible)
}

/** Several lines: line breaks and tabs stay. */
export function sanitizeBlock(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE_IN_BLOCK, visible)
}

/** JSON that is safe on a terminal too: still the same value when parsed. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  // JSON.stringify escapes C0 itself; what is left can only stand inside strings.
  return text.replace(
    /[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** True when a text holds a control character or a line separator. */
export function hasControlCharacters(text: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}
