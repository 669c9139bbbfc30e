/** Icons drawn as lines, in the colour of the text around them. The meaning of each icon is also given in words. */
const PATHS = {
  directory:
    'M2 4.5A1.5 1.5 0 0 1 3.500 3h2.700l1.600 1.800h4.700A1.500 1.500 0 0 1 14 6.300v5.200a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 2 11.500z',
  file: 'M4 1.800h5.200L12.500 5v8.700a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V2.300a.5.5 0 0 1 .5-.5zM9 2v3.300h3.300',
  symlink:
    'M6.500 9.500l3-3M7 4.500l1-1a2.800 2.800 0 0 1 4 4l-1 1M9 11.500l-1 1a2.800 2.800 0 0 1-4-4l1-1',
  special: 'M8 2l5.500 3v6L8 14l-5.500-3V5zM8 8l5.500-3M8 8v6M8 8L2.500 5',
  up: 'M8 13V3.500M4 7.500l4-4 4 4',
  left: 'M10 3L5 8l5 5',
  right: 'M6 3l5 5-5 5',
  out: 'M6.500 2.500h-4v11h4M10 5l3 3-3 3M13 8H6',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zM10.500 10.500L14 14',
  edit: 'M3 13l.7-3L11 2.700a1.100 1.100 0 0 1 1.600 0l.7.7a1.100 1.100 0 0 1 0 1.600L6 12.300z',
  calendar: 'M2.500 4h11v9.500h-11zM2.500 7h11M5.500 2.500V5M10.500 2.500V5',
  lock: 'M4 7.500h8v6H4zM5.500 7.500V5.200a2.500 2.500 0 0 1 5 0v2.300',
  warning: 'M8 2.500l6 11H2zM8 6.500v3.500M8 11.700v.2',
  check: 'M3 8.500l3.500 3.500L13 4.500',
  half: 'M8 2.500a5.500 5.500 0 1 1 0 11 5.500 5.500 0 0 1 0-11zM8 2.500v11M10.500 3.600v8.800M12.300 5v6',
  sun: 'M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900L13 13M3 13l1.100-1.100M11.900 4.100L13 3',
  moon: 'M13 9.800A5.500 5.500 0 0 1 6.200 3a5.500 5.500 0 1 0 6.800 6.800z',
} as const;

type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** Returns the icon for a type of entry. */
export function iconOf(type: string): IconName {
  if (type === 'directory' || type === 'file' || type === 'symlink') return type;
  return 'special';
}
