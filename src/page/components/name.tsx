/**
 * Shows names, which may contain any character. Invisible characters are made visible, and a change of text direction
 * does not affect the text around the name.
 */
import { textOf } from '../logic/paths.js';
import { shownEntryName } from '../logic/formats.js';

export function Name({ name }: { readonly name: string }) {
  return (
    <bdi class="name" dir="auto">
      {shownEntryName(name)}
    </bdi>
  );
}

/** Shows an encoded path. A change of text direction ends at a slash. */
export function PathName({ path }: { readonly path: string }) {
  const segments = path === '/' ? [] : path.slice(1).split('/');
  if (segments.length === 0) return <span class="path">/</span>;
  return (
    <span class="path">
      {segments.map((segment, index) => (
        <span key={index}>
          /<wbr />
          <Name name={textOf(segment)} />
        </span>
      ))}
    </span>
  );
}
