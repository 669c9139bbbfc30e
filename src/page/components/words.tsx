/** Shows texts that name commands between backticks. */
import { shownName } from '../logic/formats.js';

interface WordsProps {
  readonly text: string;
}

/** Shows a text with its commands as such. */
export function Words({ text }: WordsProps) {
  const parts = text.split('`');
  return <>{parts.map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part))}</>;
}

/** Shows words of a program, which are English whatever the language of the page is. */
export function English({ text }: WordsProps) {
  return (
    <span lang="en">
      <Words text={shownName(text)} />
    </span>
  );
}
