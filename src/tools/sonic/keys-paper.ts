/**
 * Puts wrapped keys on paper: the text of a key file, and QR codes to photograph. The scanned codes, joined in order,
 * are the key file byte for byte. The keys stay wrapped by the password.
 */
import type PDFKit from 'pdfkit';
import { asTardisError, systemCode, usageError } from '../../errors/index.js';
import { displayLine, displayName } from '../../model/index.js';
import {
  absolutePath,
  outputPath,
  reportIfExposed,
  type System,
  writeNew,
} from '../../system/index.js';
import type { SheetWords } from './sheet-words.js';
import { formatTime } from '../output/units.js';

/** Maximum number of bytes in one code. Denser codes are hard to photograph. */
const CODE_BYTES = 1200;
const MAX_CODES = 64;
/** Margin of an A4 page, in points. */
const MARGIN = 50;
const WIDTH = 595 - 2 * MARGIN;
const BOTTOM = 842 - MARGIN;
const CODE_SIDE = 260;
/** Blank margin that a scanner needs around a code, in modules. */
const QUIET = 4;

interface Paper {
  readonly client: string;
  /** Contents of a key file. */
  readonly text: Buffer;
  readonly words: SheetWords;
}

/** Returns the QR codes as text for a terminal. */
export async function qrImages(text: Buffer): Promise<string[]> {
  const { default: qr } = await import('qrcode');
  return Promise.all(
    piecesOf(text).map((data) =>
      qr.toString([{ data, mode: 'byte' }], { type: 'utf8', errorCorrectionLevel: 'M' }),
    ),
  );
}

/** Writes a new PDF file that only its owner can read. Throws USAGE if the file exists, IO_FAILED, TARGET_UNSAFE. */
export async function writePaper(system: System, file: Buffer, paper: Paper): Promise<void> {
  const path = outputPath(file);
  const bytes = await pdfOf(paper, system.clock.nowMs());
  try {
    await writeNew(system.files, path, bytes, { isSecret: true });
    reportIfExposed(path, 'the sheet', 'with it they can test guesses at the password');
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      const what = `${displayName(absolutePath(file))} exists already: give another file, or remove it`;
      throw usageError(what);
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
    throw usageError('these keys are too long to print: use a key file');
  }
  return pieces;
}

async function pdfOf({ client, text, words }: Paper, nowMs: number): Promise<Buffer> {
  const [{ default: PDFDocument }, { default: qr }] = await Promise.all([
    import('pdfkit'),
    import('qrcode'),
  ]);
  const pieces = piecesOf(text);
  const name = displayLine(client);
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
  writeWords(document, words, nowMs);
  document.moveDown().font('Helvetica');
  for (const [index, data] of pieces.entries()) {
    if (document.y + CODE_SIDE + MARGIN > BOTTOM) document.addPage();
    document.fontSize(10).text(`Code ${index + 1} of ${pieces.length}`);
    const { modules } = qr.create([{ data, mode: 'byte' }], { errorCorrectionLevel: 'M' });
    drawCode(document, modules);
  }
  document.addPage();
  document.font('Helvetica').fontSize(10).text('The key file as text:').moveDown();
  document.font('Courier').fontSize(9).text(text.toString('latin1'), { width: WIDTH });
  document.end();
  await ended;
  return Buffer.concat(chunks);
}

/** Writes a description of the sheet, and the steps to restore with it on a new machine. */
function writeWords(
  document: InstanceType<typeof PDFKit>,
  { keyId, about, steps }: SheetWords,
  nowMs: number,
): void {
  const plain = (text: string): void => {
    document.moveDown(0.5).font('Helvetica').fontSize(10).text(text, { width: WIDTH });
  };
  document.moveDown(0.5).font('Helvetica-Bold').fontSize(12).text(`Key id: ${keyId}`);
  plain(`Made at ${formatTime(nowMs)}. ${about}`);
  for (const { text, commands } of steps) {
    plain(text);
    document.font('Courier').fontSize(9);
    for (const command of commands) document.text(command, { width: WIDTH });
  }
}

/** Draws a code at the current position of the document, and moves the position below it. */
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
