/**
 * Wrapped keys on paper: a key file as text, which can be typed, and as QR codes, which can be photographed. What is
 * scanned, one code after the other, is the key file to the byte. The keys stay wrapped by the password.
 */
import type PDFKit from 'pdfkit';
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { absolutePath, byteText, type System, writeNew } from '../system/index.js';
import { formatTime } from './units.js';

/** In one code: denser ones are hard to photograph. */
const CODE_BYTES = 1200;
const MAX_CODES = 64;
/** A4, in points. */
const MARGIN = 50;
const WIDTH = 595 - 2 * MARGIN;
const BOTTOM = 842 - MARGIN;
const CODE_SIDE = 260;
/** What a reader of codes needs to see around one, in modules. */
const QUIET = 4;

export interface Paper {
  readonly client: string;
  /** A key file. */
  readonly text: Buffer;
}

/** The codes, as characters for a terminal. */
export async function qrImages(text: Buffer): Promise<string[]> {
  const { default: qr } = await import('qrcode');
  return Promise.all(
    piecesOf(text).map((data) =>
      qr.toString([{ data, mode: 'byte' }], { type: 'utf8', errorCorrectionLevel: 'M' }),
    ),
  );
}

/** Writes a new PDF, for its owner's eyes. Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE. */
export async function writePaper(system: System, file: Buffer, paper: Paper): Promise<void> {
  const path = byteText(absolutePath(file));
  const bytes = await pdfOf(paper, system.clock.nowMs());
  try {
    await writeNew(system.files, path, bytes);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      const what = `${displayName(absolutePath(file))} is there already: name another file, or remove it`;
      throw new TardisError('USAGE', what);
    }
    throw asTardisError(error, `writing ${path}`);
  }
}

function piecesOf(text: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < text.length; at += CODE_BYTES) {
    pieces.push(text.subarray(at, at + CODE_BYTES));
  }
  if (pieces.length > MAX_CODES) {
    throw new TardisError('USAGE', 'these keys are too long for paper: keep a key file');
  }
  return pieces;
}

async function pdfOf({ client, text }: Paper, nowMs: number): Promise<Buffer> {
  const [{ default: PDFDocument }, { default: qr }] = await Promise.all([
    import('pdfkit'),
    import('qrcode'),
  ]);
  const pieces = piecesOf(text);
  const name = displayName(Buffer.from(client));
  const document = new PDFDocument({
    size: 'A4',
    margin: MARGIN,
    info: { Title: `Keys of the backups of ${name}`, CreationDate: new Date(nowMs) },
  });
  const chunks: Buffer[] = [];
  document.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve, reject) => {
    document.once('end', resolve);
    document.once('error', reject);
  });
  document.font('Helvetica-Bold').fontSize(18).text(`Keys of the backups of "${name}"`);
  document
    .moveDown(0.5)
    .font('Helvetica')
    .fontSize(10)
    .text(`Made at ${formatTime(nowMs)}. ${HOW}`, { width: WIDTH });
  document.moveDown();
  for (const [index, data] of pieces.entries()) {
    if (document.y + CODE_SIDE + MARGIN > BOTTOM) document.addPage();
    document.fontSize(10).text(`Code ${index + 1} of ${pieces.length}`);
    const { modules } = qr.create([{ data, mode: 'byte' }], { errorCorrectionLevel: 'M' });
    drawCode(document, modules);
  }
  document.addPage();
  document
    .font('Helvetica')
    .fontSize(10)
    .text('The same as text, to be typed if need be:')
    .moveDown();
  document.font('Courier').fontSize(9).text(text.toString('latin1'), { width: WIDTH });
  document.end();
  await ended;
  return Buffer.concat(chunks);
}

const HOW = `The codes hold a key file: scan them, put the texts one behind the other into a file, and give it with --keys FILE \
(or \`sonic keys --insert --keys FILE\`). The keys are wrapped by the password, which is not on this paper: without it nobody can use \
them, and without the keys nobody can read the backups. Keep this where fire, water and thieves do not come together with the store.`;

/** At the place the document is at, which moves below it. */
function drawCode(
  document: InstanceType<typeof PDFKit>,
  modules: { size: number; data: Uint8Array },
): void {
  const { size, data } = modules;
  const side = CODE_SIDE / (size + 2 * QUIET);
  const [left, top] = [document.x, document.y];
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      if (data[row * size + column] !== 1) continue;
      const [x, y] = [left + (column + QUIET) * side, top + (row + QUIET) * side];
      document.rect(x, y, side, side);
    }
  }
  document.fill('black');
  document.x = left;
  document.y = top + CODE_SIDE;
}
