// Rooms of src/, lowest first (docs/ARCHITECTURE.md). A room imports only rooms before it in this list,
// and only through the other room's index.ts; type-only imports count too.
const rooms = ['base', 'wire', 'model', 'runtime', 'session', 'network', 'swarm', 'inference', 'client', 'gateway', 'bench', 'node', 'cli']

const order = rooms.map((room, i) => ({
  name: `room-order-${room}`,
  comment: `${room}/ imports only rooms below it: ${rooms.slice(0, i).join(', ') || 'none'}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${[...rooms.slice(i + 1).map(later => `${later}/`), 'index[.]ts'].join('|')})` }
}))

/** A package that only some rooms may import. */
const fence = (name, packages, allowed) => ({
  name: `fence-${name}`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/(${allowed.join('|')})/` },
  to: { path: `^node_modules/(${packages.join('|')})/` }
})

module.exports = {
  forbidden: [
    ...order.slice(0, -1),
    { name: 'through-the-door', comment: 'other rooms are entered by their index.ts', severity: 'error',
      from: { path: '^src/([^/]+)/' }, to: { path: '^src/([^/]+)/', pathNot: ['^src/$1/', '^src/[^/]+/index[.]ts$', '^src/base/polyfill[.]ts$'] } },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    fence('onnxruntime', ['onnxruntime-node', 'onnxruntime-common', 'koffi'], ['runtime']),
    fence('protobufjs', ['protobufjs'], ['wire', 'model']),
    fence('libp2p', ['libp2p', '@libp2p', '@chainsafe', '@multiformats'], ['network', 'swarm', 'inference', 'client']),
    fence('http', ['fastify', 'prom-client'], ['gateway']),
    fence('console', ['commander'], ['cli'])
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'types', 'default'] }
  }
}
