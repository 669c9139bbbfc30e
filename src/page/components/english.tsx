/** Shows words of a program, which are English whatever the language of the page is. */
import { shownName } from '../logic/shown.js';

export function English({ text }: { readonly text: string }) {
  return <span lang="en">{shownName(text)}</span>;
}
