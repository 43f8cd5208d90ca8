import { defineConfig } from 'vite';

// A few files with fixed names: the program embeds them and says itself that nothing is cached.
// Nothing is inlined, since the page's policy lets only files of its own in.
export default defineConfig({
  base: './',
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: 'console.js',
        assetFileNames: (asset) => (asset.names[0]?.endsWith('.css') ? 'console.css' : '[name][extname]'),
      },
    },
  },
});
