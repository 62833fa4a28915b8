import { toAndthenError } from '../base/index.ts'
import type { Piece } from './library.ts'

/** What `generate --json` prints in place of a result, with what was generated until then. */
export function failureJson(thrown: unknown, pieces: readonly Piece[]) {
  const { code, message, retryable, details } = toAndthenError(thrown)
  return {
    error: { code, message, retryable, details },
    partial: { text: pieces.map(piece => piece.text).join(''), tokenIds: pieces.map(piece => piece.tokenId) }
  }
}
