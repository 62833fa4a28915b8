import type { Hop as ChainHop } from '../inference/index.ts'
import type { Candidate } from './directory.ts'

/** A server of the chain that was found by asking. */
export type Hop = ChainHop<Candidate>
