/**
 * The site of the documents: README, the pages of docs/ by reader, and the pages about the work on the program. It has a
 * search of its own. A link that leads nowhere ends the build.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vitepress';

const ROOT = path.join(import.meta.dirname, '../../..');

/** Returns the path of a file of a package of this folder. */
function packageFile(name) {
  return path.join(import.meta.dirname, '../node_modules', name);
}

/** Returns the pages of each heading of docs/README.md, so that the site has no list of its own. */
function sidebar() {
  const lines = readFileSync(path.join(ROOT, 'docs/README.md'), 'utf8').split('\n');
  const groups = [];
  for (const line of lines) {
    if (line.startsWith('## ')) groups.push({ text: line.slice(3), collapsed: false, items: [] });
    for (const [, text, file] of line.matchAll(/\[([^\]]+)\]\(([^)#]+)\.md\)/g)) {
      groups.at(-1)?.items.push({ text, link: `/${path.posix.join('docs', file)}` });
    }
  }
  return groups;
}

export default defineConfig({
  title: 'Tardis',
  description: 'Backups of whole machines, in the manner of Time Machine',
  srcDir: ROOT,
  srcExclude: [
    'dist/**',
    'runtime/**',
    'native/**',
    'test/**',
    'packaging/**',
    'scripts/**',
    '.ci/**',
  ],
  outDir: path.join(ROOT, 'dist/site'),
  cacheDir: path.join(ROOT, 'dist/site-cache'),
  rewrites: { 'README.md': 'index.md', 'docs/README.md': 'docs/index.md' },
  // The pages are not below this folder, so they would not find its packages.
  vite: {
    resolve: {
      alias: [
        { find: /^vue$/, replacement: packageFile('vue/dist/vue.runtime.esm-bundler.js') },
        {
          find: /^vue\/server-renderer$/,
          replacement: packageFile('@vue/server-renderer/dist/server-renderer.esm-bundler.js'),
        },
      ],
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Documents', link: '/docs/' },
      { text: 'Changes', link: '/CHANGELOG' },
    ],
    sidebar: sidebar(),
    outline: [2, 3],
  },
});
