/** Changes of an encrypting client. Names, titles, tags and paths are sealed in requests, and opened in results. */
import type { Keyring } from '../../crypto/index.js';
import type { ForgetRequest, SetChange } from '../../model/index.js';
import type { Admin } from './admin.js';

/**
 * Returns an `Admin` that seals its arguments and calls `admin`, and opens the results. It leaves sets and findings as
 * they are: the history opens the names of sets, and the check opens the paths of findings.
 */
export function sealedAdmin(admin: Admin, keyring: Keyring): Admin {
  const { names } = keyring;
  const text = (words: string): string => names.text(words);
  const paths = (all: readonly Buffer[]): readonly Buffer[] => all.map((path) => names.path(path));
  const opened = (requests: readonly ForgetRequest[]): readonly ForgetRequest[] =>
    requests.map((request) => ({ ...request, path: names.openPath(request.path) }));
  return {
    ...admin,
    keyring,
    previewPurge: async ({ rules, ...request }) => {
      const sealed = { ...rules, keepTags: rules.keepTags.map(text) };
      const answer = await admin.previewPurge({ ...request, rules: sealed });
      return { ...answer, unusedTags: answer.unusedTags.map((tag) => names.openText(tag)) };
    },
    mark: (sets, change) => admin.mark(sets, sealedChange(change, text)),
    forgets: async () => opened(await admin.forgets()),
    previewForget: (all) => admin.previewForget(paths(all)),
    requestForgets: async (all, undoMs) => opened(await admin.requestForgets(paths(all), undoMs)),
  };
}

function sealedChange(change: SetChange, seal: (text: string) => string): SetChange {
  const { title, addTags, removeTags } = change;
  return {
    ...change,
    title: title && seal(title),
    addTags: addTags?.map(seal),
    removeTags: removeTags?.map(seal),
  };
}
