/** A target whose fault needs four right bytes, for which chance alone would need billions of inputs. */
import { BrokenProperty, type Target } from '../engine/target.js';

function read(data: Buffer): string {
  if (data[0] !== 0x64) return '';
  if (data[1] !== 0x65) return '';
  if (data[2] !== 0x65) return '';
  if (data[3] !== 0x70) return '';
  throw new BrokenProperty(`found in ${data.length} bytes`);
}

export const target: Target = {
  about: 'a fault behind four bytes',
  seeds: () => [Buffer.from('a seed')],
  fuzz: read,
};
