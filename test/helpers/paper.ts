/** Reads a paper backup of keys: its text and its QR codes. */
import { inflateSync } from 'node:zlib';
import jsQrModule from 'jsqr';

// The package uses the older module format.
const jsQr = jsQrModule as unknown as typeof jsQrModule.default;

/** Width and height of a dot in pixels. */
const PIXELS = 4;

/** Returns the lines of text in a PDF whose fonts use one byte per character. */
export function textOfPdf(pdf: Buffer): string[] {
  const source = pdf.toString('latin1');
  // A stream that ends with a carriage return ends with a byte of its own.
  return [...source.matchAll(/stream\n([^]*?)\nendstream/g)].flatMap(([, body]) => {
    let content: string;
    try {
      content = inflateSync(Buffer.from(body!, 'latin1')).toString('latin1');
    } catch {
      return []; // it is not text
    }
    return [...content.matchAll(/\[([^\]]*)\] TJ/g)].map(([, shown]) =>
      [...shown!.matchAll(/<([0-9a-f]*)>/g)]
        .map(([, hex]) => Buffer.from(hex!, 'hex').toString('latin1'))
        .join(''),
    );
  });
}

/** Returns the contents of the QR codes drawn with block characters in an output, joined. */
export function textOfCodes(output: string): string {
  const codes = output.split(/\n(?=[^ █▀▄]*\n)|\n\n+/).filter((part) => /[█▀▄]/.test(part));
  return codes.map((drawn) => readCode(drawn)).join('');
}

function readCode(drawn: string): string {
  const lines = drawn.split('\n').filter((line) => line !== '');
  const width = Math.max(...lines.map((line) => line.length));
  // On a dark terminal a drawn block is light.
  const isLight = (line: string, column: number, half: 0 | 1): boolean =>
    ['█', half === 0 ? '▀' : '▄'].includes(line[column] ?? '█');
  const size = width * PIXELS;
  const height = lines.length * 2 * PIXELS;
  const pixels = new Uint8ClampedArray(size * height * 4);
  for (let y = 0; y < height; y += 1) {
    const row = Math.floor(y / PIXELS);
    for (let x = 0; x < size; x += 1) {
      const light = isLight(lines[row >> 1]!, Math.floor(x / PIXELS), (row & 1) as 0 | 1);
      pixels.fill(light ? 255 : 0, (y * size + x) * 4, (y * size + x) * 4 + 4);
    }
  }
  const found = jsQr(pixels, size, height);
  if (found === null) throw new Error(`no code can be read in\n${drawn}`);
  return Buffer.from(found.binaryData).toString('latin1');
}
