// What the text of a task may be, wherever it comes from.

/** The title's limit is QG-0's (C-9); the body's keeps a prompt within what every agent takes. */
export const TITLE_MAX = 200
export const BODY_MAX_BYTES = 256 * 1024

/** A title as one plain line of at most the allowed length. */
export function plainTitle(title: string): string {
  const line = title
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()
    .slice(0, TITLE_MAX)
  // Not in the middle of a character of two code units.
  return line.replace(/[\ud800-\udbff]$/, '')
}
