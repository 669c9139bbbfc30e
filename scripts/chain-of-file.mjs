// Replaces `ava` in the files of a group (`run-group.mjs`). `test` registers with the runner of the file that is being
// loaded.
let chain;

/** Sets the chain by which tests and hooks are registered from now on. */
export function setChain(ofFile) {
  chain = ofFile;
}

export default new Proxy(() => undefined, {
  apply: (_test, self, args) => Reflect.apply(chain, self, args),
  get: (_test, name) => chain[name],
});
