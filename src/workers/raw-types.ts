/** Endings of file types that are already compressed; compressing them again only costs time. */
const EXTENSIONS = new Set(
  (
    '7z aac apk avi avif br bz2 cab crx deb docx dmg epub flac flv gif gz heic heif jar jpeg jpg jxl ' +
    'lz lz4 lzma m4a m4v mkv mov mp3 mp4 mpeg mpg odp ods odt ogg ogv opus png pptx rar rpm snap tbz ' +
    'tgz txz vsix war webm webp whl woff woff2 xlsx xpi xz zip zst'
  ).split(' '),
);
const DOT = 0x2e;

/** The user's rules for files to store raw, besides the types above. Plain data, since it crosses threads. */
export interface RawRules {
  /** Endings in lower case, without the dot. */
  readonly endings: readonly string[];
  /** Files with fewer bytes are stored raw. */
  readonly belowBytes: number;
}

/** True if a file is stored raw, because of its type or of the rules. */
export function isStoredRaw(name: Buffer, sizeBytes: number, rules: RawRules | undefined): boolean {
  if (rules !== undefined && sizeBytes < rules.belowBytes) return true;
  const dot = name.lastIndexOf(DOT);
  if (dot < 1 || name.length - dot > MAX_ENDING) return false;
  const ending = name.toString('latin1', dot + 1).toLowerCase();
  return EXTENSIONS.has(ending) || rules?.endings.includes(ending) === true;
}

/**
 * Returns all endings of files to store raw for the addon, each between two NUL bytes. An ending that no Latin-1 name
 * can have is left out.
 */
export function rawEndings(rules: RawRules | undefined): Uint8Array {
  const own = rules?.endings.filter(isInNames) ?? [];
  return Buffer.from(`\0${[...EXTENSIONS, ...own].join('\0')}\0`, 'latin1');
}

/** True if each character is a byte that names may have. */
function isInNames(ending: string): boolean {
  return !ending.includes('\0') && Buffer.from(ending, 'latin1').toString('latin1') === ending;
}

/**
 * Returns a number for the kind of a file, from the ending of its name. Contents of one kind compress better together.
 * Names without an ending are one kind; collisions of endings do no harm.
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
/** Maximum length of an ending, including its dot. */
const MAX_ENDING = 12;
