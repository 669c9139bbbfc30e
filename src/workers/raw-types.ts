/** File types that are compressed already: trying again only costs time. By name, as users see it. */
const EXTENSIONS = new Set(
  (
    '7z aac apk avi avif br bz2 cab crx deb docx dmg epub flac flv gif gz heic heif jar jpeg jpg jxl ' +
    'lz lz4 lzma m4a m4v mkv mov mp3 mp4 mpeg mpg odp ods odt ogg ogv opus png pptx rar rpm snap tbz ' +
    'tgz txz vsix war webm webp whl woff woff2 xlsx xpi xz zip zst'
  ).split(' '),
);
const DOT = 0x2e;

/** What a user wants to have stored raw, besides the types above. Plain data: it crosses threads. */
export interface RawRules {
  /** Endings in lower case, without the dot. */
  readonly endings: readonly string[];
  /** Files of fewer bytes. */
  readonly belowBytes: number;
}

/** Whether a file is stored as it is: its type never shrinks, or the rules say so. */
export function isStoredRaw(name: Buffer, sizeBytes: number, rules: RawRules | undefined): boolean {
  if (rules !== undefined && sizeBytes < rules.belowBytes) return true;
  const dot = name.lastIndexOf(DOT);
  if (dot < 1 || name.length - dot > MAX_ENDING) return false;
  const ending = name.toString('latin1', dot + 1).toLowerCase();
  return EXTENSIONS.has(ending) || rules?.endings.includes(ending) === true;
}

/**
 * A number for the kind of file a name tells (its ending): contents of one kind compress better side
 * by side. Names without an ending are one kind; equal numbers of different endings do no harm.
 */
export function kindOfName(name: Buffer): number {
  const dot = name.lastIndexOf(DOT);
  if (dot < 1 || name.length - dot > MAX_ENDING) return 0;
  let kind = FNV_OFFSET;
  for (let at = dot + 1; at < name.length; at += 1) {
    kind = Math.imul(kind ^ name[at]!, FNV_PRIME) >>> 0;
  }
  return kind;
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;
/** A dot and the characters behind it, at most. */
const MAX_ENDING = 12;
