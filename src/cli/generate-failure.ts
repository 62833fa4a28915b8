import type { AndthenError } from '../base/index.ts'
import type { GeneratedToken } from '../client/index.ts'

/** What `generate --json` prints in place of a result, with what was generated until then. */
export function failureJson({ code, message, retryable, details }: AndthenError, pieces: readonly GeneratedToken[]) {
  return {
    error: { code, message, retryable, details },
    partial: {
      text: pieces.map(piece => piece.text).join(''),
      tokenIds: pieces.flatMap(({ tokenId }) => (tokenId === null ? [] : [tokenId]))
    }
  }
}
